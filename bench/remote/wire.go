package remote

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// wire adds up the bytes of the connections to one address: of those that have
// ended, as the kernel broadcasts each TCP socket's state when it is destroyed, and
// of those that are open, by asking. It owns one goroutine, until close.
type wire struct {
	at   netip.AddrPort
	file *os.File
	done chan struct{}

	asking sync.Mutex // held while the open connections are asked for

	mu   sync.Mutex
	past carried // by the ended
	// ended are those that ended while the open ones are asked for; nil
	// otherwise.
	ended  map[uint64]bool
	closed bool
	err    error // the first; ends of connections were missed
}

// watchWire is nil if the kernel does not tell, or not us.
func watchWire(at netip.AddrPort) *wire {
	fd, err := openDiag(unix.SOCK_NONBLOCK, 1<<(groupTCPDestroy-1))
	if err != nil {
		return nil
	}
	// Many short connections may end at once. Who may not exceed the limit gets
	// the limit.
	const room = 8 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	if _, err := openSockets(at); err != nil {
		_ = unix.Close(fd) // nothing was done with it
		return nil
	}
	w := &wire{at: at, file: os.NewFile(uintptr(fd), "sock_diag"), done: make(chan struct{})}
	go w.run()
	return w
}

func (w *wire) run() {
	defer close(w.done)
	buf := make([]byte, diagRoom)
	for {
		n, err := w.file.Read(buf)
		switch {
		case err == nil:
			w.take(buf[:n])
		case errors.Is(err, os.ErrClosed):
			return
		default:
			w.lose(err)
			if !errors.Is(err, unix.ENOBUFS) { // some were missed, and more come
				return
			}
		}
	}
}

func (w *wire) take(buf []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range parseSockets(buf, w.at) {
		w.past.add(s)
		if w.ended != nil {
			w.ended[s.cookie] = true
		}
	}
}

func (w *wire) lose(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = fmt.Errorf("count the bytes of connections: %w", err)
	}
}

// carried is what some connections have carried, in both directions.
type carried struct {
	connections int
	bytes       int64
}

func (c *carried) add(s socket) {
	c.connections++
	c.bytes += s.bytes
}

// total is what all connections have carried up to now, but for those whose end the
// kernel is about to tell. After close it is that of the ended.
func (w *wire) total() (carried, error) {
	w.asking.Lock()
	defer w.asking.Unlock()
	w.mu.Lock()
	if w.closed {
		defer w.mu.Unlock()
		return w.past, w.err
	}
	w.ended = map[uint64]bool{}
	w.mu.Unlock()
	open, err := openSockets(w.at)

	w.mu.Lock()
	defer w.mu.Unlock()
	total := w.past
	for _, s := range open {
		if !w.ended[s.cookie] {
			total.add(s)
		}
	}
	w.ended = nil
	return total, errors.Join(w.err, err)
}

func (w *wire) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := w.file.Close()
	<-w.done
	if err != nil {
		return fmt.Errorf("stop counting the bytes of connections: %w", err)
	}
	return nil
}
