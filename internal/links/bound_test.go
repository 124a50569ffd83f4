package links

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

func TestRescanOfTheRoot(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	x := New(Config{Root: root})
	expand(t, x, changed("", dir|subtree))
	if x.Stats().InUse {
		t.Error("in use without need")
	}
	expand(t, x, changed("a", content))
	plant(t, root, "c=a") // unheard of, as after lost events
	expand(t, x, changed("", dir|subtree))
	if s := x.Stats(); s != (Stats{InUse: true, Names: 3, Walks: 2}) {
		t.Errorf("%+v", s)
	}
}

// TestSecondNameOfKnownFile: the first name is remembered, though the kernel
// tells only of the second.
func TestSecondNameOfKnownFile(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a")
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	plant(t, root, "new")
	expand(t, x, changed("new", name|content))
	plant(t, root, "second=new")
	expect(t, expand(t, x, changed("second", name|content)), "new content|attr", "second content|name")
	if s := x.Stats(); s != (Stats{InUse: true, Names: 4, Walks: 1}) {
		t.Errorf("%+v", s)
	}
}

// TestSecondNameOfOldFile: nothing is known of the first name, so the tree is
// searched, but not before the file changes.
func TestSecondNameOfOldFile(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a", "d/old", "d/out")
	must(t, os.Link(root+"/d/out", filepath.Join(t.TempDir(), "outside")))
	hourAgo := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(root+"/d/old", hourAgo, hourAgo))
	x := New(Config{Root: root})
	expand(t, x, changed("a", content))
	plant(t, root, "second=d/old")
	expect(t, expand(t, x, changed("second", name|content)), "second content|name")
	if s := x.Stats(); s.Walks != 1 {
		t.Errorf("%+v", s)
	}
	expect(t, expand(t, x, changed("second", content)), "d/old content|racy", "second content")
	// A name outside is looked for only once.
	for range 3 {
		expect(t, expand(t, x, changed("d/out", content)), "d/out content")
	}
	if s := x.Stats(); s.Walks != 2 {
		t.Errorf("%+v", s)
	}
}

func TestFIFO(t *testing.T) {
	m := newFIFO[int, string](4)
	for i := range 7 {
		m.put(i, fmt.Sprint(i))
	}
	if _, ok := m.get(2); ok || len(m.values) != 4 || len(m.order) != 4 {
		t.Errorf("%v, order %v", m.values, m.order)
	}
	m.put(3, "again")
	if v, _ := m.get(3); v != "again" || len(m.order) != 4 {
		t.Errorf("3 is %q, order %v", v, m.order)
	}
	m.put(7, "7") // 3 is still the oldest
	if _, ok := m.get(3); ok {
		t.Errorf("%v, order %v", m.values, m.order)
	}
}

func TestBound(t *testing.T) {
	root := t.TempDir()
	for i := range 20 {
		plant(t, root, fmt.Sprintf("f%02d", i), fmt.Sprintf("g%02d=f%02d", i, i))
	}
	var logged bytes.Buffer
	x := New(Config{Root: root, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	x.max = 10
	expand(t, x, changed("f00", content))
	expand(t, x, changed("f01", content))
	if s := x.Stats(); s.Names > 10 || !s.Incomplete || s.Walks != 1 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(logged.String(), "too many hard links"); n != 1 {
		t.Errorf("told of it %d times", n)
	}
	// Once enough of them are gone, another walk finds the rest.
	var removed []coalesce.Entry
	for i := range 17 {
		must(t, os.Remove(root+fmt.Sprintf("/f%02d", i)))
		removed = append(removed, changed(fmt.Sprintf("f%02d", i), name|gone))
	}
	for i := range 17 {
		must(t, os.Remove(root+fmt.Sprintf("/g%02d", i)))
		removed = append(removed, changed(fmt.Sprintf("g%02d", i), name|gone))
	}
	expand(t, x, removed...)
	expect(t, expand(t, x, changed("f18", content)), "f18 content", "g18 content|racy")
	if s := x.Stats(); s.Names != 6 || s.Incomplete || s.Walks != 2 {
		t.Errorf("%+v", s)
	}
}

// TestNamesBroughtByADirectory: the first that is heard of a hard link is the
// directory it came with; then it is written through a name that goes.
func TestNamesBroughtByADirectory(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "d/b=a")
	x := New(Config{Root: root})
	expand(t, x, changed("d", name|dir|subtree|moved))
	if !x.Stats().InUse {
		t.Fatal("not in use")
	}
	plant(t, root, "e/p")
	must(t, os.RemoveAll(root+"/d"))
	expect(t, expand(t, x, changed("d", name|dir|gone|content|coalesce.Wrote)), "a content", "d content|name|dir|gone|wrote")
}
