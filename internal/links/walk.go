package links

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// found is a name of a regular file that was looked for.
type found struct {
	link
	attrs
}

// walker lists a tree with several goroutines. What vanishes meanwhile is left
// out; what cannot be read is counted.
type walker struct {
	tree *tree
	skip func(path string, isDir bool) bool
	// keep says which regular files are looked for; nil: those with several
	// links. Several goroutines call it.
	keep func(attrs) bool
	// most is how many names are kept.
	most int
	// stopped ends the walk early when it is closed; nil: never.
	stopped <-chan struct{}

	mu      sync.Mutex
	changed *sync.Cond
	// dirs are still to be listed, busy is how many goroutines list one.
	dirs  []string
	busy  int
	found []found
	// dropped are names beyond most, unread directories not listed.
	dropped, unread int
	err             error // behind the first of unread
}

// run lists dir and all below it.
func (w *walker) run(dir string) {
	if w.keep == nil {
		w.keep = attrs.linked
	}
	w.changed = sync.NewCond(&w.mu)
	w.dirs = []string{dir}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		wg.Go(w.work)
	}
	wg.Wait()
}

func (w *walker) work() {
	buf := make([]byte, 32<<10)
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.dirs) == 0 && w.busy > 0 {
			w.changed.Wait()
		}
		if len(w.dirs) == 0 || w.halted() {
			return
		}
		last := len(w.dirs) - 1
		dir := w.dirs[last]
		w.dirs = w.dirs[:last]
		w.busy++
		w.mu.Unlock()
		dirs, files, err := w.list(dir, buf)
		w.mu.Lock()
		w.busy--
		w.dirs = append(w.dirs, dirs...)
		room := max(w.most-len(w.found), 0)
		if room < len(files) {
			w.dropped += len(files) - room
			files = files[:room]
		}
		w.found = append(w.found, files...)
		if err != nil && !vanished(err) {
			if w.unread++; w.err == nil {
				w.err = err
			}
		}
		w.changed.Broadcast()
	}
}

func (w *walker) halted() bool {
	select {
	case <-w.stopped:
		return true
	default:
		return false
	}
}

// list reads one directory.
func (w *walker) list(dir string, buf []byte) (dirs []string, files []found, err error) {
	fd, err := w.tree.open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	prefix := dir
	if dir != "" {
		prefix += "/"
	}
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return dirs, files, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			var name string
			var typ byte
			name, typ, rest = nextEntry(rest)
			if name == "." || name == ".." || typ != unix.DT_UNKNOWN && typ != unix.DT_DIR && typ != unix.DT_REG {
				continue
			}
			var a attrs
			if typ != unix.DT_DIR {
				a, err = statAt(fd, name)
				if err != nil || !a.dir() && !(a.regular() && w.keep(a)) {
					continue
				}
			}
			path := prefix + name
			isDir := typ == unix.DT_DIR || a.dir()
			switch {
			case w.skip(path, isDir):
			case isDir:
				dirs = append(dirs, path)
			default:
				files = append(files, found{link{path, a.file}, a})
			}
		}
	}
}

// nextEntry takes one struct linux_dirent64 off the buffer: inode 8, offset 8,
// length 2, type 1, then the name up to a NUL.
func nextEntry(b []byte) (name string, typ byte, rest []byte) {
	size := binary.NativeEndian.Uint16(b[16:])
	raw := b[19:size]
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		raw = raw[:i]
	}
	return string(raw), b[18], b[size:]
}
