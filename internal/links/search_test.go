package links

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// TestWanted: which times make a file one that may be meant. The suspicion is of
// 100 s by our clock, 1100 s by the wall clock, noted last at 1200 s.
func TestWanted(t *testing.T) {
	const s = int64(time.Second)
	for i, c := range []struct {
		timely       bool
		began        int64
		ctime, btime int64
		want         bool
	}{
		{true, 0, 1100 * s, 0, true},
		{true, 0, 1091 * s, 0, true},  // within slack
		{true, 0, 1089 * s, 0, false}, // before
		{true, 99 * s, 1099 * s, 0, true},
		{true, 99 * s, 1098 * s, 0, false}, // before we began
		{true, 0, 1300 * s, 1190 * s, true},
		{true, 0, 1300 * s, 1210 * s, false}, // born later
		{true, 0, 1110 * s, 1210 * s, true},  // the clock was put back since its birth
		{false, 0, 501 * s, 0, true},
		{false, 0, 499 * s, 0, false},
		{false, 99 * s, 501 * s, 0, true},
		{false, 0, 1300 * s, 1210 * s, true},
	} {
		search := search{suspicion: suspicion{since: 100 * s, offset: 1000 * s, until: 1200 * s}, began: c.began}
		if got := search.wanted(&tree{timely: c.timely})(attrs{ctime: c.ctime, btime: c.btime}); got != c.want {
			t.Errorf("case %d: %v, want %v", i, got, c.want)
		}
	}
}

// hide changes the file through a link that is made for it and removed, and
// returns what inotify tells.
func hide(t *testing.T, root, path string, change func(link string) error) coalesce.Entry {
	t.Helper()
	link := root + "/link"
	must(t, os.Link(root+"/"+path, link))
	must(t, change(link))
	must(t, os.Remove(link))
	e := changed("link", content|attr|name|born|ghost|gone|wrote)
	e.Deletes = 1
	return e
}

func grow(link string) error { return os.WriteFile(link, []byte("longer"), 0o644) }

// look expands the entries, searches for what is suspected then, and gives what
// that finds, as "path flags".
func look(t *testing.T, x *Index, entries ...coalesce.Entry) []string {
	t.Helper()
	x.take(&coalesce.Change{Entries: entries})
	if !x.pending.on {
		return nil
	}
	s := x.begin()
	s.run(t.Context())
	return lines(x.report(s).Entries)
}

func lines(entries []coalesce.Entry) (lines []string) {
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("%s %v", e.Path, e.Flags))
	}
	return lines
}

// holds demands that a line is among others.
func holds(t *testing.T, lines []string, want string) {
	t.Helper()
	if !slices.Contains(lines, want) {
		t.Errorf("%q is not told, but %q", want, lines)
	}
}

func fineLooks(t *testing.T, root string) bool {
	t.Helper()
	tr, err := openTree(root)
	must(t, err)
	defer tr.close()
	return tr.looks.fine
}

// TestHiddenChangesAreFound: whatever is done to hide them.
func TestHiddenChangesAreFound(t *testing.T) {
	past := time.Unix(1e9, 12345)
	for name, change := range map[string]func(link string) error{
		"write": grow,
		"write of the same size, time set back": func(link string) error {
			return errors.Join(os.WriteFile(link, []byte("D/E/B"), 0o644), os.Chtimes(link, past, past))
		},
		"chmod":    func(link string) error { return os.Chmod(link, 0o640) },
		"truncate": func(link string) error { return os.Truncate(link, 0) },
		"date":     func(link string) error { return os.Chtimes(link, past, past.Add(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, root string) {
				plant(t, root, "a", "d/e/b")
				must(t, os.Chtimes(root+"/d/e/b", past, past))
				x := New(Config{Root: root, Blind: true})
				got := look(t, x, hide(t, root, "d/e/b", change))
				holds(t, got, "d/e/b content|attr|racy|wrote")
				if s := x.Stats(); s.Searches != 1 || s.Hidden < 1 {
					t.Errorf("%+v", s)
				}
				look(t, x, changed("a", content))
				if s := x.Stats(); s.Searches != 1 {
					t.Errorf("a search without suspicion: %+v", s)
				}
			})
		})
	}
}

// TestToldFilesAreLeftOut: new directories are suspicious, and what was told of
// them is not told again, nor what a search has found.
func TestToldFilesAreLeftOut(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		if !fineLooks(t, root) {
			t.Skip("the time of change is too coarse here")
		}
		x := New(Config{Root: root, Blind: true, Skip: func(path string, _ bool) bool { return path == "excluded" }})
		plant(t, root, "old", "excluded")
		var entries []coalesce.Entry
		for i := range 20 {
			path := fmt.Sprintf("d%02d", i)
			entries = append(entries, changed(path, name|dir|born))
			for j := range 10 {
				file := fmt.Sprintf("%s/f%d", path, j)
				plant(t, root, file)
				entries = append(entries, changed(file, content|name|born|wrote))
			}
		}
		plant(t, root, "e", "l=e")
		entries = append(entries, changed("e", content|name|born), changed("l", content|name|born))
		expect(t, look(t, x, entries...), "old content|attr|racy|wrote")
		expect(t, look(t, x, changed("m", name|dir|born)))
		expect(t, look(t, x, hide(t, root, "d07/f3", grow)), "d07/f3 content|attr|racy|wrote")
		if s := x.Stats(); s.Searches != 3 || s.Hidden != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestToldTreesAreLeftOut: what lies in a directory that came whole is told with
// it, if it did not change after that.
func TestToldTreesAreLeftOut(t *testing.T) {
	a := attrs{file: inode{1, 2}, mode: unix.S_IFREG, nlink: 1, ctime: 100}
	for _, c := range []struct {
		flags coalesce.Flags
		dir   string
		since int64
		want  bool
	}{
		{name | dir | subtree | moved, "d/e", 101, true},
		{dir | subtree | racy, "d", 101, true},
		{dir | subtree | racy, "", 101, true},
		{dir | subtree | moved, "d/e", 100, false},
		{dir | subtree, "d/e", 101, false},
		{dir | moved, "d/e", 101, false},
		{dir | subtree | moved, "d/e/fil", 101, false},
	} {
		d := newDoubts(true)
		d.remember(coalesce.Entry{Path: c.dir, Flags: c.flags}, attrs{mode: unix.S_IFDIR}, looks{since: c.since})
		if got := d.known(found{link{"d/e/file", a.file}, a}); got != c.want {
			t.Errorf("%q %v: %v, want %v", c.dir, c.flags, got, c.want)
		}
	}
}

// TestTooManyFound: what cannot be told one by one is compared as a whole.
func TestTooManyFound(t *testing.T) {
	root := t.TempDir()
	var logged bytes.Buffer
	x := New(Config{Root: root, Blind: true, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	x.max = 3
	plant(t, root, "a", "b", "c", "d")
	x.take(&coalesce.Change{Entries: []coalesce.Entry{changed("dir", name|dir|born)}})
	s := x.begin()
	s.run(t.Context())
	ch := x.report(s)
	want := []coalesce.Rescan{{Reason: tooMany}}
	if diff := cmp.Diff(want, ch.Rescans); diff != "" || len(ch.Entries) != 3 {
		t.Errorf("%v, rescans (-want +got):\n%s", ch.Entries, diff)
	}
	if s := logged.String(); strings.Count(s, "searched for files") != 1 || !strings.Contains(s, "found=3") {
		t.Errorf("log: %s", s)
	}
}

// TestSearchFails: the suspicion stands until a search has ended well.
func TestSearchFails(t *testing.T) {
	root := t.TempDir() + "/root"
	plant(t, root, "a")
	var logged bytes.Buffer
	x := New(Config{Root: root, Blind: true, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	e := hide(t, root, "a", grow)
	must(t, os.Rename(root, root+".away"))
	look(t, x, e)
	if s := logged.String(); !strings.Contains(s, "cannot search") || !strings.Contains(s, root) {
		t.Errorf("log: %s", s)
	}
	must(t, os.Rename(root+".away", root))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stopped := x.begin()
	stopped.run(ctx)
	if ch := x.report(stopped); !ch.Empty() {
		t.Errorf("a search that was stopped tells %+v", ch)
	}
	holds(t, look(t, x), "a content|attr|racy|wrote")
	if s := x.Stats(); s.Searches != 1 || x.pending.on {
		t.Errorf("%+v, pending %+v", s, x.pending)
	}
}

// TestSearchesAreRare: the longer one took, the later comes the next.
func TestSearchesAreRare(t *testing.T) {
	x := New(Config{Root: t.TempDir(), Blind: true})
	near := func(want time.Duration) {
		t.Helper()
		if got := x.wait(); got > want || got < want-10*time.Second {
			t.Errorf("the next search waits %s, want nearly %s", got, want)
		}
	}
	x.suspect(watcher.Now(), watcher.Now())
	if got := x.wait(); got > time.Second {
		t.Errorf("the first search waits %s", got)
	}
	x.report(&search{took: time.Millisecond})
	near(time.Minute)
	x.report(&search{took: 3 * time.Second})
	near(5 * time.Minute)
	x.report(&search{took: 2 * time.Second, err: os.ErrPermission})
	near(200 * time.Second)
}
