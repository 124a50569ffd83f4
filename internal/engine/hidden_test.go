package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/links"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/watcher"
)

// hiding are ways to change a file through a link so that little or nothing of
// it shows: i tells the changes apart.
var hiding = []func(link string, i int) error{
	func(link string, i int) error { // of another size
		return os.WriteFile(link, []byte(strings.Repeat("x", 10+i)), 0o644)
	},
	func(link string, i int) error { // of the same size, time set back to the nanosecond
		st, err := os.Stat(link)
		if err != nil {
			return err
		}
		content := fmt.Appendf(nil, "%0*d", st.Size(), i)
		return errors.Join(os.WriteFile(link, content, 0o644), os.Chtimes(link, st.ModTime(), st.ModTime()))
	},
	func(link string, i int) error { return os.Chmod(link, 0o600+os.FileMode(i)%0o100) },
	func(link string, i int) error {
		return os.Chtimes(link, time.Time{}, time.Unix(1e9+int64(i), 123456789))
	},
}

// hide changes the file through a link that is made for it and gone at once,
// in turns alone, in a directory of its own, or replaced by another file.
func hide(t *testing.T, src, path string, i int) {
	t.Helper()
	dir := src
	if i%3 == 1 {
		dir = filepath.Join(src, fmt.Sprintf("fresh%d", i))
		mkdir(t, dir)
	}
	link := filepath.Join(dir, "link")
	err := errors.Join(os.Link(path, link), hiding[i/3%len(hiding)](link, i))
	if i%3 == 2 {
		write(t, filepath.Join(dir, "new"), "new")
		err = errors.Join(err, os.Rename(filepath.Join(dir, "new"), link))
	}
	if err := errors.Join(err, os.RemoveAll(link)); err != nil {
		t.Fatal(err)
	}
	if dir != src {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// oldFiles lays out files whose times are long past, so that no time of now
// gives a change away.
func oldFiles(t *testing.T, src string, n int) (paths []string) {
	t.Helper()
	for i := range n {
		dir := filepath.Join(src, fmt.Sprintf("d%d", i%7))
		mkdir(t, dir)
		path := filepath.Join(dir, fmt.Sprintf("f%03d", i))
		write(t, path, fmt.Sprintf("this is file %05d", i))
		past := time.Unix(1.5e9, int64(i))
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// What was changed through links that were gone at once is at the remote after
// a flush.
func TestHiddenWrites(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		paths := oldFiles(t, m.src, 200)
		e := m.start(t)
		e.flush(t)
		for i, path := range paths {
			hide(t, m.src, path, i)
		}
		e.flush(t)
		m.equal(t)
		// And one at a time, each the only thing that happens.
		for i, path := range paths[:12] {
			hide(t, m.src, path, i+1)
			e.flush(t)
			m.equal(t)
		}
	})
}

// So it is in a filesystem mounted inside the root that only inotify can watch.
func TestHiddenWritesBelowAMountPoint(t *testing.T) {
	m := newMirror(t, "auto")
	at, under := filepath.Join(m.src, "m"), mirrortest.TmpfsDir(t)
	for _, dir := range []string{at, under + "/lower", under + "/upper", under + "/work"} {
		mkdir(t, dir)
	}
	// In the upper layer: a link to a file of the lower one makes a copy first.
	paths := oldFiles(t, under+"/upper", 60)
	opts := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", under)
	if err := unix.Mount("overlay", at, "overlay", 0, opts); err != nil {
		t.Skip("mount:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	e := m.start(t)
	e.flush(t)
	r := e.roots[0]
	r.mu.Lock()
	b, why := r.watch.Backend()
	r.mu.Unlock()
	if b != watcher.BackendFanotify {
		t.Skip(why)
	}
	for i, path := range paths {
		hide(t, at, strings.Replace(path, under+"/upper", at, 1), i)
	}
	e.flush(t)
	m.equal(t)
}

// Nobody need ask.
func TestHiddenWritesWithoutFlush(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		paths := oldFiles(t, m.src, 20)
		e := startTuned(t, m.conf, &trace{}, Options{Links: func(c *links.Config) { c.Settle, c.Pause = time.Millisecond, time.Millisecond }})
		e.flush(t)
		for i, path := range paths {
			hide(t, m.src, path, i)
		}
		mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	})
}

// The operator does not want the searches: then inotify cannot tell, and the
// next change of the file brings all.
func TestHiddenWritesIgnored(t *testing.T) {
	m := newMirror(t, "inotify")
	m.conf.Roots[0].HiddenWrites = "ignore"
	path := oldFiles(t, m.src, 1)[0]
	e := m.start(t)
	e.flush(t)
	hide(t, m.src, path, 3)
	e.flush(t)
	if st := e.Status().Roots[0].Links; st.Searches != 0 {
		t.Errorf("%+v", *st)
	}
	if s := e.trace.String(); !strings.Contains(s, hiddenIgnored) {
		t.Errorf("the log does not warn:\n%s", s)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	write(t, path, string(want)+" and more")
	e.flush(t)
	m.equal(t)
}

// New directories are suspicious with inotify; what was made in them has been
// told, and is not sent again for that.
func TestBurstIsNotSentTwice(t *testing.T) {
	m := newMirror(t, "inotify")
	e := m.start(t)
	e.flush(t)
	m.burst(t)
	e.flush(t)
	m.equal(t)
	st := e.Status().Roots[0].Links
	if st.Searches == 0 {
		t.Error("there was no search")
	}
	if st.Hidden > 0 && fineTimes(t, filepath.Join(m.src, "d00", "f000")) {
		t.Errorf("%d files were told again", st.Hidden)
	}
}

// fineTimes reports whether the kernel gives a file that is looked at another
// time at each change, so that one look tells whether it has changed since.
func fineTimes(t *testing.T, path string) bool {
	t.Helper()
	var last unix.Timespec
	for range 100 {
		var st unix.Stat_t
		if err := errors.Join(os.Chmod(path, 0o600), unix.Lstat(path, &st)); err != nil {
			t.Fatal(err)
		}
		if st.Ctim == last {
			return false
		}
		last = st.Ctim
	}
	return true
}
