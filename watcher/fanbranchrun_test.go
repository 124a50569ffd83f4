package watcher

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Mounts that follow each other at one place may have the same number, and
// come and go while their branches are being opened and closed.
func TestBranchesFollowEachOther(t *testing.T) {
	root := branched(t, "disk")
	at := root + "/m"
	mkdir(t, at)
	t.Cleanup(func() { detach(at) })
	p := watch(t, Config{Root: root})
	told := func(name string) {
		t.Helper()
		ev := p.sync()
		if k := kinds(ev); !k["m"].has(Rescan) && !k[name].has(Created) {
			t.Fatalf("nothing of %q: %v", name, ev)
		}
	}
	for i := range 100 {
		name := fmt.Sprint("m/f", i)
		if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
			t.Skip("mount:", err)
		}
		write(t, p.path(name), "1")
		if i%3 > 0 {
			told(name)
			write(t, p.path(name+"again"), "1")
			told(name + "again")
		}
		unmount(t, at)
		if i%2 > 0 {
			write(t, p.path(name), "1")
			told(name)
		}
	}
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Skip("mount:", err)
	}
	// Once with what an end noticed late may still bring.
	for range 2 {
		p.sync()
	}
	liveAt(t, p, "m")
}

func TestBranchFollowsTheDirectoryThatHoldsIt(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/a/m", "tmpfs", 0, "")
	outside := root + "/../out"
	mountAt(t, "none", outside+"/n", "tmpfs", 0, "")
	t.Cleanup(func() {
		for _, at := range []string{root + "/b/m", root + "/in/n", root + "/../gone/n"} {
			detach(at)
		}
	})
	p := watch(t, Config{Root: root})
	rename(t, root+"/a", root+"/b")
	ev := p.sync()
	want(t, ev, "b/m", Rescan)
	liveAt(t, p, "b/m")
	rename(t, outside, root+"/in")
	want(t, p.sync(), "in/n", Rescan)
	liveAt(t, p, "in/n")
	rename(t, root+"/in", root+"/../gone")
	p.sync()
	write(t, root+"/../gone/n/f", "1")
	if ev := p.sync(); len(ev) != 0 {
		t.Error("events of what has left:", ev)
	}
}

// Without a free descriptor nothing can be opened.
func TestBranchTriesAgain(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/m", "tmpfs", 0, "")
	w, err := New(Config{Root: root, Repoll: time.Millisecond})
	ok(t, err)
	var old unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: old.Max}))
	restore := sync.OnceFunc(func() { ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) })
	t.Cleanup(restore)
	p := run(t, w)
	p.awaitReady()
	for range 2 {
		p.until(func(e Event) bool { return e.Path == "m" && e.Reason == NewMount })
	}
	if m := p.w.Stats().UnwatchedMounts; !slices.Equal(m, []string{"m"}) {
		t.Error("unwatched mounts:", m)
	}
	restore()
	eventually(t, func() bool { return len(p.w.Stats().UnwatchedMounts) == 0 })
	p.sync()
	liveAt(t, p, "m")
}
