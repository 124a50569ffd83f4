package links

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// file is what a mirror has of a file: a name with nothing in common with any
// other.
type file struct {
	Data  string
	Mode  fs.FileMode
	Mtime time.Time
}

// mirror is a tree that is kept equal to a real one by nothing but the entries
// that the Index tells. Between the two stands a picture of inotify: events come
// late, and only from directories that are watched by then.
type mirror struct {
	t             *rapid.T
	root, outside string
	index         *Index
	coalescer     *coalesce.Coalescer
	files         map[string]file
	watched       map[uint64]string // paths of directories, by inode
	queue         []watcher.Event   // not read yet
	writes        int
}

func (m *mirror) must(err error) {
	if err != nil {
		m.t.Helper()
		m.t.Fatal(err)
	}
}

func (m *mirror) full(path string) string { return filepath.Join(m.root, path) }

func inodeOf(st os.FileInfo) uint64 { return st.Sys().(*syscall.Stat_t).Ino }

// event queues a record of the directory that holds the path, if it is watched.
func (m *mirror) event(path string, k watcher.Kind, from string) {
	st, err := os.Lstat(filepath.Dir(m.full(path)))
	m.must(err)
	if _, ok := m.watched[inodeOf(st)]; ok {
		m.queue = append(m.queue, watcher.Event{Path: path, Kind: k, From: from})
	}
}

// read handles the first n records: a directory that came is watched and
// listed, as far as it is still there.
func (m *mirror) read(n int) {
	for _, ev := range m.queue[:n] {
		m.emit(ev)
		switch {
		case ev.Has(watcher.Dir | watcher.Subtree):
			m.arm(ev.Path, false)
		case ev.Has(watcher.Dir | watcher.Created):
			m.arm(ev.Path, true)
		}
	}
	m.queue = m.queue[n:]
}

func (m *mirror) emit(ev watcher.Event) {
	ev.Time = watcher.Now()
	m.coalescer.Add(ev, ev.Time)
}

// arm watches a directory and all below it, and reports what a fresh one holds.
func (m *mirror) arm(dir string, fresh bool) {
	st, err := os.Lstat(m.full(dir))
	if err != nil || !st.IsDir() {
		return
	}
	was, known := m.watched[inodeOf(st)]
	m.watched[inodeOf(st)] = dir
	switch {
	case fresh && known && was == dir:
		return
	case fresh && known: // the record of its move is still to come, or lost
		fresh = false
		m.emit(watcher.Event{Path: dir, Kind: watcher.Created | watcher.Dir | watcher.Subtree})
	}
	entries, err := os.ReadDir(m.full(dir))
	m.must(err)
	for _, e := range entries {
		path := dir + "/" + e.Name()
		kind := watcher.Created
		if e.IsDir() {
			kind |= watcher.Dir
		}
		if fresh {
			m.emit(watcher.Event{Path: path, Kind: kind})
		}
		if e.IsDir() {
			m.arm(path, fresh)
		}
	}
}

// part brings over some of the news, and looks at nothing.
func (m *mirror) part() {
	m.read(rapid.IntRange(0, len(m.queue)).Draw(m.t, "records"))
	m.bring(m.coalescer.Flush(watcher.Now(), true), false)
}

// flush brings over everything and compares.
func (m *mirror) flush() {
	m.read(len(m.queue))
	ch := m.bring(m.coalescer.Flush(watcher.Now(), true), true)
	want := map[string]file{}
	for _, path := range m.below("") {
		want[path] = m.real(path)
	}
	if diff := cmp.Diff(want, m.files); diff != "" {
		m.t.Fatalf("after %v (-real +mirror):\n%s", ch.Entries, diff)
	}
}

// bring is what becomes of a Change, asked for by a flush or not.
func (m *mirror) bring(ch coalesce.Change, asked bool) coalesce.Change {
	m.index.take(&ch)
	if asked && m.index.pending.on {
		s := m.index.begin()
		s.run(context.Background())
		ch.Entries = append(ch.Entries, m.index.report(s).Entries...)
	}
	for _, e := range ch.Entries {
		m.apply(e)
	}
	return ch
}

// apply does for one entry what a batch does.
func (m *mirror) apply(e coalesce.Entry) {
	st, err := os.Lstat(m.full(e.Path))
	isDir := err == nil && st.IsDir()
	deep := isDir && (e.Any(coalesce.Subtree|coalesce.Gone) || e.Has(coalesce.Name) && m.holds(e.Path))
	there := map[string]bool{}
	switch {
	case deep:
		for _, path := range m.below(e.Path) {
			there[path] = true
			m.send(path, e.Any(coalesce.Moved|coalesce.Racy|coalesce.Gone) || !e.Has(coalesce.Subtree))
		}
	case isDir:
		delete(m.files, e.Path)
		return
	case err == nil:
		there[e.Path] = true
		m.send(e.Path, e.Has(coalesce.Racy) || m.timesTell(e, st))
	}
	for path := range m.files {
		if (path == e.Path || coalesce.Under(path, e.Path)) && !there[path] {
			delete(m.files, path)
		}
	}
}

// holds reports whether the mirror has anything below the path. If that came
// with a batch for another path, the directory's own news is doubted.
func (m *mirror) holds(dir string) bool {
	for path := range m.files {
		if coalesce.Under(path, dir) {
			return true
		}
	}
	return false
}

// timesTell reports whether the times say that the content cannot be judged by
// them, as the scheduler does. That nobody can have what is Born it believes
// only if no batch has brought the path.
func (m *mirror) timesTell(e coalesce.Entry, st os.FileInfo) bool {
	c := st.Sys().(*syscall.Stat_t).Ctim
	apart := time.Unix(c.Sec, c.Nsec).Sub(st.ModTime()).Abs()
	return e.Any(coalesce.Content|coalesce.Name|coalesce.Moved|coalesce.Gone) && apart > 10*time.Millisecond
}

// send is rsync: attributes always, content if it is asked to look at it, or if
// size or time differ. What is young the scheduler may have sent just now; then
// it does not trust the time.
func (m *mirror) send(path string, whole bool) {
	want := m.real(path)
	have, ok := m.files[path]
	if ok && !whole && !young(want.Mtime) && len(have.Data) == len(want.Data) && have.Mtime.Equal(want.Mtime) {
		want.Data = have.Data
	}
	m.files[path] = want
}

func young(mtime time.Time) bool { return time.Since(mtime) < time.Hour }

// real is the file at the path.
func (m *mirror) real(path string) file {
	st, err := os.Lstat(m.full(path))
	m.must(err)
	data, err := os.ReadFile(m.full(path))
	m.must(err)
	return file{string(data), st.Mode(), st.ModTime()}
}

// below lists the files at and below the path.
func (m *mirror) below(path string) (files []string) {
	m.must(filepath.WalkDir(m.full(path), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, p[len(m.root)+1:])
		}
		return err
	}))
	return files
}

// dirs lists the directories, the root too.
func (m *mirror) dirs() (dirs []string) {
	m.must(filepath.WalkDir(m.root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, strings.TrimPrefix(p[len(m.root):], "/"))
		}
		return err
	}))
	return dirs
}
