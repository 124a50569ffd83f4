package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/scheduler"
)

var oddNames = []string{"#hash", ";semicolon", "-dash", "--delete", "new\nline", `quo"te`, "apo'strophe", "gl*b", "wh?t",
	"[set]", `back\slash`, `\#012`, "in\xffvalid", " blank ", "$(touch x)", "`x`", "é", "colon:", "~", "a\tb", ".#lock", "{}"}

func TestOddNames(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, oddNames...)
	p.mustSend(scheduler.Flat, oddNames...)
	p.same()
	for _, name := range oddNames {
		remove(t, p.src, name)
		p.mustSend(scheduler.Flat, "!"+name)
		exists(t, p.dst, false, name)
	}
	for _, name := range oddNames {
		write(t, p.src, name+"/", filepath.Join(name, name))
	}
	for _, name := range oddNames {
		p.mustSend(scheduler.Flat, name+"/")
		exists(t, p.dst, true, filepath.Join(name, name))
	}
	p.same()
}

// rewrite replaces a file's content and puts its time to at.
func rewrite(t *testing.T, root, name, text string, at time.Time) {
	t.Helper()
	write(t, root, name+"="+text)
	if err := os.Chtimes(filepath.Join(root, name), at, at); err != nil {
		t.Fatal(err)
	}
}

func TestSameSecondRewrite(t *testing.T) {
	p := newPair(t, Config{}, "")
	at := time.Unix(1_700_000_000, 100)
	rewrite(t, p.src, "f", "old", at)
	p.mustSend(scheduler.Flat, "f")
	rewrite(t, p.src, "f", "new", at.Add(time.Nanosecond))
	p.mustSend(scheduler.Flat, "f")
	p.same()
}

func TestRacyForms(t *testing.T) {
	p := newPair(t, Config{}, "")
	at := time.Unix(1_700_000_000, 100)
	for _, form := range []scheduler.Form{scheduler.Racy, scheduler.DeepRacy} {
		rewrite(t, p.src, "d/f", "old", at)
		p.mustSend(form, "d/f")
		rewrite(t, p.src, "d/f", "new", at)
		p.mustSend(scheduler.Flat, "d/f")
		if data, err := os.ReadFile(filepath.Join(p.dst, "d/f")); err != nil || string(data) != "old" {
			t.Errorf("%s: equal size and time are not trusted in a flat batch: %q, %v", form, data, err)
		}
		p.mustSend(form, map[bool]string{true: "d", false: "d/f"}[form.Deep()])
		p.same()
	}
}

func TestOneLevelLeavesSiblingsAlone(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "p/f", "p/d/keep", "p/d/sub/x")
	write(t, p.dst, "extra", "p/extra", "p/d/sub/extra", "p/d/extra", "p/d/gone/x", "p/d/sub/x")
	p.mustSend(scheduler.Flat, "p/d/", "p/f")
	exists(t, p.dst, true, "extra", "p/extra", "p/d/sub/extra", "p/d/keep", "p/f")
	exists(t, p.dst, false, "p/d/extra", "p/d/gone")
}

func TestOneLevelOfTheRoot(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "f", "d/x")
	write(t, p.dst, "extra", "gone/x", "d/extra")
	p.mustSend(scheduler.Flat, "/")
	exists(t, p.dst, true, "f", "d", "d/extra")
	exists(t, p.dst, false, "extra", "gone", "d/x")
}

func TestDirectoryItemIsEmpty(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "d/f")
	p.mustSend(scheduler.Flat, "d")
	exists(t, p.dst, true, "d")
	exists(t, p.dst, false, "d/f")
}

func TestMissingDirectory(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.dst, "d/a/b/f", "d/g", "keep")
	res := p.mustSend(scheduler.Flat, "!d")
	exists(t, p.dst, false, "d")
	exists(t, p.dst, true, "keep")
	if res.Stats.Deleted != 5 {
		t.Errorf("%d entries deleted, want 5", res.Stats.Deleted)
	}
}

func TestMissingParent(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "keep")
	write(t, p.dst, "gone/f", "gone/g")
	res := p.send(scheduler.Flat, "!gone/f", "keep")
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "gone/f" || !res.Failed[0].Vanished {
		t.Fatalf("%+v", res)
	}
	exists(t, p.dst, true, "keep")
	p.mustSend(scheduler.Flat, "!gone")
	p.same()
}

func TestDirectoryBecomesFileAndBack(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "x/a/f", "x/g")
	p.mustSend(scheduler.Deep, "x")
	remove(t, p.src, "x")
	write(t, p.src, "x")
	p.mustSend(scheduler.Flat, "x")
	p.same()
	remove(t, p.src, "x")
	write(t, p.src, "x/f")
	p.mustSend(scheduler.Flat, "x/f")
	p.same()
}

func TestSymlinkReplaced(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "real/f", "l@real", "m@nowhere")
	p.mustSend(scheduler.Deep, "l", "m", "real")
	p.same()
	remove(t, p.src, "l", "m")
	write(t, p.src, "l/g", "m@real/f")
	p.mustSend(scheduler.Flat, "l/", "m")
	p.same()
	remove(t, p.src, "l", "m")
	write(t, p.src, "l@real", "m/h")
	p.mustSend(scheduler.Flat, "l", "m/")
	p.same()
}

// A listed name whose parent is a symlink would be sent as if it lay in a
// directory of that name, whatever the link points to.
func TestSymlinkAmongTheParents(t *testing.T) {
	p := newPair(t, Config{}, "")
	outside := t.TempDir()
	write(t, outside, "secret", "d/secret")
	write(t, p.src, "l@"+outside, "keep")
	res := p.send(scheduler.Flat, "l/secret", "l/d/", "keep")
	if res.Class != scheduler.Partial || len(res.Failed) != 2 || res.Failed[0].Path != "l/d" || res.Failed[1].Path != "l/secret" {
		t.Errorf("%+v", res)
	}
	if res = p.send(scheduler.Flat, "l/"); res.Class != scheduler.Partial || len(res.Failed) != 1 || !res.Failed[0].Vanished {
		t.Errorf("one level of a symlink: %+v", res)
	}
	exists(t, p.dst, false, "l")
	p.mustSend(scheduler.Flat, "l")
	p.mustSend(scheduler.Deep, "l")
	p.same()
}

// With the parent gone at the source, rsync would follow the symlink that the
// remote still has, and delete behind it.
func TestMissingBelowARemoteSymlink(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "real/f")
	write(t, p.dst, "real/f", "l@real")
	res := p.send(scheduler.Flat, "!l/f")
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "l/f" {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "real/f")
}

func TestDeepLeavesTheRestAlone(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "p/d/a/f", "p/d/g", "p/f")
	write(t, p.dst, "extra", "p/extra", "p/d/extra", "p/d/a/extra/x", "p/e/x")
	p.mustSend(scheduler.Deep, "p/d", "!p/nothing")
	exists(t, p.dst, true, "extra", "p/extra", "p/e/x", "p/d/a/f", "p/d/g")
	exists(t, p.dst, false, "p/d/extra", "p/d/a/extra", "p/f")
	p.mustSend(scheduler.Full)
	p.same()
}

func TestDeepOfTheRoot(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "a/b/f", "g")
	write(t, p.dst, "extra/x", "a/extra")
	p.mustSend(scheduler.Deep, "")
	p.same()
}

func TestPathsThatLeaveTheRoot(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, filepath.Dir(p.src), "outside")
	before := tree(t, p.dst)
	for _, path := range []string{"../outside", "a/../../outside", "/etc/passwd", "a//b", "./a", "a/."} {
		res := p.Send(t.Context(), scheduler.Batch{Items: []scheduler.Item{{Path: path}}, MaxDelete: -1}, nil)
		if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Message != msgName {
			t.Errorf("%q: %+v", path, res)
		}
	}
	if diff := cmp.Diff(before, tree(t, p.dst)); diff != "" {
		t.Errorf("the destination changed (-before +after):\n%s", diff)
	}
}

func TestLongList(t *testing.T) {
	p := newPair(t, Config{}, "")
	var names []string
	for i := range 20_000 {
		name := fmt.Sprintf("!d/%05d", i)
		if i%40 == 0 {
			name = name[1:]
			write(t, p.src, name)
		}
		names = append(names, name)
	}
	write(t, p.dst, "d/00001", "d/19999", "d/other")
	res := p.mustSend(scheduler.Flat, names...)
	if res.Stats.Deleted != 2 || res.Stats.Transferred != 500 {
		t.Errorf("%+v", res.Stats)
	}
	exists(t, p.dst, true, "d/other", "d/00000", "d/19960")
	exists(t, p.dst, false, "d/00001", "d/19999")
}

func TestFiltersProtect(t *testing.T) {
	p := newPair(t, Config{Filters: []string{"+ /d/keep.tmp", "- *.tmp", "- /private/"}}, "")
	reset := func() {
		remove(t, p.src, "d", "f", "gone")
		remove(t, p.dst, "d", "gone", "private", "x.tmp")
		write(t, p.src, "d/keep.tmp", "d/new.tmp", "f")
		write(t, p.dst, "x.tmp", "private/x", "d/old.tmp", "d/old", "d/sub/a.tmp", "d/sub/b", "gone/y.tmp", "gone/z")
	}
	protected := func() {
		t.Helper()
		exists(t, p.dst, true, "x.tmp", "private/x", "d/old.tmp", "d/sub/a.tmp")
		exists(t, p.dst, false, "d/new.tmp")
	}
	reset()
	p.mustSend(scheduler.Flat, "/", "d/", "!x.tmp", "!gone")
	protected()
	exists(t, p.dst, true, "gone/y.tmp", "d/keep.tmp")
	exists(t, p.dst, false, "gone/z", "d/old", "d/sub/b")
	reset()
	p.mustSend(scheduler.Deep, "d")
	protected()
	exists(t, p.dst, true, "gone/z", "d/keep.tmp")
	exists(t, p.dst, false, "d/old", "d/sub/b")
	reset()
	p.mustSend(scheduler.Full)
	protected()
	exists(t, p.dst, true, "gone/y.tmp", "d/keep.tmp")
	exists(t, p.dst, false, "d/old", "d/sub/b", "gone/z")
}
