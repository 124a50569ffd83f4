package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// relay is a slow link: it takes connections and passes them on to the daemon,
// taking what clients send at a limited rate. It owns one goroutine that accepts
// and two for each connection; all have ended after close.
type relay struct {
	listener net.Listener
	to       string
	limit    limiter
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// window is how much the relay's side of a connection buffers; the kernel doubles
// it. Much more would let a client believe that a slow link has taken its data.
const window = 32 << 10

func newRelay(at, to netip.AddrPort, kbs int) (*relay, error) {
	r := &relay{to: to.String(), limit: limiter{perSecond: kbs << 10}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	conf := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) {
			// Connections inherit it from the socket that listens.
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, window)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	var err error
	if r.listener, err = conf.Listen(r.ctx, "tcp4", at.String()); err != nil {
		r.cancel()
		if errors.Is(err, unix.EADDRINUSE) {
			err = errInUse
		}
		return nil, fmt.Errorf("start a slow link at %s: %w", at, err)
	}
	r.running.Go(r.accept)
	return r, nil
}

func (r *relay) close() error {
	r.cancel()
	err := r.listener.Close()
	r.running.Wait()
	if err != nil {
		return fmt.Errorf("end a slow link: %w", err)
	}
	return nil
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.running.Go(func() { r.carry(client.(*net.TCPConn)) })
	}
}

// carry passes on one connection in both directions until both have ended. A side
// that fails ends both, as a link does that breaks.
func (r *relay) carry(client *net.TCPConn) {
	defer func() { _ = client.Close() }()
	conn, err := new(net.Dialer).DialContext(r.ctx, "tcp4", r.to)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer func() { _ = server.Close() }()
	cut := context.AfterFunc(r.ctx, func() { _, _ = client.Close(), server.Close() })
	defer cut()

	var back sync.WaitGroup
	back.Go(func() { pass(client, server, io.Reader(server)) })
	pass(server, client, &limited{from: client, limit: &r.limit, ctx: r.ctx})
	back.Wait()
}

// pass copies what comes from one side, by way of through, to the other.
func pass(to, from *net.TCPConn, through io.Reader) {
	if _, err := io.Copy(to, through); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	_ = to.CloseWrite() // the other direction may go on
}

// limited reads no faster than its limiter allows.
type limited struct {
	from  io.Reader
	limit *limiter
	ctx   context.Context
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.from.Read(p[:min(len(p), window/4)])
	if n > 0 {
		timer := time.NewTimer(l.limit.take(n, time.Now()))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			return 0, context.Cause(l.ctx)
		}
	}
	return n, err
}

// limiter shares a rate between connections: bytes leave one after the other.
type limiter struct {
	perSecond int
	mu        sync.Mutex
	free      time.Time // when the last byte taken will have left
}

// take is how long n bytes take to leave that came now.
func (l *limiter) take(n int, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.perSecond) * float64(time.Second)))
	return l.free.Sub(now)
}
