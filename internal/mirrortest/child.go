package mirrortest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// pollEvery is the pause between two looks at a condition that has no event
// to wait for.
const pollEvery = 2 * time.Millisecond

// child is a server process of ours: the leader of a process group of its own.
type child struct {
	pid  int
	done chan struct{} // closed once the process was reaped
	err  error         // what Wait said; read it after done only
}

// startChild runs argv with both outputs going to out, which the caller may
// close afterwards.
func startChild(out *os.File, argv ...string) (*child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The death signal follows the thread that forked, not the process:
		// the thread must live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.pid = cmd.Process.Pid
		started <- nil
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	return c, nil
}

// exited reports whether the process has ended by itself or was killed.
func (c *child) exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// signal sends sig to the whole process group, as long as its leader lives.
func (c *child) signal(sig syscall.Signal) error {
	if c.exited() {
		return nil
	}
	if err := syscall.Kill(-c.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process group %d: %w", c.pid, err)
	}
	return nil
}

// kill ends the process and all its descendants, and returns when they are
// gone. The leader is stopped first so that it forks no more and, as it reaps
// none of its children either, their pids cannot pass to strangers meanwhile.
// Descent is followed, not just the group, because sshd's sessions leave it.
func (c *child) kill() error {
	if c.exited() {
		return nil
	}
	if err := syscall.Kill(c.pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop process %d: %w", c.pid, err)
	}
	err := c.killDescendants()
	if kerr := c.signal(syscall.SIGKILL); kerr != nil {
		return errors.Join(err, kerr)
	}
	<-c.done
	return err
}

// killDescendants kills what the process forked and leaves itself alone.
func (c *child) killDescendants() error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(pollEvery) {
		pids, err := descendants(c.pid)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("kill the children %v of process %d: they stay", pids, c.pid)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
	}
}

// descendants lists the living processes below pid.
func descendants(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	kids := map[int][]int{}
	dead := map[int]bool{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it ended since the listing
		}
		// "pid (comm) state ppid ...": comm may hold blanks and parentheses.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(f) < 2 {
			continue
		}
		parent, err := strconv.Atoi(string(f[1]))
		if err != nil {
			return nil, fmt.Errorf("read parent of process %d: %w", p, err)
		}
		kids[parent] = append(kids[parent], p)
		dead[p] = f[0][0] == 'Z' || f[0][0] == 'X'
	}
	var out []int
	for todo := kids[pid]; len(todo) > 0; todo = todo[1:] {
		if !dead[todo[0]] {
			out = append(out, todo[0])
		}
		todo = append(todo, kids[todo[0]]...)
	}
	return out, nil
}
