package mirrortest

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startWithin bounds how long a server may take to answer.
const startWithin = 20 * time.Second

// NeedProgram returns the path of the program, looking into the system
// directories too, or skips the test.
func NeedProgram(tb testing.TB, name string) string {
	tb.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	tb.Skipf("%s is not installed", name)
	return ""
}

// freePort finds a loopback port nobody listens on. It stays below the range
// the kernel takes for outgoing connections, so that the port of a stopped
// server is still free when it returns, and a client cannot meet itself there.
func freePort() (int, error) {
	low := 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if f := strings.Fields(string(b)); len(f) == 2 {
			if n, err := strconv.Atoi(f[0]); err == nil && n > 12000 {
				low = n
			}
		}
	}
	var err error
	for range 100 {
		port := 10000 + rand.IntN(low-10000)
		var l net.Listener
		if l, err = net.Listen("tcp4", address(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// errExited says that a server ended instead of answering.
var errExited = errors.New("the server ended")

// serve starts argv and waits until a connection to port is greeted with the
// given first bytes.
func serve(log string, port int, greeting string, argv ...string) (*child, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open server log: %w", err)
	}
	defer out.Close()
	c, err := startChild(out, argv...)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(startWithin); ; time.Sleep(pollEvery) {
		err := greets(port, greeting)
		// Looked at after the greeting: another server may hold the port.
		if c.exited() {
			return nil, fmt.Errorf("%w: %v", errExited, c.err)
		}
		if err == nil {
			return c, nil
		}
		if time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("wait for port %d: %w", port, err), c.kill())
		}
	}
}

func greets(port int, greeting string) error {
	conn, err := net.DialTimeout("tcp4", address(port), startWithin)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(startWithin)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, greeting) {
		return fmt.Errorf("unexpected greeting %q", line)
	}
	return nil
}
