package plugin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fansync/fansync/internal/config"
)

// record is a change in JSON.
type record struct {
	Event string `json:"event"`
	// Path and Root are absolute. Where Path is not valid UTF-8, PathBase64 has
	// its bytes instead.
	Path       string `json:"path,omitempty"`
	PathBase64 string `json:"path_b64,omitempty"`
	Root       string `json:"root"`
	Dir        bool   `json:"dir"`
	Remote     string `json:"remote,omitempty"`
}

func recordOf(c Change) record {
	event, dir := c.Event()
	r := record{Event: event, Path: c.Abs(), Root: c.Root, Dir: dir, Remote: c.Remote}
	if !utf8.ValidString(r.Path) {
		r.PathBase64 = base64.StdEncoding.EncodeToString([]byte(r.Path))
		r.Path = ""
	}
	return r
}

// socket sends to a TCP listener.
type socket struct {
	address string
	plain   bool // a connection with the bare path for each change

	mu    sync.Mutex
	conns map[int]net.Conn // by worker
}

func newSocket(conf config.Plugin) *socket {
	return &socket{address: conf.Address, plain: conf.Format == "path", conns: map[int]net.Conn{}}
}

func (s *socket) tell(ctx context.Context, worker int, changes []Change) error {
	var b bytes.Buffer
	if s.plain {
		b.WriteString(changes[0].Abs())
	} else {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		for _, c := range changes {
			if err := enc.Encode(recordOf(c)); err != nil {
				return fmt.Errorf("%w: %w", errFinal, err)
			}
		}
	}
	conn, err := s.connect(ctx, worker)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetWriteDeadline(deadline)
	if err == nil {
		_, err = conn.Write(b.Bytes())
	}
	if err != nil || s.plain {
		cerr := s.drop(worker)
		if err == nil {
			err = cerr
		}
	}
	return err
}

// connect gives the worker's connection. Nothing is ever read from it but its
// end, so that one that the listener closed is noticed before it is written to.
func (s *socket) connect(ctx context.Context, worker int) (net.Conn, error) {
	s.mu.Lock()
	conn := s.conns[worker]
	s.mu.Unlock()
	if conn != nil && open(conn) {
		return conn, nil
	}
	if conn != nil {
		// It is closed at the other side; how our close ends is all the same.
		_ = s.drop(worker)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[worker] = conn
	return conn, nil
}

// open reports whether the other side has not closed the connection.
func open(conn net.Conn) bool {
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	var b [256]byte
	_, err := conn.Read(b[:])
	var timeout net.Error
	return err == nil || errors.As(err, &timeout) && timeout.Timeout()
}

func (s *socket) drop(worker int) error {
	s.mu.Lock()
	conn := s.conns[worker]
	delete(s.conns, worker)
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}

func (s *socket) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first error
	for _, conn := range s.conns {
		if err := conn.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
