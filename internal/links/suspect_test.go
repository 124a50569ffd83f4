package links

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

const (
	wrote     = coalesce.Wrote
	born      = coalesce.Born
	ghost     = coalesce.Ghost
	uncounted = coalesce.Uncounted
)

func TestJudge(t *testing.T) {
	file, folder := attrs{mode: unix.S_IFREG}, attrs{mode: unix.S_IFDIR}
	for _, c := range []struct {
		name    string
		flags   coalesce.Flags
		deletes uint32
		at      attrs
		missing bool
		want    bool
	}{
		{"new file", content | name | born | wrote, 0, file, false, false},
		{"written", content | wrote, 0, file, false, false},
		{"chmod", attr, 0, file, false, false},
		{"came and went", name | born | ghost | gone, 1, attrs{}, false, false},
		{"removed", name | gone, 1, attrs{}, false, false},
		{"renamed away", name | gone, 1, attrs{}, false, false},
		{"renamed to", content | name | moved, 0, file, false, false},
		{"came, was written and went", content | name | born | ghost | gone | wrote, 1, attrs{}, false, true},
		{"came, got a mode and went", attr | name | born | ghost | gone, 1, attrs{}, false, true},
		{"written, and missing", content | wrote, 0, attrs{}, true, true},
		{"written and removed", content | name | gone | wrote, 1, attrs{}, true, true},
		{"written, renamed over", content | name | moved | wrote, 0, file, false, true},
		{"written, removed and made anew", content | name | wrote, 1, file, false, true},
		{"removed and made anew", content | name, 1, file, false, true},
		{"removed twice", name | gone, 2, attrs{}, false, true},
		{"a directory moved away, then a file", content | name | uncounted, 1, file, false, true},

		{"chmod of a directory", attr | dir, 0, folder, false, false},
		{"directory made", name | dir | born, 0, folder, false, true},
		{"directory made, but gone", name | dir | born, 0, attrs{}, false, true},
		{"directory came and went", name | dir | born | ghost | gone, 1, attrs{}, false, true},
		{"directory moved here", name | dir | subtree | moved, 0, folder, false, true},
		{"directory where a file was heard of", name | content, 0, folder, false, true},
		{"empty directory removed", name | dir | gone, 1, attrs{}, false, false},
		{"full directory removed", name | dir | gone, 3, attrs{}, false, true},
		{"directory removed in which was written", name | dir | gone | wrote, 1, attrs{}, false, true},
		{"directory moved away", name | dir | gone | uncounted, 1, attrs{}, false, true},
	} {
		for _, blind := range []bool{true, false} {
			d := newDoubts(blind)
			d.judge(coalesce.Entry{Path: "p", Flags: c.flags, Deletes: c.deletes, Since: 3e9, Last: 4e9}, c.at, c.missing)
			if want := c.want && blind; d.pending.on != want {
				t.Errorf("%s, blind %v: %v, want %v", c.name, blind, d.pending.on, want)
			}
			if d.pending.on && (d.pending.since != 3e9 || d.pending.last != 4e9) {
				t.Errorf("%s: since %d, last %d", c.name, d.pending.since, d.pending.last)
			}
		}
	}
}

// TestMarks: one Change may end between a write under a name and the news that
// the file went from it.
func TestMarks(t *testing.T) {
	const s = int64(time.Second)
	write := func(at int64) coalesce.Entry {
		return coalesce.Entry{Path: "p", Flags: content | wrote, Since: at, Last: at}
	}
	leave := func(at int64) coalesce.Entry {
		return coalesce.Entry{Path: "p", Flags: name | content | moved, Since: at, Last: at}
	}
	other := func(at int64) coalesce.Entry {
		return coalesce.Entry{Path: "q", Flags: name | gone, Since: at, Last: at}
	}
	file := attrs{mode: unix.S_IFREG}
	for i, c := range []struct {
		entries []coalesce.Entry
		want    bool
	}{
		{[]coalesce.Entry{write(1 * s), leave(2 * s)}, true},
		{[]coalesce.Entry{leave(1 * s), write(2 * s)}, true},
		{[]coalesce.Entry{write(1 * s), other(2 * s)}, false},
		{[]coalesce.Entry{write(1 * s), write(2 * s)}, false},
		{[]coalesce.Entry{write(1 * s), leave(12 * s)}, false},
		{[]coalesce.Entry{leave(1 * s), write(12 * s), write(13 * s)}, false},
	} {
		d := newDoubts(true)
		for _, e := range c.entries {
			d.judge(e, file, false)
		}
		if d.pending.on != c.want {
			t.Errorf("case %d: %v, want %v", i, d.pending.on, c.want)
		}
	}
}

func TestJoinedSuspicions(t *testing.T) {
	a := suspicion{on: true, since: 5, last: 6, noted: 7, offset: 100, until: 200}
	b := suspicion{on: true, since: 4, last: 9, noted: 9, offset: 90, until: 210}
	want := suspicion{on: true, since: 4, last: 9, noted: 7, offset: 90, until: 210}
	var s suspicion
	for i, o := range []suspicion{{}, a, {}, b} {
		s.join(o)
		if want := []suspicion{{}, a, a, want}[i]; s != want {
			t.Errorf("after %d: %+v, want %+v", i, s, want)
		}
	}
}

// TestClock: a wall clock that was put forward must not make an event younger
// than it is.
func TestClock(t *testing.T) {
	const s = int64(time.Second)
	c := clock{offset: 1000 * s}
	for i, step := range []struct{ now, lead, oldest, want int64 }{
		{10, 1000, 9, 1000},
		{20, 995, 19, 995},   // put back: holds at once
		{30, 6000, 29, 995},  // put forward: events to come may be from before
		{140, 6000, 29, 995}, // as this is
		{160, 6000, 149, 995},
		{170, 6000, 150, 6000}, // this is not
		{180, 6010, 179, 6000}, // once more
		{190, 5990, 189, 5990}, // and back
		{400, 5990, 399, 5990},
		{410, 6000, 409, 5990},
		{600, 6000, 530, 6000},
	} {
		if c.observe(step.now*s, (step.now+step.lead)*s, step.oldest*s); c.offset != step.want*s {
			t.Errorf("step %d: offset %d, want %d", i, c.offset, step.want)
		}
	}
}

// TestRemember: what counts as told.
func TestRemember(t *testing.T) {
	a := attrs{file: inode{1, 2}, mode: unix.S_IFREG, nlink: 1, ctime: 100}
	past, now, mg := looks{since: 101}, looks{since: 100}, looks{since: 100, fine: true}
	for i, c := range []struct {
		flags coalesce.Flags
		at    looks
		a     attrs
		want  bool
	}{
		{content, past, a, true},
		{content | name | born, past, a, true},
		{attr | racy, past, a, true},
		{attr, past, a, false},
		{content, now, a, false}, // it may change within the same tick
		{content, mg, a, true},
		{content, past, attrs{}, false},
		{content | dir, past, attrs{mode: unix.S_IFDIR}, false},
	} {
		d := newDoubts(true)
		d.remember(coalesce.Entry{Path: "p", Flags: c.flags}, c.a, c.at)
		if got := d.known(found{link{"p", a.file}, a}); got != c.want {
			t.Errorf("case %d: %v, want %v", i, got, c.want)
		}
		later := a
		later.ctime++
		another := a
		another.file.ino++
		for path, a := range map[string]attrs{"p": later, "q": a, "p/": another} {
			if d.known(found{link{path, a.file}, a}) {
				t.Errorf("case %d: %q %+v is known", i, path, a)
			}
		}
	}
	d := newDoubts(false)
	d.remember(coalesce.Entry{Path: "p", Flags: content}, a, past)
	if len(d.told.values) > 0 {
		t.Error("told files are kept without need")
	}
}

// TestRememberMoved: a directory that the remotes may take from its old name is
// not told by that; what was told under the old name is.
func TestRememberMoved(t *testing.T) {
	const treeIn = name | dir | subtree | moved
	a := attrs{file: inode{1, 2}, mode: unix.S_IFREG, nlink: 1, ctime: 100}
	d := newDoubts(true)
	d.remember(coalesce.Entry{Path: "old/d/told", Flags: content}, a, looks{since: 101})
	d.remember(coalesce.Entry{Path: "new", From: "old", Flags: treeIn}, attrs{mode: unix.S_IFDIR}, looks{since: 200})
	d.remember(coalesce.Entry{Path: "in", Flags: treeIn}, attrs{mode: unix.S_IFDIR}, looks{since: 200})
	later := a
	later.ctime++
	for _, c := range []struct {
		path string
		a    attrs
		want bool
	}{
		{"new/d/told", a, true},
		{"new/d/told", later, false},
		{"new/d/other", a, false},
		{"newer/d/told", a, false},
		{"in/d/any", a, true},
	} {
		if got := d.known(found{link{c.path, c.a.file}, c.a}); got != c.want {
			t.Errorf("%q %+v: %v, want %v", c.path, c.a, got, c.want)
		}
	}
}

// TestFineKernel: a look makes the file's next time of change differ, however
// soon that is.
func TestFineKernel(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a")
		tr, err := openTree(root)
		must(t, err)
		defer tr.close()
		if !tr.looks.fine {
			t.Skip("not with this kernel and filesystem")
		}
		last := int64(0)
		for i := range 1000 {
			a, err := tr.stat("a")
			must(t, err)
			if a.ctime == last {
				t.Fatalf("look %d: the same time after a change", i)
			}
			last = a.ctime
			must(t, os.Chmod(root+"/a", 0o600))
		}
	})
}

// TestNamesOfTouchedFilesOutliveAWalk: two files lose names in one Change. The
// second lost all that were known, so the tree is walked; the first has a single
// name left, which that walk must not forget.
func TestNamesOfTouchedFilesOutliveAWalk(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "b", "c/x=b", "c/y", "c/z=c/y")
	x := New(Config{Root: root})
	expand(t, x, changed("b", content))
	must(t, os.RemoveAll(root+"/c"))
	expect(t, expand(t, x, changed("c", content|name|dir|gone|wrote)), "b content", "c content|name|dir|gone|wrote")
}

func TestMarksAreBounded(t *testing.T) {
	d := newDoubts(true)
	for i := range markedPaths + 10 {
		d.judge(coalesce.Entry{Path: fmt.Sprint(i), Flags: content | wrote, Since: 1, Last: watcher.Now()}, attrs{}, false)
	}
	if len(d.marks.values) != markedPaths {
		t.Errorf("%d marks", len(d.marks.values))
	}
}
