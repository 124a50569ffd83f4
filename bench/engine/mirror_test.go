package engine_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/bench/engine/session"
	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/rsynctest"
)

// names are all engines, sersync2 first: it changes the machine for a while.
var names = []string{"sersync2", "fansync", "lsyncd", "inotifywait", "ideal", "rsync"}

// TestEngines: each engine mirrors to two remotes, and leaves nothing behind.
func TestEngines(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			e := find(t, name)
			if name == "ideal" {
				rsynctest.NeedNames(t)
			}
			before := limits(t)
			if name != "sersync2" { // the others would see its limits
				t.Parallel()
			}
			group, err := measure.NewGroup()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := group.Close(); err != nil {
					t.Error(err)
				}
			})
			c := open(t, e, 2, false, group.FD())
			pid := c.process.PID()
			if (pid != 0) != e.Live() {
				t.Errorf("process %d, and it is live: %t", pid, e.Live())
			}
			c.ready()
			c.changes()
			tracked, err := group.CPUSeconds()
			if err != nil {
				t.Fatal(err)
			}
			cpu, err := c.process.Stop()
			if err != nil {
				t.Fatal(err)
			}
			// That it ran in the cgroup shows as both saw the same CPU time, to
			// what starting and ending takes.
			if cpu <= 0 || group.Kind() == measure.Cgroup2 && (tracked <= cpu/2 || tracked > cpu+0.1) {
				t.Errorf("%.3f s of CPU time, the cgroup tells %.3f s", cpu, tracked)
			}
			select {
			case <-c.process.Exited():
			default:
				t.Error("Exited is not closed after Stop")
			}
			if pid != 0 {
				if left, err := session.Members(pid); err != nil || len(left) != 0 {
					t.Errorf("processes %v are left, %v", left, err)
				}
			}
			noneMentions(t, c.src)
			if after := limits(t); after != before {
				t.Errorf("the limits of inotify were %q and are %q", before, after)
			}
			if c.process.PID() != 0 {
				t.Error("a stopped engine has a process")
			}
		})
	}
}

// limits are what sersync2 changes on the machine.
func limits(t *testing.T) (all string) {
	t.Helper()
	for _, name := range []string{"max_user_watches", "max_queued_events"} {
		v, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(v)
	}
	return all
}

// noneMentions fails for each process whose command line has the word.
func noneMentions(t *testing.T, word string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(word)) {
			t.Errorf("%s: %q is left", f, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
}

// TestDeadRemote: a remote that refuses does not keep the others from their
// changes.
func TestDeadRemote(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, find(t, name), 1, true, -1)
			c.ready()
			c.write("a", "1")
			c.settle("a")
		})
	}
}

// TestSyncErrors: an engine that works when told to says why it could not.
func TestSyncErrors(t *testing.T) {
	for _, name := range []string{"ideal", "rsync"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, find(t, name), 2, false, -1)
			c.write("a", "1")
			if err := c.daemon.Stop(); err != nil {
				t.Fatal(err)
			}
			err := c.process.Sync(t.Context(), []string{"a"})
			if err == nil || !strings.Contains(err.Error(), "m0") || !strings.Contains(err.Error(), "m1") || !strings.Contains(err.Error(), "refused") {
				t.Errorf("without a daemon: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.process.Sync(ctx, []string{"a"}); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
	c := open(t, find(t, "inotifywait"), 1, false, -1)
	if err := c.process.Sync(t.Context(), nil); err == nil {
		t.Error("a live engine can be told to mirror")
	}
}

// TestExited: the end of an engine's own process shows.
func TestExited(t *testing.T) {
	for _, name := range []string{"fansync", "lsyncd", "inotifywait"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, find(t, name), 1, false, -1)
			c.ready()
			process, err := os.FindProcess(c.process.PID())
			if err != nil {
				t.Fatal(err)
			}
			c.do(process.Kill(), process.Release())
			select {
			case <-c.process.Exited():
			case <-time.After(within):
				t.Fatal("Exited is not closed")
			}
			if _, err := c.process.Stop(); err != nil {
				t.Fatal(err)
			}
			noneMentions(t, c.src)
		})
	}
}
