package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/engine/session"
)

// sampleEvery is the time between two looks at memory. A process that lives
// shorter may be missed.
const sampleEvery = 100 * time.Millisecond

// Tracker samples a program with all that it started.
type Tracker struct {
	pid   int
	group *Group

	mu    sync.Mutex
	usage Usage
	err   error // the first of sampling

	stop func()
	done chan struct{}
}

// Track begins to sample a program, which leads a session of its own (package
// session), and all that it started. With a Cgroup2 they are those in it, whatever
// the pid, which may be 0 then; CPU time is counted from the making of the Group.
// With a Cgroup1 they are moved into it now and counted from now on. With Rusage
// each sample looks through all of /proc, which costs one core about 1 % for 100
// processes.
func Track(pid int, group *Group) (*Tracker, error) {
	t := &Tracker{pid: pid, group: group, done: make(chan struct{})}
	if pid <= 0 && group.kind != Cgroup2 {
		return nil, errors.New("track no process: only a version 2 cgroup can be tracked before anything runs in it")
	}
	if group.kind == Cgroup1 {
		if err := gather(pid, group); err != nil {
			return nil, err
		}
	}
	if err := t.sample(); err != nil {
		return nil, err
	}
	quit := make(chan struct{})
	t.stop = sync.OnceFunc(func() { close(quit) })
	go t.run(quit)
	return t, nil
}

// gather moves a session into a cgroup. What was forked meanwhile may have missed
// it, hence the further rounds.
func gather(pid int, group *Group) error {
	for range 10 {
		pids, err := session.Members(pid)
		if err != nil {
			return err
		}
		in, err := group.pids()
		if err != nil {
			return err
		}
		outside := slices.DeleteFunc(pids, func(p int) bool { return slices.Contains(in, p) })
		if len(outside) == 0 {
			return nil
		}
		if err := group.add(outside); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) run(quit <-chan struct{}) {
	defer close(t.done)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			if err := t.sample(); err != nil {
				t.mu.Lock()
				t.err = err
				t.mu.Unlock()
				return
			}
		}
	}
}

// Usage is what was used up to now.
func (t *Tracker) Usage() (Usage, error) {
	if err := t.sample(); err != nil {
		return Usage{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.usage, t.err
}

// Stop ends the sampling. It takes no sample any more.
func (t *Tracker) Stop() {
	t.stop()
	<-t.done
}

func (t *Tracker) sample() error {
	pids, err := t.members()
	if err != nil {
		return err
	}
	var rss, daemon, cpu float64
	for _, pid := range pids {
		mb, err := resident(pid)
		if err != nil {
			return err
		}
		rss += mb
		if pid == t.pid {
			daemon = mb
		}
		if t.group.kind == Rusage {
			s, err := procCPU(pid)
			if err != nil {
				return err
			}
			cpu += s
		}
	}
	if t.group.kind != Rusage {
		if cpu, err = t.group.CPUSeconds(); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.CPUSeconds = max(t.usage.CPUSeconds, cpu)
	t.usage.PeakRSSMB = max(t.usage.PeakRSSMB, rss)
	t.usage.DaemonRSSMB = max(t.usage.DaemonRSSMB, daemon)
	return nil
}

func (t *Tracker) members() ([]int, error) {
	if t.group.kind == Rusage {
		return session.Members(t.pid)
	}
	return t.group.pids()
}

// gone reports whether a file of /proc could not be read because the process is
// no more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// resident is a process's resident memory in MB (2^20 bytes); 0 if it is gone.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	f := bytes.Fields(text)
	if len(f) < 2 {
		return 0, fmt.Errorf("read the memory of process %d: %q", pid, text)
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20), nil
}

// procCPU is the CPU time in seconds of a process and of the children that it
// waited for; 0 if it is gone.
func procCPU(pid int) (float64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	// utime, stime, cutime and cstime are the fields 14 to 17; the second may
	// hold blanks and parentheses.
	f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(f) < 15 {
		return 0, fmt.Errorf("read the CPU time of process %d: %q", pid, text)
	}
	var ticks int64
	for _, field := range f[11:15] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		ticks += n
	}
	return float64(ticks) / userHz, nil
}

// userHz is how many ticks of /proc make a second, on every Linux that Go runs on.
const userHz = 100
