package scheduler

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// world is a source tree that changes by a random history, and the watcher of
// it. A file's content is its serial number and its time of change by the
// test's clock: that time is what the simulated quick check compares, for the
// kernel's does not pass inside a bubble.
type world struct {
	t      testing.TB
	rng    *rand.Rand
	root   string
	serial int
	// lossy says that events may be lost. Then a full run must find all, which
	// it cannot where size and time are equal: no two times are.
	lossy bool
	// restless: directories are renamed more often.
	restless bool

	mu    sync.Mutex
	raw   []coalesce.Entry  // events that the reader has not read
	times map[uint64]stamps // by inode, what a kernel with the test's clock would give
	out   chan coalesce.Change
}

func newWorld(t testing.TB, seed int64) *world {
	return &world{t: t, rng: rand.New(rand.NewSource(seed)), root: t.TempDir(), times: map[uint64]stamps{}, out: make(chan coalesce.Change)}
}

func clock() int64 { return time.Now().UnixNano() }

func (w *world) abs(path string) string { return filepath.Join(w.root, path) }

func (w *world) event(path string, flags coalesce.Flags, from string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := coalesce.Entry{Path: path, Flags: flags, From: from}
	if e.Has(coalesce.Gone) {
		e.Deletes = 1
	}
	w.raw = append(w.raw, e)
}

// read stamps the events and merges them as the coalescer does.
func (w *world) read() coalesce.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	set, now := coalesce.NewSet(), clock()
	for _, e := range w.raw {
		e.Since, e.Last = now, now
		if _, ok := set.Get(e.Path); ok || set.Covered(e.Path) {
			e.Flags &^= coalesce.Born
		}
		set.Add(e)
	}
	w.raw = nil
	var c coalesce.Change
	set.Ascend(func(e coalesce.Entry) bool {
		c.Entries = append(c.Entries, e)
		return true
	})
	return c
}

// lose forgets the events that were not read, as an overflow does.
func (w *world) lose() coalesce.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.raw = nil
	return coalesce.Change{Rescans: []coalesce.Rescan{{Path: "", Reason: "overflow"}}}
}

// watch reads events, with a lag, until stop is closed.
func (w *world) watch(seed int64, overflow bool, stop <-chan struct{}) {
	rng := rand.New(rand.NewSource(seed))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1+rng.Intn(40)) * time.Millisecond):
		}
		c := coalesce.Change{}
		if overflow && rng.Intn(60) == 0 {
			c = w.lose()
		} else if c = w.read(); len(c.Entries) == 0 {
			continue
		}
		w.out <- c
	}
}

var names = []string{"a", "b", "c", "d", "e", "a-", "a0", "a.b", "\xff\n"}

func (w *world) randomPath() string {
	parts := []string{names[w.rng.Intn(len(names))]}
	for len(parts) < 4 && w.rng.Intn(3) > 0 {
		parts = append(parts, names[w.rng.Intn(len(names))])
	}
	return strings.Join(parts, "/")
}

// content is new data for path, whose size repeats often. Its time of change
// repeats when one path is changed twice within a tick of 4 ms; other paths have
// other times, because here two files may be written and, much later by the
// test's clock but not by the kernel's, renamed onto each other.
func (w *world) content(path string) []byte {
	w.serial++
	stamp := fmt.Sprintf("%d/%x", tick()/4e6, path)
	if w.lossy {
		stamp = fmt.Sprint(w.serial)
	}
	return fmt.Appendf(nil, "%08d %s %s", w.serial, stamp, strings.Repeat("x", w.rng.Intn(2)))
}

// tick is the clock that stamps files.
func tick() int64 { return clock() / 4e6 * 4e6 }

// stamp tells what an operation does to the times of what is at p now.
func (w *world) stamp(p string, f func(*stamps)) {
	ino, err := inode(w.abs(p))
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.times[ino]
	s.own, s.ctime = true, tick()
	f(&s)
	w.times[ino] = s
}

func inode(abs string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Lstat(abs, &st)
	return st.Ino, err
}

// stamps stands for looker.stamps.
func (w *world) stamps(_ *looker, p string) (stamps, error) {
	ino, err := inode(w.abs(p))
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[ino], err
}

// step changes the tree once.
func (w *world) step() {
	p, q := w.randomPath(), w.randomPath()
	if w.restless {
		switch w.rng.Intn(10) {
		case 0, 1, 2, 3:
			w.wander()
			return
		case 4, 5, 6, 7: // a few names, so that those of two directories agree
			w.date(join(w.anyDir(), names[w.rng.Intn(2)]+".f"))
			return
		}
	}
	switch n := w.rng.Intn(20); {
	case n < 6:
		w.write(p)
	case n < 8:
		w.mkdirs(p)
		w.write(p + "/" + names[w.rng.Intn(len(names))])
	case n < 10:
		w.remove(p)
	case n < 12:
		w.rename(p, q)
	case n < 13:
		if os.Symlink(fmt.Sprint("target", w.serial), w.abs(p)) == nil {
			w.serial++
			w.event(p, coalesce.Name|coalesce.Content|coalesce.Born, "")
		}
	case n < 14:
		if os.Chmod(w.abs(p), 0o700|os.FileMode(w.rng.Intn(8))) == nil {
			w.stamp(p, func(*stamps) {})
			w.attr(p)
		}
	case n < 16: // write a temporary file, rename it over, as editors do
		t := coalesce.Parent(p)
		if t != "" {
			t += "/"
		}
		t += "tmp"
		if w.writeAs(t, p) {
			w.rename(t, p)
		}
	case n < 17: // there for a moment only
		if w.write(p + "~") {
			w.remove(p + "~")
		}
	case n < 18: // a directory that comes back as another
		w.remove(p)
		w.mkdirs(p)
		w.write(p + "/" + names[w.rng.Intn(len(names))])
	case w.lossy:
	default:
		w.date(p)
	}
}

// date writes a file with a copied time: other content may have the same.
func (w *world) date(p string) {
	if w.write(p) && os.WriteFile(w.abs(p), fmt.Appendf(nil, "%08d %d %s", w.serial, 7, ""), 0o644) == nil {
		old := time.Unix(1e9, 0)
		if err := os.Chtimes(w.abs(p), old, old); err != nil {
			w.t.Error(err)
		}
		w.stamp(p, func(s *stamps) { s.mtime = 7 })
		w.event(p, coalesce.Content|coalesce.Attr, "")
	}
}

// anyDir is a directory, or "" if there is none.
func (w *world) anyDir() string {
	var dirs []string
	err := filepath.WalkDir(w.root, func(abs string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && abs != w.root {
			dirs = append(dirs, abs[len(w.root)+1:])
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	if len(dirs) == 0 {
		return ""
	}
	return dirs[w.rng.Intn(len(dirs))]
}

// wander moves directories about: a chain of names, two that change places, one
// that takes the place of another, or one that was changed by then.
func (w *world) wander() {
	p, q := w.anyDir(), w.anyDir()
	if p == "" {
		return
	}
	switch w.rng.Intn(5) {
	case 0:
		for _, next := range []string{w.randomPath(), w.randomPath()} {
			w.rename(p, next)
			p = next
		}
	case 1:
		w.rename(p, "aside")
		w.rename(q, p)
		w.rename("aside", q)
	case 2:
		w.remove(q)
		w.rename(p, q)
	case 3:
		w.date(join(p, "a.f"))
		w.rename(p, w.randomPath())
	default:
		w.rename(p, w.randomPath())
	}
}

func (w *world) attr(p string) {
	flags := coalesce.Attr
	if st, err := os.Stat(w.abs(p)); err == nil && st.IsDir() {
		flags |= coalesce.Dir
	}
	w.event(p, flags, "")
}

func (w *world) write(p string) bool { return w.writeAs(p, p) }

// writeAs writes to p what will be renamed to final.
func (w *world) writeAs(p, final string) bool {
	st, err := os.Lstat(w.abs(p))
	flags := coalesce.Content
	switch {
	case errors.Is(err, unix.ENOENT):
		flags |= coalesce.Name | coalesce.Born
	case err != nil || !st.Mode().IsRegular():
		return false
	}
	if os.WriteFile(w.abs(p), w.content(final), 0o644) != nil {
		return false
	}
	w.stamp(p, func(s *stamps) { s.mtime = s.ctime })
	w.event(p, flags, "")
	return true
}

func (w *world) mkdirs(p string) {
	for i := range len(p) + 1 {
		if i == len(p) || p[i] == '/' {
			if os.Mkdir(w.abs(p[:i]), 0o755) == nil {
				w.stamp(p[:i], func(s *stamps) { s.born = s.ctime })
				w.event(p[:i], coalesce.Name|coalesce.Dir|coalesce.Born, "")
			}
		}
	}
}

func (w *world) remove(p string) {
	st, err := os.Lstat(w.abs(p))
	if err != nil {
		return
	}
	flags := coalesce.Name | coalesce.Gone
	if st.IsDir() {
		flags |= coalesce.Dir
		children, err := os.ReadDir(w.abs(p))
		if err != nil {
			w.t.Error(err)
		}
		for _, c := range children {
			w.remove(p + "/" + c.Name())
		}
	}
	if err := os.Remove(w.abs(p)); err != nil {
		w.t.Error(err)
	}
	w.event(p, flags, "")
}

func (w *world) rename(p, q string) {
	st, err := os.Lstat(w.abs(p))
	if err != nil || p == q || os.Rename(w.abs(p), w.abs(q)) != nil {
		return
	}
	w.stamp(q, func(*stamps) {})
	gone, here := coalesce.Name|coalesce.Gone, coalesce.Name|coalesce.Moved
	if st.IsDir() {
		gone |= coalesce.Dir | coalesce.Uncounted
		here |= coalesce.Dir | coalesce.Subtree
	} else {
		here |= coalesce.Content
	}
	w.event(p, gone, "")
	w.event(q, here, p)
}

// dirSource is a Source that trusts its directory.
type dirSource string

func (d dirSource) OpenDir(needEntries bool) (*os.File, error) {
	f, err := os.Open(string(d))
	if err != nil || !needEntries {
		return f, err
	}
	if names, _ := f.Readdirnames(1); len(names) == 0 {
		return nil, errors.Join(errors.New("the source is empty"), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return os.Open(string(d))
}
