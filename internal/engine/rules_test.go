package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
)

// exists demands that a path is there, or is not.
func exists(t *testing.T, want bool, path ...string) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(path...)); (err == nil) != want {
		t.Errorf("%q is there: %v", filepath.Join(path...), err == nil)
	}
}

// Expressions that no pattern can say hold for events, new directories, and
// comparisons of all kinds.
func TestExcludeRegex(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		m.conf.Roots[0].ExcludeRegex = []string{`(.*)\.svn`, `.*/?\d+`, `secret(?!ary).*`}
		for _, name := range []string{"a.svn/x", "12", "d/34", "secrets", "secretary", "plain"} {
			mkdir(t, filepath.Dir(filepath.Join(m.src, name)))
			write(t, filepath.Join(m.src, name), name)
		}
		mkdir(t, m.dst)
		write(t, filepath.Join(m.dst, "99"), "the remote's own")
		write(t, filepath.Join(m.dst, "old"), "to go")
		e := m.start(t)
		e.flush(t)
		mkdir(t, filepath.Join(m.src, "new/b.svn"))
		for _, name := range []string{"new/56", "new/b.svn/y", "new/ok", "d/78", "d/ok"} {
			write(t, filepath.Join(m.src, name), name)
		}
		e.flush(t)
		for _, gone := range []string{"a.svn", "12", "d/34", "secrets", "new/56", "new/b.svn", "d/78", "old"} {
			exists(t, false, m.dst, gone)
		}
		for _, there := range []string{"secretary", "plain", "99", "new/ok", "d/ok"} {
			exists(t, true, m.dst, there)
		}
	})
}

// With "listed" a burst of deletions, crowded enough to go as directories
// otherwise, takes nothing along that only the remote has.
func TestDeleteListed(t *testing.T) {
	m := newMirror(t, "inotify")
	m.conf.Roots[0].Delete = "listed"
	m.conf.Roots[0].Guard = config.Guard{MaxDeleteShare: 1}
	write(t, filepath.Join(m.src, "stays"), "x")
	mkdir(t, filepath.Join(m.src, "d"))
	for i := range 300 {
		write(t, filepath.Join(m.src, "d", string(rune('A'+i))), "x")
	}
	mkdir(t, filepath.Join(m.dst, "d"))
	write(t, filepath.Join(m.dst, "d", "theirs"), "x")
	write(t, filepath.Join(m.dst, "theirs"), "x")
	e := m.start(t)
	e.flush(t)
	for i := range 299 {
		if err := os.Remove(filepath.Join(m.src, "d", string(rune('A'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	e.flush(t)
	exists(t, false, m.dst, "d", "A")
	exists(t, true, m.dst, "d", string(rune('A'+299)))
	exists(t, true, m.dst, "d", "theirs")
	exists(t, true, m.dst, "theirs")
	if err := os.RemoveAll(filepath.Join(m.src, "d")); err != nil {
		t.Fatal(err)
	}
	e.flush(t)
	exists(t, false, m.dst, "d")
}

func TestDeleteOff(t *testing.T) {
	m := newMirror(t, "fanotify")
	m.conf.Roots[0].Delete = "off"
	write(t, filepath.Join(m.src, "a"), "x")
	write(t, filepath.Join(m.dst, "theirs"), "x")
	e := m.start(t)
	e.flush(t)
	if err := os.Rename(filepath.Join(m.src, "a"), filepath.Join(m.src, "b")); err != nil {
		t.Fatal(err)
	}
	e.flush(t)
	for _, name := range []string{"a", "b", "theirs"} {
		exists(t, true, m.dst, name)
	}
}

// Each period everything is compared, but for what full_exclude names.
func TestFullEvery(t *testing.T) {
	m := newMirror(t, "fanotify")
	m.conf.Roots[0].FullEvery = config.Duration(200 * time.Millisecond)
	m.conf.Roots[0].FullExclude = []string{"*.php"}
	write(t, filepath.Join(m.src, "a"), "x")
	e := m.start(t)
	e.flush(t)
	write(t, filepath.Join(m.dst, "theirs.php"), "x")
	write(t, filepath.Join(m.dst, "theirs"), "x")
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{Skip: func(path string, _ bool) bool { return filepath.Ext(path) == ".php" }})
	exists(t, true, m.dst, "theirs.php")
	write(t, filepath.Join(m.src, "live.php"), "x")
	e.flush(t)
	exists(t, true, m.dst, "live.php")
}
