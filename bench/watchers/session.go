package watchers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/engine/session"
)

const (
	// pollEvery is the pause between two looks at what a watcher printed.
	pollEvery = time.Millisecond
	// markEvery is the pause between two marks. Some programs keep what they
	// print until a block is full, so there must be many.
	markEvery = 20 * time.Millisecond
	// restsAfter is how long a watcher must print nothing to be at rest.
	restsAfter = 300 * time.Millisecond
	// stopGrace is how long it may take to end.
	stopGrace = 5 * time.Second
)

// errEnded is wrapped when a watcher ended by itself.
var errEnded = errors.New("the watcher ended by itself")

// errSilent is wrapped when a watcher did not tell in time.
var errSilent = errors.New("the watcher does not tell")

// watching is a watcher at work.
type watching struct {
	watcher Watcher
	root    string
	census  *census
	session *session.Session
	began   time.Time
	tap     *tap // what it prints to, if that is a pipe
	// out and in are both ends of the file that it prints to, if it is one.
	out, in  *os.File
	deadline time.Duration // for each wait
	marks    int
	marked   []string // absolute
}

// start starts a watcher of root. With piped its output is read as it comes,
// else it lies in memDir until poll. The caller closes it.
func start(w Watcher, root string, piped bool, deadline time.Duration) (g *watching, err error) {
	g = &watching{watcher: w, root: root, census: newCensus(root, w.parse), deadline: deadline}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	var to io.Writer
	if piped {
		g.tap = &tap{to: g.census}
		to = g.tap
	} else {
		if g.out, err = os.CreateTemp(memDir(), "fansync-bench-out-*"); err != nil {
			return g, fmt.Errorf("make a file for what %s prints: %w", w.Name, err)
		}
		name := g.out.Name()
		g.in, err = os.Open(name)
		// It needs no name any more, and cannot be left behind.
		if err = errors.Join(err, os.Remove(name)); err != nil {
			return g, err
		}
		to = g.out
	}
	g.began = time.Now()
	g.session, err = session.Start(session.Config{Argv: w.argv(root), Dir: root, Output: to, Cgroup: -1})
	return g, err
}

// memDir is a directory in memory if there is one.
func memDir() string {
	const shm = "/dev/shm"
	if unix.Access(shm, unix.W_OK) == nil {
		return shm
	}
	return os.TempDir()
}

// tap passes on what is printed to a pipe, or does not for a while.
type tap struct {
	to    io.Writer
	stall sync.Mutex
}

func (t *tap) Write(b []byte) (int, error) {
	t.stall.Lock()
	defer t.stall.Unlock()
	return t.to.Write(b)
}

// poll reads what is in the file.
func (g *watching) poll() error {
	if g.in == nil {
		return nil
	}
	if _, err := io.Copy(g.census, g.in); err != nil {
		return fmt.Errorf("read what %s printed: %w", g.watcher.Name, err)
	}
	return nil
}

// await polls until ok, at most for the deadline. Each turn it calls each first.
func (g *watching) await(ctx context.Context, what string, each func() error, ok func(tally) bool) error {
	for end := time.Now().Add(g.deadline); ; {
		if each != nil {
			if err := each(); err != nil {
				return err
			}
		}
		if err := g.poll(); err != nil {
			return err
		}
		now := g.census.tally()
		if ok(now) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.session.Done():
			// What it printed last may still be on its way.
			if _, err := g.session.Stop(stopGrace); err != nil {
				return err
			}
			if err := g.poll(); err != nil {
				return err
			}
			return fmt.Errorf("%w before it told %s: %s", errEnded, what, g.census.tally().last)
		case <-time.After(pollEvery):
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w %s within %v", errSilent, what, g.deadline)
		}
	}
}

// ready returns when the watcher watches all of the tree: when it says so, or,
// if it never does, when it tells of a file in the directory probe.
func (g *watching) ready(ctx context.Context, probe string) error {
	if !g.watcher.probed {
		return g.await(ctx, "that it is ready", nil, func(t tally) bool { return t.ready })
	}
	file := filepath.Join(g.root, probe, markPrefix+"ready")
	g.marked = append(g.marked, file)
	touch := func() error { return os.WriteFile(file, []byte("x"), 0o644) }
	return g.await(ctx, "of a probe", touch, func(t tally) bool { return t.lines > 0 })
}

// sync returns when the watcher has told of all that was changed before, and
// rests: a mark that was made after it is told, and then nothing for a while.
func (g *watching) sync(ctx context.Context) error {
	g.marks++
	prefix := fmt.Sprintf("%s%d-", markPrefix, g.marks)
	var last time.Time
	n := 0
	each := func() error {
		if time.Since(last) < markEvery {
			return nil
		}
		last = time.Now()
		n++
		file := filepath.Join(g.root, prefix+strconv.Itoa(n))
		g.marked = append(g.marked, file)
		return os.WriteFile(file, []byte("x"), 0o644)
	}
	if err := g.await(ctx, "of a mark", each, func(t tally) bool { return strings.HasPrefix(t.mark, prefix) }); err != nil {
		return err
	}
	lines, since := -1, time.Now()
	return g.await(ctx, "that it rests", nil, func(t tally) bool {
		if t.lines != lines {
			lines, since = t.lines, time.Now()
		}
		return time.Since(since) > restsAfter
	})
}

// cpu is the CPU time that the watcher's process has used.
func (g *watching) cpu() (time.Duration, error) {
	// The clock of a process, MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED): exact,
	// where /proc counts in steps of 10 ms.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^g.session.PID()<<3|2), &ts); err != nil {
		return 0, fmt.Errorf("read the CPU time of %s: %w", g.watcher.Name, err)
	}
	return time.Duration(ts.Nano()), nil
}

// memory is the resident memory of the watcher's process now and at most, MB.
func (g *watching) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.session.PID()))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory of %s: %w", g.watcher.Name, err)
	}
	return kilobytes(text, "VmRSS:") / 1024, kilobytes(text, "VmHWM:") / 1024, nil
}

// kilobytes is the number of a line "KEY N kB"; 0 if there is none.
func kilobytes(text []byte, key string) float64 {
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) > 1 && f[0] == key {
			n, _ := strconv.ParseFloat(f[1], 64) // a kernel that says something else says nothing
			return n
		}
	}
	return 0
}

// close ends the watcher and removes the marks.
func (g *watching) close() (err error) {
	if g.session != nil {
		_, err = g.session.Stop(stopGrace)
	}
	for _, f := range []*os.File{g.out, g.in} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	for _, file := range g.marked {
		if e := os.Remove(file); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
