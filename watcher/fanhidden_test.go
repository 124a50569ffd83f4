package watcher

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
)

// hiddenIn are the paths told as Hidden, and whether some file was.
func hiddenIn(events []Event) (paths map[string]bool, unknown bool) {
	paths = map[string]bool{}
	for _, e := range events {
		switch {
		case e.Has(Hidden | Dir):
			unknown = true
		case e.Has(Hidden):
			paths[e.Path] = true
		}
	}
	return paths, unknown
}

func (w hide) check(t *testing.T, events []Event) {
	t.Helper()
	paths, unknown := hiddenIn(events)
	for _, path := range w.want {
		if !paths[path] {
			t.Errorf("%q is not told as hidden", path)
		}
	}
	for path := range paths {
		if !slices.Contains(w.want, path) && !slices.Contains(w.may, path) {
			t.Errorf("%q is told as hidden", path)
		}
	}
	if w.some && len(paths) == 0 && !unknown {
		t.Error("nothing is told as hidden")
	}
	if unknown != w.unknown && !(unknown && w.mayUnknown) {
		t.Errorf("some hidden file is told: %v, want %v", unknown, w.unknown)
	}
	if t.Failed() {
		t.Log("events:\n" + listing(events))
	}
}

// TestHidden runs every hide on real filesystems: with all records waiting in
// the kernel, where they are merged and their names long gone when they are
// read, and with every step read before the next.
func TestHidden(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4", "xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) {
			if testing.Short() && kind != "tmpfs" && kind != "ext4" {
				t.Skip("two filesystems are enough, if it must be short")
			}
			base := filesystem(t, kind)
			need(t, BackendFanotify, base)
			n := 0
			for _, name := range slices.Sorted(maps.Keys(hides)) {
				for _, how := range []string{"at once", "step by step"} {
					n++
					t.Run(name+", "+how, func(t *testing.T) {
						runHide(t, filepath.Join(base, fmt.Sprint(n)), hides[name], how == "at once")
					})
				}
			}
		})
	}
}

func filesystem(t *testing.T, kind string) string {
	t.Helper()
	if kind == "tmpfs" {
		needRoot(t)
		return mirrortest.TmpfsDir(t)
	}
	return mirrortest.LoopFS(t, kind, 32)
}

func runHide(t *testing.T, dir string, w hide, atOnce bool) {
	h := &hiding{t: t, root: filepath.Join(dir, "root")}
	mkdir(t, h.root)
	mkdir(t, filepath.Join(dir, "out"))
	write(t, h.at("X"), "old")
	if w.setup != nil {
		w.setup(h)
	}
	var g gate
	p := watch(t, Config{Root: h.root, Backend: BackendFanotify, hold: g.hold, Ignore: func(path string, _ bool) bool {
		return strings.HasSuffix(path, ".ign")
	}})
	var events []Event
	if atOnce {
		g.during(func() {
			for _, step := range w.steps {
				step(h)
			}
		})
	} else {
		if w.soon {
			w = w.tooSoon()
		}
		for _, step := range w.steps {
			step(h)
			events = append(events, p.sync()...)
		}
	}
	events = append(events, p.sync()...)
	w.check(t, events)
	paths, unknown := hiddenIn(events)
	s := p.w.Stats()
	if (s.Hidden > 0) != (len(paths) > 0) || (s.HiddenUnknown > 0) != unknown {
		t.Errorf("stats: %d hidden, %d unknown", s.Hidden, s.HiddenUnknown)
	}
	for why, n := range s.Rescans {
		if n > 0 {
			t.Errorf("%d rescans: %s", n, why)
		}
	}
}

// A storm of links, each gone at once: none may be missed.
func TestHiddenStorm(t *testing.T) {
	const n = 2000
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			root := filesystem(t, kind)
			need(t, BackendFanotify, root)
			h := &hiding{t: t, root: root}
			write(t, h.at("X"), "")
			for i := range n {
				write(t, h.at(fmt.Sprint("f", i)), "")
			}
			p := watch(t, Config{Root: root, Backend: BackendFanotify})
			for i := range n {
				do(fmt.Sprintf("ln f%d L", i), "write L", "rm L")(h)
				do(fmt.Sprintf("ln X M%d", i), fmt.Sprintf("write M%d", i), fmt.Sprintf("rm M%d", i))(h)
			}
			events := p.sync()
			paths, unknown := hiddenIn(events)
			if !unknown {
				for i := range n {
					if !paths[fmt.Sprint("f", i)] {
						t.Fatalf("f%d is not told", i)
					}
				}
				if !paths["X"] {
					t.Error("X is not told")
				}
			}
			s := p.w.Stats()
			t.Logf("%d events, %d hidden, %d unknown", len(events), s.Hidden, s.HiddenUnknown)
			if s.HiddenUnknown > n/100 {
				t.Errorf("%d of %d could not be found", s.HiddenUnknown, 2*n)
			}
		})
	}
}

// A file that the kernel has met under the link only has no path for it when
// the link is gone.
func TestHiddenUnknown(t *testing.T) {
	at := tempRoot(t, "disk")
	mount := image(t, "ext4", 16<<20)
	mount(at)
	mkdir(t, at+"/root/d")
	write(t, at+"/root/d/X", "old")
	ok(t, os.Link(at+"/root/d/X", at+"/root/L"))
	unmount(t, at)
	mount(at)
	p := watch(t, Config{Root: at + "/root", Backend: BackendFanotify})
	ok(t, appendTo(p.path("L"), "more"))
	ok(t, os.Remove(p.path("L")))
	events := p.sync()
	hide{unknown: true}.check(t, events)
	if s := p.w.Stats(); s.Hidden != 0 || s.HiddenUnknown != 1 {
		t.Errorf("stats: %d hidden, %d unknown, want 0 and 1", s.Hidden, s.HiddenUnknown)
	}
	_, err := os.Lstat(p.path("d/X"))
	ok(t, err)
	ok(t, os.Link(p.path("d/X"), p.path("L")))
	ok(t, appendTo(p.path("L"), "more"))
	ok(t, os.Remove(p.path("L")))
	hide{want: []string{"d/X"}}.check(t, p.sync())
}

// The link of a symbolic link, and through a bind mount.
func TestHiddenOddly(t *testing.T) {
	base := filesystem(t, "tmpfs")
	need(t, BackendFanotify, base)
	mkdir(t, base+"/tree")
	mkdir(t, base+"/bound")
	mirrortest.Mount(t, base+"/tree", base+"/bound", "", unix.MS_BIND, "")
	p := watch(t, Config{Root: base + "/bound", Backend: BackendFanotify})
	ok(t, os.Symlink("nowhere", p.path("S")))
	write(t, p.path("X"), "old")
	p.sync()
	ok(t, unix.Linkat(unix.AT_FDCWD, p.path("S"), unix.AT_FDCWD, p.path("L"), 0))
	ok(t, os.Lchown(p.path("L"), 1, 1))
	ok(t, os.Remove(p.path("L")))
	hide{want: []string{"S"}}.check(t, p.sync())
	// Through the other mount.
	ok(t, os.Link(base+"/tree/X", base+"/tree/L"))
	ok(t, appendTo(base+"/tree/L", "more"))
	ok(t, os.Remove(base+"/tree/L"))
	hide{want: []string{"X"}}.check(t, p.sync())
}

// A file that was not changed is never looked for, nor is one that is gone
// told; the root is let go of whatever the records were.
func TestPlainDeletesAreNotLookedFor(t *testing.T) {
	base := filesystem(t, "tmpfs")
	root := base + "/root"
	mkdir(t, root)
	need(t, BackendFanotify, root)
	w := newWatcher(t, Config{Root: root, Backend: BackendFanotify})
	t.Cleanup(w.Close)
	f := newResolver(w).back.(*fan)
	write(t, root+"/f", "1")
	var buf handleBuf
	key, _, err := nameToHandle(unix.AT_FDCWD, root+"/f", 0, &buf)
	ok(t, err)
	ok(t, os.Remove(root+"/f"))
	p := payload{partDir: []byte(w.id.handle), partName: []byte("f"), partChild: key}
	f.handle(&slot{mask: unix.FAN_CREATE, time: 1}, p)
	f.handle(&slot{mask: unix.FAN_DELETE, time: 2}, p)
	if f.root >= 0 {
		t.Error("a file that was not changed was looked for")
	}
	f.handle(&slot{mask: unix.FAN_DELETE | unix.FAN_MODIFY, time: 3}, p)
	if f.root < 0 {
		t.Error("a file that was changed was not looked for; the test shows nothing")
	}
	f.settle(4)
	if f.root >= 0 {
		t.Error("the root is held")
	}
	events := f.r.out.take(f.r.out.len())
	if paths, unknown := hiddenIn(events); len(paths) > 0 || unknown {
		t.Error("told:", events)
	}
}

func TestUnmountIsNotHeldUpByRecordsFromOutside(t *testing.T) {
	base := filesystem(t, "tmpfs")
	mkdir(t, base+"/root")
	mkdir(t, base+"/out")
	p := watch(t, Config{Root: base + "/root", Backend: BackendFanotify})
	write(t, base+"/out/f", "1")
	eventually(t, func() bool { return p.w.Stats().Outside > 0 })
	eventually(t, func() bool {
		err := unix.Unmount(base, 0)
		if err != nil && !errors.Is(err, unix.EBUSY) {
			t.Fatal(err)
		}
		return err == nil
	})
	p.untilGone()
}
