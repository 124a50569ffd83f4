package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fansync/fansync/internal/engine"
)

// ErrNotRunning says that nobody answers on any socket that was looked at.
var ErrNotRunning = errors.New("no fansync is running here")

// Dir is where the sockets of this user's daemons are: /run/fansync for root,
// else fansync below XDG_RUNTIME_DIR, or a directory of the user's own in the
// temporary directory.
func Dir() string {
	if os.Geteuid() == 0 {
		return "/run/fansync"
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "fansync")
	}
	return filepath.Join(os.TempDir(), "fansync-"+strconv.Itoa(os.Geteuid()))
}

// Client asks one daemon.
type Client struct {
	// Socket is the path of the daemon's socket.
	Socket string
	http   *http.Client
}

// Dial makes a client for the daemon at socket; nothing is sent yet.
func Dial(socket string) *Client {
	var d net.Dialer
	return &Client{Socket: socket, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Find gives a client for the daemon at socket, or, where socket is "", one
// for every daemon of this user. The error is ErrNotRunning when there is none.
func Find(socket string) ([]*Client, error) {
	paths := []string{socket}
	if socket == "" {
		var err error
		if paths, err = filepath.Glob(filepath.Join(Dir(), "*.sock")); err != nil {
			return nil, fmt.Errorf("look for control sockets: %w", err)
		}
	}
	var found []*Client
	for _, p := range paths {
		if c, err := net.DialTimeout("unix", p, 5*time.Second); err == nil {
			c.Close()
			found = append(found, Dial(p))
		} else if socket != "" {
			return nil, fmt.Errorf("%w: %w; is the daemon started, and is this its user?", ErrNotRunning, err)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w (no socket answers in %s): start one, or name its socket with --socket", ErrNotRunning, Dir())
	}
	return found, nil
}

// Status asks for a snapshot.
func (c *Client) Status(ctx context.Context) (engine.Status, error) {
	var st engine.Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &st)
	return st, err
}

// Flush waits until everything changed before the call is at every remote, for
// timeout at most; 0 means as long as ctx lasts.
func (c *Client) Flush(ctx context.Context, timeout time.Duration) error {
	q := url.Values{}
	if timeout > 0 {
		q.Set("timeout", timeout.String())
	}
	return c.call(ctx, http.MethodPost, "/v1/flush", q, nil)
}

// ConfirmDeletes lets the held-back deletions of a remote pass; "" names all.
func (c *Client) ConfirmDeletes(ctx context.Context, remote string) error {
	return c.call(ctx, http.MethodPost, "/v1/confirm-deletes", url.Values{"remote": {remote}}, nil)
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://fansync"+path+"?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.Socket, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.Socket, err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		var f failure
		if err := json.NewDecoder(res.Body).Decode(&f); err != nil || f.Error == "" {
			return fmt.Errorf("ask %s: %s", c.Socket, res.Status)
		}
		return errors.New(f.Error)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.Socket, err)
	}
	return nil
}
