package watcher

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// inUse counts the fanotify groups that the process has open, and the marks
// they have.
func inUse(t *testing.T) (groups, marks int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	ok(t, err)
	for _, fd := range fds {
		if at, err := os.Readlink("/proc/self/fd/" + fd.Name()); err != nil || at != "anon_inode:[fanotify]" {
			continue // gone meanwhile: the list's own
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
		ok(t, err)
		groups++
		marks += strings.Count(string(info), "fanotify sdev:")
	}
	return groups, marks
}

func wantInUse(t *testing.T, groups, marks int) {
	t.Helper()
	if g, m := inUse(t); g != groups || m != marks {
		t.Errorf("%d groups with %d marks; want %d with %d", g, m, groups, marks)
	}
}

// together starts a Watcher for each of some directories in one, with one
// Groups.
func together(t *testing.T, fs string, names ...string) (top string, all []*probe) {
	t.Helper()
	top = tempRoot(t, fs)
	need(t, BackendFanotify, top)
	gs := new(Groups)
	for _, n := range names {
		mkdir(t, top+"/"+n)
		all = append(all, watch(t, Config{Root: top + "/" + n, Backend: BackendFanotify, Groups: gs}))
	}
	return top, all
}

func TestGroupIsShared(t *testing.T) {
	for _, fs := range []string{"disk", "shm"} {
		t.Run(fs, func(t *testing.T) {
			_, all := together(t, fs, "a", "b", "c")
			wantInUse(t, 1, 1)
			for i, p := range all {
				mkdir(t, p.path("d"))
				write(t, p.path(fmt.Sprint("d/f", i)), "1")
				for j, q := range all {
					ev := q.sync()
					if i == j {
						want(t, ev, "d", Created|Dir)
						want(t, ev, fmt.Sprint("d/f", i), Created|Closed)
					} else if len(ev) > 0 {
						t.Errorf("root %d has events of root %d: %v", j, i, ev)
					}
				}
			}
			for _, p := range all {
				p.close()
			}
			wantInUse(t, 0, 0)
		})
	}
}

func TestGroupReaderAllocatesNothing(t *testing.T) {
	buf := unhex(t, strings.Repeat(fanGolden["create"].in+fanGolden["rename"].in, 50))
	var sinks []*sink
	for range 3 {
		ring, c := newRing(1<<10), new(counters)
		sinks = append(sinks, &sink{ring: ring, count: c, decode: (&fanDecoder{ring: ring, count: c}).decode})
	}
	var r reader
	r.sinks.Store(&sinks)
	n := testing.AllocsPerRun(100, func() {
		r.deal(buf)
		for _, s := range sinks {
			for s.ring.peek() != nil {
				s.ring.pop()
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	for i, s := range sinks {
		if got := s.count.read.Load(); got != r.records || got == 0 || s.ring.dropped > 0 {
			t.Errorf("sink %d: %d of %d records, %d dropped", i, got, r.records, s.ring.dropped)
		}
	}
}

func TestGroupOfNestedRoots(t *testing.T) {
	_, all := together(t, "disk", "a", "a/b")
	a, b := all[0], all[1]
	wantInUse(t, 1, 1)
	write(t, b.path("f"), "1")
	write(t, a.path("g"), "1")
	ev := a.sync()
	want(t, ev, "b/f", Created)
	want(t, ev, "g", Created)
	ev = b.sync()
	want(t, ev, "f", Created)
	wantNone(t, ev, "g")
	// The inner root's end is an event like others for the outer one.
	remove(t, b.root)
	b.untilGone()
	want(t, a.sync(), "b", Removed|Dir)
	write(t, a.path("h"), "1")
	want(t, a.sync(), "h", Created)
}

func TestGroupRenameBetweenRoots(t *testing.T) {
	_, all := together(t, "disk", "a", "b")
	a, b := all[0], all[1]
	write(t, a.path("f"), "1")
	mkdir(t, a.path("d/e"))
	a.sync()
	b.sync()
	rename(t, a.path("f"), b.path("g"))
	rename(t, a.path("d"), b.path("d2"))
	ev := a.sync()
	want(t, ev, "f", Removed|Moved)
	want(t, ev, "d", Removed|Moved|Dir)
	ev = b.sync()
	want(t, ev, "g", Created|Moved)
	want(t, ev, "d2", Created|Moved|Dir|Subtree)
	for _, e := range ev {
		if e.From != "" {
			t.Errorf("%q from %q, which is in another root", e.Path, e.From)
		}
	}
	write(t, b.path("d2/e/f"), "1")
	want(t, b.sync(), "d2/e/f", Created)
	if ev := a.sync(); len(ev) > 0 {
		t.Error("events of what has left:", ev)
	}
}

func TestGroupStalledWatcherLosesOnlyItsOwn(t *testing.T) {
	top := tempRoot(t, "shm")
	need(t, BackendFanotify, top)
	gs := new(Groups)
	mkdir(t, top+"/a")
	mkdir(t, top+"/b")
	// Nobody receives from a.
	a := watch(t, Config{Root: top + "/a", Backend: BackendFanotify, Groups: gs, RingSlots: 64})
	b := watch(t, Config{Root: top + "/b", Backend: BackendFanotify, Groups: gs})
	wantInUse(t, 1, 1)
	for i := range 20_000 {
		write(t, a.path(fmt.Sprint(i)), "")
		if i%1000 == 0 {
			name := fmt.Sprint("f", i)
			write(t, b.path(name), "1")
			want(t, b.sync(), name, Created)
		}
	}
	eventually(t, func() bool { return a.w.Stats().RingDropped > 0 })
	b.sync()
	if s := b.w.Stats(); s.RingDropped > 0 || s.Rescans[RingFull] > 0 {
		t.Errorf("%+v", s)
	}
	a.until(func(e Event) bool { return e.Reason == RingFull && e.Path == "" })
	a.sync()
	write(t, a.path("last"), "1")
	want(t, a.sync(), "last", Created)
}

// Copies of one image have the same filesystem id.
func TestGroupIsNotSharedByCopiesOfAFilesystem(t *testing.T) {
	needRoot(t)
	top := tempRoot(t, "disk")
	need(t, BackendFanotify, top)
	gs := new(Groups)
	var all []*probe
	var ids [2]unix.Statfs_t
	for i, name := range []string{"one", "two"} {
		file, at := fmt.Sprint(top, "/image", i), top+"/"+name
		write(t, file, "")
		ok(t, os.Truncate(file, 8<<20))
		mkdir(t, at)
		command(t, "mkfs.ext4", "-q", "-U", "11111111-2222-3333-4444-555555555555", file)
		command(t, "mount", "-o", "loop", file, at)
		t.Cleanup(func() { detach(at) })
		ok(t, unix.Statfs(at, &ids[i]))
		all = append(all, watch(t, Config{Root: at, Backend: BackendFanotify, Groups: gs}))
	}
	if ids[0].Fsid != ids[1].Fsid {
		t.Error("the test's filesystems have different ids")
	}
	wantInUse(t, 2, 2)
	for i, p := range all {
		name := fmt.Sprint("f", i)
		write(t, p.path(name), "1")
		want(t, p.sync(), name, Created)
		wantNone(t, all[1-i].sync(), name)
	}
}

// A branch shares the group of the root if it is of the same filesystem.
func TestGroupIsSharedWithABranch(t *testing.T) {
	root := branched(t, "disk")
	real := tempRoot(t, "disk")
	mountAt(t, real, root+"/m", "", unix.MS_BIND, "")
	p := watch(t, Config{Root: root})
	wantInUse(t, 1, 1)
	liveAt(t, p, "m")
	unmount(t, root+"/m")
	want(t, p.sync(), "m", Rescan)
	write(t, p.path("f"), "1")
	want(t, p.sync(), "f", Created)
}

func TestGroupRemounted(t *testing.T) {
	at := tempRoot(t, "disk")
	mount := image(t, "ext4", 8<<20)
	mount(at)
	gs := new(Groups)
	var g gate
	var all []*probe
	for _, name := range []string{"a", "b"} {
		mkdir(t, at+"/"+name)
		all = append(all, watch(t, Config{Root: at + "/" + name, Backend: BackendFanotify, Groups: gs, hold: g.hold}))
	}
	g.during(func() {
		write(t, all[0].path("f"), "1")
		unmount(t, at)
		mount(at)
	})
	for _, p := range all {
		restarted := false
		p.until(func(e Event) bool {
			restarted = e.Reason == Restarted
			return restarted || e.Has(Gone)
		})
		if !restarted {
			t.Skip("seen while unmounted, or mounted as another device")
		}
	}
	wantInUse(t, 1, 1)
	for _, p := range all {
		write(t, p.path("g"), "1")
		want(t, p.sync(), "g", Created)
	}
}
