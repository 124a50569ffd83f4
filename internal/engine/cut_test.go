package engine

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// cable carries connections to an address and can be cut.
type cable struct {
	net.Listener
	passed atomic.Int64 // bytes towards the address

	mu    sync.Mutex
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			// A copy ends with an error when the cable is cut.
			wg.Go(func() { _, _ = io.Copy(far, &counted{near, &c.passed}); _ = far.(*net.TCPConn).CloseWrite() })
			wg.Go(func() { _, _ = io.Copy(near, far); _ = near.(*net.TCPConn).CloseWrite() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.cut()
		wg.Wait()
	})
	return c
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// cut ends all connections as a broken line does.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		// With nothing to wait for the close is a reset.
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	c.conns = nil
}

// A transfer of a large file that breaks off, twice, goes on from where it was.
func TestLargeFileGoesOnAfterABrokenConnection(t *testing.T) {
	m := newMirror(t, "auto")
	line := newCable(t, m.daemon.Addr())
	m.conf.Roots[0].Remotes[0].Dest = strings.Replace(m.daemon.URL("m", ""), m.daemon.Addr(), line.Addr().String(), 1)
	m.conf.Roots[0].Remotes[0].RsyncOptions = []string{"--bwlimit=12m"}
	e := m.startLarge(t)
	e.flush(t)
	const size = 36 << 20
	write(t, filepath.Join(m.src, "big"), random(4, size))
	for i := range int64(2) {
		most := (i + 1) * size / 3
		await(t, "a part of it", func() bool { return line.passed.Load() > most })
		line.cut()
	}
	e.flush(t)
	m.equal(t)
	if n := line.passed.Load(); n > size+size/4 {
		t.Errorf("%d bytes for a file of %d", n, size)
	}
}
