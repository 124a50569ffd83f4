package links

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// free draws a path that is not there yet, in a directory that is; ok is false
// if the drawn one is taken.
func (m *mirror) free() (path string, ok bool) {
	d := rapid.SampledFrom(m.dirs()).Draw(m.t, "in")
	path = strings.TrimPrefix(d+"/"+rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(m.t, "name"), "/")
	_, err := os.Lstat(m.full(path))
	return path, os.IsNotExist(err) && strings.Count(path, "/") < 4
}

func (m *mirror) file() string {
	return rapid.SampledFrom(m.below("")).Draw(m.t, "file")
}

// change writes or chmods a file under one of its names.
func (m *mirror) change(path string) {
	m.writes++
	data := fmt.Appendf(nil, "%05d", m.writes)
	switch rapid.SampledFrom([]string{"write", "write", "unseen", "chmod", "date"}).Draw(m.t, "how") {
	case "write":
		m.must(os.WriteFile(m.full(path), data, 0o644))
		m.event(path, watcher.Modified, "")
		m.event(path, watcher.Closed, "")
	case "unseen":
		st, err := os.Lstat(m.full(path))
		m.must(err)
		m.must(os.WriteFile(m.full(path), data, 0o644))
		m.event(path, watcher.Modified, "")
		m.event(path, watcher.Closed, "")
		m.date(path, st.ModTime())
	case "chmod":
		m.must(os.Chmod(m.full(path), os.FileMode(0o600+m.writes%0o100)))
		m.event(path, watcher.Attrib, "")
	case "date":
		m.date(path, time.Unix(1e9+int64(m.writes), 5))
	}
}

func (m *mirror) date(path string, t time.Time) {
	m.must(os.Chtimes(m.full(path), time.Time{}, t))
	m.event(path, watcher.Modified, "")
}

func (m *mirror) create() {
	if path, ok := m.free(); ok {
		m.writes++
		m.must(os.WriteFile(m.full(path), fmt.Appendf(nil, "%05d", m.writes), 0o644))
		m.event(path, watcher.Created, "")
		m.event(path, watcher.Modified, "")
		m.event(path, watcher.Closed, "")
		if rapid.Bool().Draw(m.t, "old") {
			m.date(path, time.Unix(1e9, 7))
		}
	}
}

func (m *mirror) link() (path string, ok bool) {
	old := m.file()
	if path, ok = m.free(); ok {
		m.must(os.Link(m.full(old), m.full(path)))
		m.event(path, watcher.Created, "")
	}
	return path, ok
}

// hidden changes a file through a link that is made for it, in a directory that
// may be too, and is gone at once, one way or another.
func (m *mirror) hidden() {
	if rapid.Bool().Draw(m.t, "fresh") {
		m.mkdir()
	}
	path, ok := m.link()
	if !ok {
		return
	}
	m.change(path)
	switch rapid.SampledFrom([]string{"remove", "remove", "replace", "again", "directory"}).Draw(m.t, "end") {
	case "replace":
		m.move(m.file(), path)
	case "again":
		m.remove(path)
		m.must(os.WriteFile(m.full(path), nil, 0o644))
		m.event(path, watcher.Created, "")
		m.event(path, watcher.Closed, "")
	case "directory":
		if dir := coalesce.Parent(path); dir != "" {
			m.removeAll(dir)
			return
		}
		m.remove(path)
	default:
		m.remove(path)
	}
}

func (m *mirror) remove(path string) {
	m.must(os.Remove(m.full(path)))
	m.event(path, watcher.Removed, "")
}

func (m *mirror) unlink() {
	if path := m.file(); !strings.HasPrefix(path, "keep") {
		m.remove(path)
	}
}

func (m *mirror) rename() {
	from, to := m.file(), m.file()
	if path, ok := m.free(); ok && rapid.Bool().Draw(m.t, "new") {
		to = path
	}
	m.move(from, to)
}

func (m *mirror) move(from, to string) {
	a, err := os.Lstat(m.full(from))
	m.must(err)
	if b, err := os.Lstat(m.full(to)); strings.HasPrefix(from, "keep") || strings.HasPrefix(to, "keep") || err == nil && os.SameFile(a, b) {
		return // a rename between two names of one file does nothing
	}
	m.must(os.Rename(m.full(from), m.full(to)))
	m.event(from, watcher.Removed|watcher.Moved, "")
	m.event(to, watcher.Created|watcher.Moved, from)
}

func (m *mirror) mkdir() {
	if path, ok := m.free(); ok {
		m.must(os.Mkdir(m.full(path), 0o755))
		m.event(path, watcher.Created|watcher.Dir, "")
	}
}

func (m *mirror) dir() string {
	return rapid.SampledFrom(m.dirs()).Draw(m.t, "dir")
}

func (m *mirror) moveDir() {
	to, ok := m.free()
	from := m.dir()
	if !ok || from == "" || coalesce.Under(to, from) {
		return
	}
	m.must(os.Rename(m.full(from), m.full(to)))
	m.event(from, watcher.Removed|watcher.Moved|watcher.Dir, "")
	m.event(to, watcher.Created|watcher.Moved|watcher.Dir|watcher.Subtree, from)
}

// moveOut takes a file or a directory out of the tree, or brings one in.
func (m *mirror) moveOut() {
	path, err := m.file(), error(nil)
	kind := watcher.Moved
	if d := m.dir(); d != "" && rapid.Bool().Draw(m.t, "whole") {
		path, kind = d, kind|watcher.Dir
	}
	if strings.HasPrefix(path, "keep") {
		return
	}
	m.writes++
	m.must(os.Rename(m.full(path), filepath.Join(m.outside, fmt.Sprint(m.writes))))
	m.event(path, watcher.Removed|kind, "")
	// Its watches are given back, late or early.
	err = filepath.WalkDir(filepath.Join(m.outside, fmt.Sprint(m.writes)), func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			var st os.FileInfo
			if st, err = d.Info(); err == nil {
				delete(m.watched, inodeOf(st))
			}
		}
		return err
	})
	m.must(err)
}

func (m *mirror) moveIn() {
	entries, err := os.ReadDir(m.outside)
	m.must(err)
	path, ok := m.free()
	if !ok || len(entries) == 0 {
		return
	}
	kind := watcher.Created | watcher.Moved
	if entries[0].IsDir() {
		kind |= watcher.Dir | watcher.Subtree
	}
	m.must(os.Rename(filepath.Join(m.outside, entries[0].Name()), m.full(path)))
	m.event(path, kind, "")
}

func (m *mirror) removeDir() {
	if dir := m.dir(); dir != "" {
		m.removeAll(dir)
	}
}

func (m *mirror) removeAll(dir string) {
	entries, err := os.ReadDir(m.full(dir))
	m.must(err)
	for _, e := range entries {
		if p := dir + "/" + e.Name(); e.IsDir() {
			m.removeAll(p)
		} else {
			m.remove(p)
		}
	}
	m.must(unix.Rmdir(m.full(dir)))
	m.event(dir, watcher.Removed|watcher.Dir, "")
}

// TestMirrorStaysEqual: whatever is done to a tree with hard links, the told
// entries keep a mirror equal to it.
func TestMirrorStaysEqual(t *testing.T) {
	base, err := os.MkdirTemp("/dev/shm", "links")
	if err != nil {
		base = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(base, fmt.Sprint(runs))
		m := &mirror{
			t: t, root: dir + "/root", outside: dir + "/outside",
			coalescer: coalesce.NewCoalescer(coalesce.Config{}), files: map[string]file{}, watched: map[uint64]string{},
		}
		defer os.RemoveAll(dir)
		m.must(os.MkdirAll(m.root, 0o755))
		m.must(os.Mkdir(m.outside, 0o755))
		m.index = New(Config{Root: m.root, Blind: true})
		m.must(os.WriteFile(m.full("keep1"), nil, 0o644))
		m.must(os.Link(m.full("keep1"), m.full("keep2")))
		st, err := os.Lstat(m.root)
		m.must(err)
		m.watched[inodeOf(st)] = ""
		for _, path := range []string{"keep1", "keep2"} {
			m.event(path, watcher.Created, "")
		}
		m.flush()
		t.Repeat(map[string]func(*rapid.T){
			"change":    func(*rapid.T) { m.change(m.file()) },
			"change2":   func(*rapid.T) { m.change(m.file()) },
			"create":    func(*rapid.T) { m.create() },
			"link":      func(*rapid.T) { m.link() },
			"link2":     func(*rapid.T) { m.link() },
			"hidden":    func(*rapid.T) { m.hidden() },
			"hidden2":   func(*rapid.T) { m.hidden() },
			"unlink":    func(*rapid.T) { m.unlink() },
			"rename":    func(*rapid.T) { m.rename() },
			"mkdir":     func(*rapid.T) { m.mkdir() },
			"moveDir":   func(*rapid.T) { m.moveDir() },
			"moveOut":   func(*rapid.T) { m.moveOut() },
			"moveIn":    func(*rapid.T) { m.moveIn() },
			"removeDir": func(*rapid.T) { m.removeDir() },
			"part":      func(*rapid.T) { m.part() },
			"part2":     func(*rapid.T) { m.part() },
			"flush":     func(*rapid.T) { m.flush() },
		})
		m.flush()
	})
}
