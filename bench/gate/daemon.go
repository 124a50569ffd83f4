package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// patience bounds every wait for a program.
	patience = time.Minute
	// lookEvery is how often a condition is looked at.
	lookEvery = 20 * time.Millisecond
	// rest is how long nothing must happen before a load is over.
	rest = 700 * time.Millisecond
)

// child is a started program, in a process group of its own, so that a ctrl-C
// ends it through us and not before.
type child struct {
	cmd   *exec.Cmd
	out   bytes.Buffer // of it and its own children; to be read after the end
	ended chan struct{}
}

func startChild(program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	c.cmd.Env = append(os.Environ(), "LC_ALL=C")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.WaitDelay = time.Second
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // how it ended is seen in its state
	}()
	return c, nil
}

// stop ends the child with a signal, and if that is not enough by force.
func (c *child) stop(sig syscall.Signal) error {
	_ = c.cmd.Process.Signal(syscall.SIGCONT)
	_ = c.cmd.Process.Signal(sig)
	select {
	case <-c.ended:
		return nil
	case <-time.After(20 * time.Second):
	}
	err := syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.ended
	return errors.Join(fmt.Errorf("%s did not end at a signal and was killed", filepath.Base(c.cmd.Path)), err)
}

// until looks at a condition again and again, until it holds. It fails when a
// child has ended, when ctx has, or when it has lasted too long.
func until(ctx context.Context, what string, children []*child, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if ok, err := holds(); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		} else if ok {
			return nil
		}
		for _, c := range children {
			select {
			case <-c.ended:
				return fmt.Errorf("wait until %s: %s has ended: %s", what, filepath.Base(c.cmd.Path), lastLines(c.out.String(), 10))
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
}

// daemon is a real rsync daemon on a loopback port with one module, m.
type daemon struct {
	*child
	log  string
	port int
}

// startDaemon starts one that serves dst; its files go into dir.
func startDaemon(ctx context.Context, dir, dst string) (*daemon, error) {
	var err error
	for range 5 {
		d := &daemon{log: filepath.Join(dir, "rsyncd.log")}
		if d.port, err = freePort(); err != nil {
			return nil, err
		}
		conf := fmt.Sprintf("address = 127.0.0.1\nport = %d\nlog file = %s\nlock file = %s\nreverse lookup = no\nuse chroot = no\nmunge symlinks = no\n",
			d.port, d.log, filepath.Join(dir, "rsyncd.lock"))
		if os.Geteuid() == 0 {
			conf += "uid = 0\ngid = 0\n" // else it is nobody, who may write nowhere
		}
		conf += fmt.Sprintf("[m]\npath = %s\nread only = no\n", dst)
		file := filepath.Join(dir, "rsyncd.conf")
		if err = os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		if d.child, err = startChild("rsync", "--daemon", "--no-detach", "--config="+file); err != nil {
			return nil, fmt.Errorf("start the rsync daemon: %w", err)
		}
		err = until(ctx, "the rsync daemon listens", []*child{d.child}, func() (bool, error) {
			c, err := net.Dial("tcp", d.addr())
			if err != nil {
				return false, nil
			}
			return true, c.Close()
		})
		if err == nil {
			return d, nil
		}
		if err = errors.Join(err, d.stop(syscall.SIGTERM)); ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// freePort is a port that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

func (d *daemon) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) }

func (d *daemon) url() string { return "rsync://" + d.addr() + "/m/" }

// idle reports whether no transfer is under way.
func (d *daemon) idle() (bool, error) {
	pid := d.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return len(bytes.TrimSpace(children)) == 0, err
}

// served is what the daemon has logged so far.
type served struct {
	rsyncs int64 // transfers that got as far as naming the module
	bytes  int64 // received and sent
	length int64 // of the log
}

// ended is a transfer's last line, in which newer rsyncs say a little more.
var transferEnd = regexp.MustCompile(`\] sent ([0-9]+) bytes\s+received ([0-9]+) bytes`)

func (d *daemon) served() (served, error) {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return served{}, fmt.Errorf("read the rsync daemon's log: %w", err)
	}
	return parseServed(string(text))
}

func parseServed(text string) (served, error) {
	s := served{rsyncs: int64(strings.Count(text, "] rsync to m")), length: int64(len(text))}
	for _, m := range transferEnd.FindAllStringSubmatch(text, -1) {
		for _, digits := range m[1:] {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				return s, fmt.Errorf("read the rsync daemon's log: %w", err)
			}
			s.bytes += n
		}
	}
	return s, nil
}
