package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/engine/session"
)

// pollEvery is the pause between two looks at something that gives no event.
const pollEvery = 5 * time.Millisecond

// freePort is a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// ready waits until our daemon, and nobody else, answers.
func (d *Daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	retry := time.NewTicker(pollEvery)
	defer retry.Stop()
	for {
		if d.greets(ctx) {
			break
		}
		select {
		case <-d.session.Done():
			return d.failure()
		case <-ctx.Done():
			return fmt.Errorf("start an rsync daemon: it does not answer at %s: %w\n%s", d.daemon(), context.Cause(ctx), d.said())
		case <-retry.C:
		}
	}
	// The greeting may be another daemon's. Ours notes who came before it
	// greets.
	if log, err := os.ReadFile(d.file("log")); err != nil || !strings.Contains(string(log), "connect from") {
		return d.inUse()
	}
	return nil
}

// greets asks the daemon for its greeting.
func (d *Daemon) greets(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", d.daemon().String())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // only read from
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(deadline)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "@RSYNCD:")
}

// failure tells why the daemon ended by itself.
func (d *Daemon) failure() error {
	said := d.said()
	if strings.Contains(said, "Address already in use") || strings.Contains(said, "bind") {
		return d.inUse()
	}
	return fmt.Errorf("start an rsync daemon: it ended at once:\n%s", said)
}

func (d *Daemon) inUse() error {
	return fmt.Errorf("start an rsync daemon at %s: %w", d.daemon(), errInUse)
}

// said is what the daemon printed and logged.
func (d *Daemon) said() string {
	var b strings.Builder
	for _, name := range []string{"output", "log"} {
		if text, err := os.ReadFile(d.file(name)); err == nil {
			b.Write(text)
		} else if !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}

// Drained waits until no transfer is under way: a client that was killed leaves
// one that cleans up.
func (d *Daemon) Drained(ctx context.Context) error {
	retry := time.NewTicker(pollEvery)
	defer retry.Stop()
	for {
		pids, err := session.Members(d.PID())
		if err != nil {
			return err
		}
		if len(pids) <= 1 { // the daemon itself
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the rsync daemon's %d processes: %w", len(pids)-1, context.Cause(ctx))
		case <-retry.C:
		}
	}
}

// placeholder keeps an address from being used while connections to it are
// refused: it is bound, and does not listen.
type placeholder struct{ fd int }

func hold(at netip.AddrPort) (*placeholder, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reserve %s: %w", at, err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err == nil {
		return &placeholder{fd}, nil
	}
	if errors.Is(err, unix.EADDRINUSE) {
		err = errInUse
	}
	return nil, errors.Join(fmt.Errorf("reserve %s: %w", at, err), unix.Close(fd))
}

func (p *placeholder) close() error {
	if err := unix.Close(p.fd); err != nil {
		return fmt.Errorf("give up a reserved port: %w", err)
	}
	return nil
}
