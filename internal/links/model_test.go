package links

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// mirror is a tree that is kept equal to a real one by nothing but the entries
// that Expand tells. Its files share nothing.
type mirror struct {
	t         *rapid.T
	root      string
	index     *Index
	coalescer *coalesce.Coalescer
	files     map[string]string
	writes    int
}

func (m *mirror) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mirror) full(path string) string { return filepath.Join(m.root, path) }

func (m *mirror) event(path string, k watcher.Kind, from string) {
	m.coalescer.Add(watcher.Event{Path: path, Kind: k, From: from, Time: watcher.Now()}, watcher.Now())
}

func (m *mirror) flush() {
	entries, err := m.index.Expand(m.coalescer.Flush(watcher.Now(), true).Entries)
	m.must(err)
	for _, e := range entries {
		m.apply(e)
	}
	if diff := cmp.Diff(m.real(""), m.files); diff != "" {
		m.t.Fatalf("after %v (-real +mirror):\n%s", entries, diff)
	}
}

// apply does for one entry what a batch does.
func (m *mirror) apply(e coalesce.Entry) {
	st, err := os.Lstat(m.full(e.Path))
	if isDir := err == nil && st.IsDir(); isDir && !e.Has(subtree) {
		return
	}
	for path := range m.files {
		if path == e.Path || coalesce.Under(path, e.Path) {
			delete(m.files, path)
		}
	}
	if err == nil {
		for path, data := range m.real(e.Path) {
			m.files[path] = data
		}
	}
}

// real reads the files at and below the path.
func (m *mirror) real(path string) map[string]string {
	files := map[string]string{}
	m.must(filepath.WalkDir(m.full(path), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		files[p[len(m.root)+1:]] = string(data)
		return err
	}))
	return files
}

// list gives the paths of the directories, or of the files.
func (m *mirror) list(dirs bool) []string {
	var paths []string
	m.must(filepath.WalkDir(m.root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != m.root && d.IsDir() == dirs {
			paths = append(paths, p[len(m.root)+1:])
		}
		return err
	}))
	return paths
}

// free draws a path that is not there yet, in a directory that is; ok is false
// if the drawn one is taken.
func (m *mirror) free() (path string, ok bool) {
	d := rapid.SampledFrom(append([]string{""}, m.list(true)...)).Draw(m.t, "in")
	path = strings.TrimPrefix(d+"/"+rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(m.t, "name"), "/")
	_, err := os.Lstat(m.full(path))
	return path, os.IsNotExist(err) && strings.Count(path, "/") < 4
}

func (m *mirror) file() string {
	return rapid.SampledFrom(append(m.list(false), "keep1")).Draw(m.t, "file")
}

func (m *mirror) write() {
	path := m.file()
	m.writes++
	m.must(os.WriteFile(m.full(path), fmt.Appendf(nil, "%05d", m.writes), 0o644))
	m.event(path, watcher.Modified|watcher.Closed, "")
}

func (m *mirror) create() {
	if path, ok := m.free(); ok {
		m.writes++
		m.must(os.WriteFile(m.full(path), fmt.Appendf(nil, "%05d", m.writes), 0o644))
		m.event(path, watcher.Created, "")
		m.event(path, watcher.Modified|watcher.Closed, "")
	}
}

// link flushes at once: a name that comes and goes between two flushes is what
// the package cannot know.
func (m *mirror) link() {
	old := m.file()
	if path, ok := m.free(); ok {
		m.must(os.Link(m.full(old), m.full(path)))
		m.event(path, watcher.Created, "")
		m.flush()
	}
}

func (m *mirror) unlink() {
	if path := m.file(); !strings.HasPrefix(path, "keep") {
		m.must(os.Remove(m.full(path)))
		m.event(path, watcher.Removed, "")
	}
}

func (m *mirror) rename() {
	from, to := m.file(), m.file()
	if path, ok := m.free(); ok && rapid.Bool().Draw(m.t, "new") {
		to = path
	}
	a, err := os.Lstat(m.full(from))
	m.must(err)
	if b, err := os.Lstat(m.full(to)); strings.HasPrefix(from+to, "keep") || strings.HasPrefix(to, "keep") || err == nil && os.SameFile(a, b) {
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

func (m *mirror) moveDir() {
	dirs := m.list(true)
	to, ok := m.free()
	if !ok || len(dirs) == 0 {
		return
	}
	from := rapid.SampledFrom(dirs).Draw(m.t, "dir")
	if coalesce.Under(to, from) {
		return
	}
	m.must(os.Rename(m.full(from), m.full(to)))
	m.event(from, watcher.Removed|watcher.Moved|watcher.Dir, "")
	m.event(to, watcher.Created|watcher.Moved|watcher.Dir|watcher.Subtree, from)
}

func (m *mirror) removeDir() {
	dirs := m.list(true)
	if len(dirs) == 0 {
		return
	}
	dir := rapid.SampledFrom(dirs).Draw(m.t, "dir")
	var remove func(path string)
	remove = func(path string) {
		entries, err := os.ReadDir(m.full(path))
		m.must(err)
		for _, e := range entries {
			p := path + "/" + e.Name()
			if e.IsDir() {
				remove(p)
				continue
			}
			m.must(os.Remove(m.full(p)))
			m.event(p, watcher.Removed, "")
		}
		m.must(os.Remove(m.full(path)))
		m.event(path, watcher.Removed|watcher.Dir, "")
	}
	remove(dir)
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
		m := &mirror{t: t, root: filepath.Join(base, fmt.Sprint(runs)), coalescer: coalesce.NewCoalescer(coalesce.Config{}), files: map[string]string{}}
		m.must(os.Mkdir(m.root, 0o755))
		defer os.RemoveAll(m.root)
		m.index = New(m.root, nil, nil)
		m.must(os.WriteFile(m.full("keep1"), nil, 0o644))
		m.must(os.Link(m.full("keep1"), m.full("keep2")))
		for _, path := range []string{"keep1", "keep2"} {
			m.event(path, watcher.Created, "")
		}
		m.flush()
		t.Repeat(map[string]func(*rapid.T){
			"write":     func(*rapid.T) { m.write() },
			"write2":    func(*rapid.T) { m.write() },
			"create":    func(*rapid.T) { m.create() },
			"link":      func(*rapid.T) { m.link() },
			"link2":     func(*rapid.T) { m.link() },
			"unlink":    func(*rapid.T) { m.unlink() },
			"rename":    func(*rapid.T) { m.rename() },
			"mkdir":     func(*rapid.T) { m.mkdir() },
			"moveDir":   func(*rapid.T) { m.moveDir() },
			"removeDir": func(*rapid.T) { m.removeDir() },
			"flush":     func(*rapid.T) { m.flush() },
		})
		m.flush()
	})
}
