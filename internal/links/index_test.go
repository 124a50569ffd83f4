package links

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	content = coalesce.Content
	attr    = coalesce.Attr
	name    = coalesce.Name
	gone    = coalesce.Gone
	dir     = coalesce.Dir
	subtree = coalesce.Subtree
	moved   = coalesce.Moved
	racy    = coalesce.Racy
)

// onEach runs f on a new directory of each kind of filesystem there is.
func onEach(t *testing.T, f func(t *testing.T, root string)) {
	t.Run("tmp", func(t *testing.T) { f(t, t.TempDir()) })
	t.Run("shm", func(t *testing.T) {
		root, err := os.MkdirTemp("/dev/shm", "links")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { os.RemoveAll(root) })
		f(t, root)
	})
}

// plant makes files; "a=b" is a second name a of the file b, "d/" a directory.
func plant(t *testing.T, root string, specs ...string) {
	t.Helper()
	for _, s := range specs {
		path, of, linked := strings.Cut(s, "=")
		full := filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		switch {
		case linked:
			must(t, os.Link(filepath.Join(root, of), full))
		case strings.HasSuffix(path, "/"):
			must(t, os.MkdirAll(full, 0o755))
		default:
			must(t, os.WriteFile(full, []byte(path), 0o644))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func changed(path string, f coalesce.Flags) coalesce.Entry {
	now := watcher.Now()
	return coalesce.Entry{Path: path, Flags: f, Since: now, Last: now}
}

// expand gives what Expand tells, as "path flags".
func expand(t *testing.T, x *Index, entries ...coalesce.Entry) []string {
	t.Helper()
	out, err := x.Expand(entries)
	must(t, err)
	var lines []string
	for i, e := range out {
		if i > 0 && e.Path <= out[i-1].Path {
			t.Errorf("%q after %q", e.Path, out[i-1].Path)
		}
		lines = append(lines, fmt.Sprintf("%s %v", e.Path, e.Flags))
	}
	return lines
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteThroughEitherName(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a", "d/b=a", "c", "e/f/g=a")
		x := New(Config{Root: root})
		expect(t, expand(t, x, changed("c", content)), "c content")
		if s := x.Stats(); s != (Stats{}) {
			t.Errorf("in use without need: %+v", s)
		}
		expect(t, expand(t, x, changed("a", content)), "a content", "d/b content|racy", "e/f/g content|racy")
		expect(t, expand(t, x, changed("d/b", content|attr)), "a content|attr|racy", "d/b content|attr", "e/f/g content|attr|racy")
		expect(t, expand(t, x, changed("e/f/g", attr)), "a attr", "d/b attr", "e/f/g attr")
		if s := x.Stats(); s != (Stats{InUse: true, Names: 3, Walks: 1}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestTimesAndSequence(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a", "c=a")
	x := New(Config{Root: root})
	out, err := x.Expand([]coalesce.Entry{
		{Path: "a", Flags: content, Since: 5, Last: 9, Seq: 7},
		{Path: "b", Flags: attr, Since: 3, Last: 6, Seq: 8},
	})
	must(t, err)
	want := []coalesce.Entry{
		{Path: "a", Flags: content, Since: 5, Last: 9, Seq: 7},
		{Path: "b", Flags: content | attr | racy, Since: 3, Last: 9, Seq: 7},
		{Path: "c", Flags: content | attr | racy, Since: 3, Last: 9, Seq: 7},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRenameOneName(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a", "b=a")
		x := New(Config{Root: root})
		expand(t, x, changed("a", content))
		must(t, os.Rename(root+"/b", root+"/c"))
		expand(t, x, changed("b", name|gone), changed("c", name|content|moved))
		expect(t, expand(t, x, changed("a", content)), "a content", "c content|racy")
		if s := x.Stats(); s.Names != 2 || s.Walks != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWrittenAndRenamedInOneWindow(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	x := New(Config{Root: root})
	must(t, os.Rename(root+"/b", root+"/c"))
	expect(t, expand(t, x, changed("b", name|gone), changed("c", name|content|moved)),
		"a content|attr", "b name|gone", "c content|name|moved")
}

func TestWrittenAndRemovedInOneWindow(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	must(t, os.WriteFile(root+"/b", []byte("new"), 0o644))
	must(t, os.Remove(root+"/b"))
	expect(t, expand(t, x, changed("b", content|name|gone)), "a content|attr", "b content|name|gone")
	expect(t, expand(t, x, changed("a", content)), "a content")
	if s := x.Stats(); s.Names != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMoveDirectory(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a", "d/e/b=a", "d/e/p", "d/q=d/e/p")
		x := New(Config{Root: root})
		expand(t, x, changed("a", content))
		must(t, os.Rename(root+"/d", root+"/n"))
		late := changed("n", name|dir|subtree|moved)
		late.Since += int64(time.Hour) // the files did not change since
		old := changed("d", name|dir|gone)
		old.Since += int64(time.Hour)
		expect(t, expand(t, x, old, late), "d name|dir|gone", "n name|dir|subtree|moved")
		expect(t, expand(t, x, changed("a", content)), "a content", "n/e/b content|racy")
		expect(t, expand(t, x, changed("n/q", content)), "n/e/p content|racy", "n/q content")
		if s := x.Stats(); s.Names != 4 || s.Walks != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestSubtreeWithWrites: the entries of the files written before the move are
// folded into the subtree's.
func TestSubtreeWithWrites(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "d/b=a", "d/p", "d/q=d/p")
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	must(t, os.Rename(root+"/d", root+"/n"))
	expect(t, expand(t, x, changed("d", name|dir|gone), changed("n", name|dir|subtree|moved)),
		"a content|attr", "d name|dir|gone", "n name|dir|subtree|moved")
}

func TestRemoveDirectory(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "d/b=a", "o", "d/o=o")
	hourAgo := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(root+"/o", hourAgo, hourAgo))
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	must(t, os.RemoveAll(root+"/d"))
	expect(t, expand(t, x, changed("d", name|dir|gone)), "a content|attr", "d name|dir|gone")
	if s := x.Stats(); s.Names != 0 {
		t.Errorf("%+v", s)
	}
}

func TestUnlinkOneName(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		plant(t, root, "a", "b=a", "c=a")
		x := New(Config{Root: root})
		expand(t, x, changed("a", content))
		must(t, os.Remove(root+"/b"))
		expect(t, expand(t, x, changed("a", content)), "a content", "c content|racy")
		must(t, os.Remove(root+"/c"))
		expect(t, expand(t, x, changed("a", content)), "a content")
		plant(t, root, "b=a")
		expect(t, expand(t, x, changed("b", attr|name)), "a attr", "b attr|name")
		expect(t, expand(t, x, changed("a", content)), "a content", "b content|racy")
	})
}

func TestReplacedName(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a", "x", "y=x")
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	must(t, os.Remove(root+"/b"))
	plant(t, root, "b=x")
	expand(t, x, changed("b", name|content))
	expect(t, expand(t, x, changed("x", content)), "b content|racy", "x content", "y content|racy")
	expect(t, expand(t, x, changed("a", content)), "a content")
}

// TestLinkedOldFile: making a name is no change of the content.
func TestLinkedOldFile(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	hourAgo := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(root+"/a", hourAgo, hourAgo))
	x := New(Config{Root: root})
	expect(t, expand(t, x, changed("b", name|content)), "b content|name")
	expect(t, expand(t, x, changed("b", name|content|attr)), "a content|attr", "b content|attr|name")
}

func TestVanishedEntry(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	must(t, os.RemoveAll(root+"/a"))
	expect(t, expand(t, x, changed("a", content), changed("q/r", content)), "a content", "b content|racy", "q/r content")
}

func TestRootMissing(t *testing.T) {
	root := t.TempDir() + "/none"
	in := []coalesce.Entry{changed("a", content)}
	out, err := New(Config{Root: root}).Expand(in)
	if err == nil || !strings.Contains(err.Error(), root) || len(out) != 1 {
		t.Errorf("%v, %v", out, err)
	}
}

func TestAlreadyInBatch(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a", "c=a", "d/e=a", "f=a")
	x := New(Config{Root: root})
	got := expand(t, x, changed("a", content), changed("b", content), changed("c", name|attr), changed("d", dir|subtree), changed("f", coalesce.Exact))
	expect(t, got, "a content", "b content", "c content|attr|name|racy", "d dir|subtree", "f content|attr|racy|exact")
}
