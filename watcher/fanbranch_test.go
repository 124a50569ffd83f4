package watcher

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountAt mounts something and sees to its unmounting.
func mountAt(t *testing.T, source, at, kind string, flags uintptr, data string) {
	t.Helper()
	needRoot(t)
	mkdir(t, at)
	if err := unix.Mount(source, at, kind, flags, data); err != nil {
		t.Skipf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() { detach(at) })
}

// branched makes a root that fanotify can watch, in the filesystem fs.
func branched(t *testing.T, fs string) string {
	t.Helper()
	needRoot(t)
	root := tempRoot(t, fs)
	need(t, BackendFanotify, root)
	return root
}

// liveAt checks that changes below a mount point are told, and renames in it
// from both ends, and that nothing is left to rescans.
func liveAt(t *testing.T, p *probe, at string) {
	t.Helper()
	name := func(n string) string { return at + "/" + n }
	mkdir(t, p.path(name("new/e")))
	write(t, p.path(name("new/e/f")), "1")
	ev := p.sync()
	want(t, ev, name("new"), Created|Dir)
	want(t, ev, name("new/e/f"), Created)
	write(t, p.path(name("new/e/f")), "22")
	want(t, p.sync(), name("new/e/f"), Modified|Closed)
	rename(t, p.path(name("new/e")), p.path(name("g")))
	ev = p.sync()
	want(t, ev, name("new/e"), Removed|Moved|Dir)
	want(t, ev, name("g"), Created|Moved|Dir|Subtree)
	if !slices.ContainsFunc(ev, func(e Event) bool { return e.Path == name("g") && e.From == name("new/e") }) {
		t.Errorf("rename not told from both ends: %v", ev)
	}
	write(t, p.path(name("g/h")), "1")
	remove(t, p.path(name("g/f")))
	ev = p.sync()
	want(t, ev, name("g/h"), Created)
	want(t, ev, name("g/f"), Removed)
	if m := p.w.Stats().UnwatchedMounts; len(m) != 0 {
		t.Error("unwatched mounts:", m)
	}
}

func TestBranch(t *testing.T) {
	mountImage := func(kind string, size int64) func(t *testing.T, at string) {
		return func(t *testing.T, at string) {
			mkdir(t, at)
			image(t, kind, size)(at)
		}
	}
	for _, c := range []struct {
		name, fs string
		mount    func(t *testing.T, at string)
		watches  bool // with inotify
	}{
		{"tmpfs in a disk's", "disk", func(t *testing.T, at string) { mountAt(t, "none", at, "tmpfs", 0, "") }, false},
		{"ext4 in tmpfs", "shm", mountImage("ext4", 8<<20), false},
		{"xfs", "disk", mountImage("xfs", 320<<20), false},
		{"btrfs", "disk", mountImage("btrfs", 128<<20), false},
		{"btrfs subvolume", "disk", func(t *testing.T, at string) {
			if _, err := exec.LookPath("btrfs"); err != nil {
				t.Skip(err)
			}
			top := tempRoot(t, "disk")
			image(t, "btrfs", 128<<20)(top)
			command(t, "btrfs", "subvolume", "create", top+"/v")
			mountAt(t, top+"/v", at, "", unix.MS_BIND, "")
		}, true},
		{"bind mount from outside", "disk", func(t *testing.T, at string) {
			real := tempRoot(t, "disk")
			mkdir(t, real+"/old")
			mountAt(t, real, at, "", unix.MS_BIND, "")
		}, false},
		{"overlay", "disk", func(t *testing.T, at string) {
			dir := tempRoot(t, "shm")
			for _, d := range []string{"lower/was/here", "upper", "work"} {
				mkdir(t, dir+"/"+d)
			}
			mountAt(t, "overlay", at, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Run("before", func(t *testing.T) {
				root := branched(t, c.fs)
				c.mount(t, root+"/a/m")
				p := watch(t, Config{Root: root})
				liveAt(t, p, "a/m")
				if n := p.w.Stats().Watches; (n > 0) != c.watches {
					t.Error("inotify watches:", n)
				}
				if p.w.Blind("a/m/g") != c.watches || p.w.Blind("a/m") != c.watches || p.w.Blind("a/m2") {
					t.Error("blind at the wrong paths")
				}
				// The root's own filesystem is watched as ever.
				write(t, p.path("a/x"), "1")
				want(t, p.sync(), "a/x", Created)
			})
			t.Run("while running", func(t *testing.T) {
				root := branched(t, c.fs)
				p := watch(t, Config{Root: root})
				c.mount(t, root+"/a/m")
				want(t, p.sync(), "a/m", Rescan)
				liveAt(t, p, "a/m")
				unmount(t, root+"/a/m")
				want(t, p.sync(), "a/m", Rescan)
				write(t, p.path("a/m/under"), "1")
				want(t, p.sync(), "a/m/under", Created)
				eventually(t, func() bool { return p.w.Stats().Watches == 0 })
			})
		})
	}
}

// No descriptor is kept in what is mounted: the first umount succeeds.
func TestBranchDoesNotHoldUpUnmounting(t *testing.T) {
	for _, kind := range []string{"tmpfs", "overlay"} {
		t.Run(kind, func(t *testing.T) {
			root := branched(t, "disk")
			at := root + "/m"
			if kind == "tmpfs" {
				mountAt(t, "none", at, kind, 0, "")
			} else {
				dir := tempRoot(t, "shm")
				for _, d := range []string{"lower/d", "upper", "work"} {
					mkdir(t, dir+"/"+d)
				}
				mountAt(t, "overlay", at, kind, 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir))
			}
			p := watch(t, Config{Root: root})
			mkdir(t, at+"/d/e")
			write(t, at+"/d/e/f", "1")
			want(t, p.sync(), "m/d/e/f", Created)
			// What a barrier's answer may still be closing is closed with the next.
			p.sync()
			ok(t, unix.Unmount(at, 0))
			want(t, p.sync(), "m", Rescan)
		})
	}
}

func TestBranchInABranch(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/m", "tmpfs", 0, "")
	mountAt(t, "none", root+"/m/d/n", "tmpfs", 0, "")
	mountAt(t, "none", root+"/m-2", "tmpfs", 0, "")
	p := watch(t, Config{Root: root})
	for _, at := range []string{"m", "m/d/n", "m-2"} {
		liveAt(t, p, at)
	}
	mountAt(t, "none", root+"/m/d/n/o", "tmpfs", 0, "")
	want(t, p.sync(), "m/d/n/o", Rescan)
	liveAt(t, p, "m/d/n/o")
	// One over another hides what is in that.
	mountAt(t, "none", root+"/m", "tmpfs", 0, "")
	want(t, p.sync(), "m", Rescan)
	liveAt(t, p, "m")
	unmount(t, root+"/m")
	want(t, p.sync(), "m", Rescan)
	write(t, p.path("m/d/n/o/again"), "1")
	write(t, p.path("m/d/again"), "1")
	ev := p.sync()
	want(t, ev, "m/d/n/o/again", Created)
	want(t, ev, "m/d/again", Created)
	unmount(t, root+"/m/d/n/o")
	unmount(t, root+"/m/d/n")
	want(t, p.sync(), "m/d/n", Rescan)
	if m := p.w.Stats().UnwatchedMounts; len(m) != 0 {
		t.Error("unwatched mounts:", m)
	}
}

// The root in itself is one tree at two places, not an endless one.
func TestBranchIsTheRootItself(t *testing.T) {
	root := branched(t, "disk")
	mkdir(t, root+"/d")
	mountAt(t, root, root+"/self", "", unix.MS_BIND, "")
	p := watch(t, Config{Root: root})
	write(t, root+"/d/f", "1")
	ev := p.sync()
	want(t, ev, "d/f", Created)
	want(t, ev, "self/d/f", Created)
	if all := kinds(ev); len(all) != 2 {
		t.Error("more than two paths:", all)
	}
}

func TestBranchBarrierComesAfterItsEvents(t *testing.T) {
	root := branched(t, "disk")
	var at []string
	for i := range 5 {
		at = append(at, fmt.Sprint("m", i))
		mountAt(t, "none", root+"/"+at[i], "tmpfs", 0, "")
	}
	p := watch(t, Config{Root: root})
	for i := range 100 {
		name := fmt.Sprint("f", i)
		for _, m := range at {
			write(t, p.path(m+"/"+name), "1")
		}
		write(t, p.path(name), "1")
		// Several requests under way at once.
		for range 3 {
			p.w.Barrier()
		}
		ev := p.sync()
		want(t, ev, name, Created)
		for _, m := range at {
			want(t, ev, m+"/"+name, Created)
		}
	}
	// A mount going away does not hold up a barrier.
	for _, m := range at {
		p.w.Barrier()
		unmount(t, p.path(m))
		want(t, p.sync(), m, Rescan)
	}
}

func TestBranchIgnored(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/no/m", "tmpfs", 0, "")
	mountAt(t, "none", root+"/yes", "tmpfs", 0, "")
	mkdir(t, root+"/yes/no")
	p := watch(t, Config{Root: root, Ignore: func(path string, _ bool) bool {
		return path == "no" || path == "yes/no" || path == "yes/x"
	}})
	write(t, root+"/no/m/f", "1")
	write(t, root+"/yes/no/f", "1")
	write(t, root+"/yes/x", "1")
	write(t, root+"/yes/f", "1")
	ev := p.sync()
	want(t, ev, "yes/f", Created)
	if all := kinds(ev); len(all) != 1 {
		t.Error("more than one path:", all)
	}
	unmount(t, root+"/no/m")
	if ev := p.sync(); len(ev) != 0 {
		t.Error("events of an ignored mount:", ev)
	}
}

// What cannot be watched is rescanned, again and again, and watched once it can.
func TestBranchThatCannotBeWatched(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/p", "proc", 0, "")
	write(t, root+"/file", "1")
	write(t, root+"/other", "1")
	ok(t, unix.Mount(root+"/other", root+"/file", "", unix.MS_BIND, ""))
	t.Cleanup(func() { detach(root + "/file") })
	p := watch(t, Config{Root: root, Repoll: time.Millisecond})
	for _, path := range []string{"p", "file", "p", "file"} {
		p.until(func(e Event) bool { return e.Path == path && e.Reason == NewMount })
	}
	if m := p.w.Stats().UnwatchedMounts; !slices.Equal(m, []string{"file", "p"}) {
		t.Error("unwatched mounts:", m)
	}
	unmount(t, root+"/file")
	unmount(t, root+"/p")
	p.sync()
	if m := p.w.Stats().UnwatchedMounts; len(m) != 0 {
		t.Error("unwatched mounts:", m)
	}
	write(t, root+"/p/f", "1")
	want(t, p.sync(), "p/f", Created)
}

// A receiver that stalls holds up neither the branch's reader nor its kernel
// queue, and Ready comes without a receiver.
func TestBranchOfAStalledReceiver(t *testing.T) {
	root := branched(t, "disk")
	for i := range 40 {
		mountAt(t, "none", fmt.Sprint(root, "/m", i), "tmpfs", 0, "")
	}
	p := watch(t, Config{Root: root, RingSlots: 64})
	for i := range 20_000 {
		write(t, fmt.Sprint(root, "/m0/", i), "")
	}
	eventually(t, func() bool { return p.w.Stats().RingDropped > 0 })
	p.until(func(e Event) bool { return e.Path == "m0" && e.Reason == RingFull })
	p.sync()
	write(t, root+"/m0/last", "1")
	want(t, p.sync(), "m0/last", Created)
}

func TestBranchStats(t *testing.T) {
	root := branched(t, "disk")
	mountAt(t, "none", root+"/m", "tmpfs", 0, "")
	p := watch(t, Config{Root: root})
	p.sync()
	before := p.w.Stats()
	for i := range 50 {
		write(t, fmt.Sprint(root, "/m/", i), "1")
	}
	p.sync()
	var live Stats
	// A batch is counted just after it was handed over.
	eventually(t, func() bool {
		live = p.w.Stats()
		return live.Read >= before.Read+50 && live.Sent >= before.Sent+50
	})
	unmount(t, root+"/m")
	want(t, p.sync(), "m", Rescan)
	if after := p.w.Stats(); after.Read < live.Read || after.CacheHits < live.CacheHits || after.Rescans[NewMount] == 0 {
		t.Errorf("%+v\n%+v", live, after)
	}
}

func TestNextBelow(t *testing.T) {
	all := []string{"a", "a-b", "a/b", "a/b/c", "b/c", "b/c-d", "b/c/d"}
	if got := nextBelow(all); !slices.Equal(got, []string{"a", "a-b", "b/c", "b/c-d"}) {
		t.Error(got)
	}
}
