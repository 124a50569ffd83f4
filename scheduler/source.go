package scheduler

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Source is the root as the scheduler needs it.
type Source interface {
	// OpenDir opens the root and verifies that it is the root that was there
	// at the start, so that nothing is deleted for the sake of another
	// directory. With needEntries an empty root that was not empty before is
	// an error too. The caller closes the file.
	OpenDir(needEntries bool) (*os.File, error)
}

// found is what a look at a path gave.
type found struct {
	// path is what must be sent for the path that was asked for: the path
	// itself, its topmost missing ancestor, or an ancestor that is no directory.
	path    string
	missing bool
	size    int64  // bytes
	mode    uint32 // st_mode; 0 when missing or not readable
	mtime   int64  // ns
	ctime   int64  // ns
}

func (f found) dir() bool     { return f.mode&unix.S_IFMT == unix.S_IFDIR }
func (f found) regular() bool { return f.mode&unix.S_IFMT == unix.S_IFREG }

// looker looks paths up below a root without following any symlink. It keeps
// the directories above the last path open, so sorted paths cost about one
// system call each. It is used by one goroutine; close must be called.
type looker struct {
	names []string // components of the directories that are open
	fds   []int    // fds[0] is the root; fds[i+1] is names[:i+1]
	root  *os.File
}

func newLooker(root *os.File) *looker {
	return &looker{root: root, fds: []int{int(root.Fd())}}
}

func (l *looker) close() error {
	l.keep(0)
	return l.root.Close()
}

// keep closes all but the n topmost directories below the root.
func (l *looker) keep(n int) {
	for len(l.names) > n {
		last := len(l.names)
		// Closing an O_PATH descriptor cannot fail in a way that matters.
		_ = unix.Close(l.fds[last])
		l.names, l.fds = l.names[:last-1], l.fds[:last]
	}
}

// look stats path.
func (l *looker) look(path string) (found, error) {
	if path == "" {
		return statAt(l.fds[0], "", "")
	}
	parts := strings.Split(path, "/")
	depth := 0
	for depth < len(l.names) && depth < len(parts)-1 && l.names[depth] == parts[depth] {
		depth++
	}
	l.keep(depth)
	for depth < len(parts)-1 {
		fd, err := unix.Openat(l.fds[depth], parts[depth], unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			l.names, l.fds = append(l.names, parts[depth]), append(l.fds, fd)
			depth++
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP):
			// Missing, or no directory any more: this is what must be sent.
			return statAt(l.fds[depth], parts[depth], strings.Join(parts[:depth+1], "/"))
		default:
			return found{path: path}, fmt.Errorf("open %q: %w", strings.Join(parts[:depth+1], "/"), err)
		}
	}
	return statAt(l.fds[depth], parts[depth], path)
}

func statAt(dir int, name, path string) (found, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.ENOENT) {
		return found{path: path, missing: true}, nil
	}
	if err != nil {
		return found{path: path}, fmt.Errorf("stat %q: %w", path, err)
	}
	return found{path: path, size: st.Size, mode: st.Mode, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}, nil
}

// crowd counts the entries of directory dir, but stops at limit.
func (l *looker) crowd(dir string, limit int) (int, error) {
	f, err := openDir(l.fds[0], dir, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	for n < limit {
		names, err := f.Readdirnames(min(limit-n, 4096))
		n += len(names)
		if err != nil || len(names) == 0 {
			break
		}
	}
	return n, nil
}

// population counts the entries below directory dir at every depth, but stops
// at limit. It is an error if it cannot look at all of them, or if something is
// mounted below dir.
func (l *looker) population(dir string, limit int) (int, error) {
	top, err := openDir(l.fds[0], dir, 0)
	if err != nil {
		return 0, err
	}
	defer top.Close()
	n := 0
	for todo := []string{""}; len(todo) > 0 && n < limit; {
		sub := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		f, err := openDir(int(top.Fd()), sub, unix.RESOLVE_NO_XDEV)
		if err != nil {
			return n, err
		}
		for n < limit && err == nil {
			var entries []os.DirEntry
			entries, err = f.ReadDir(min(limit-n, 4096))
			n += len(entries)
			for _, e := range entries {
				if e.IsDir() {
					todo = append(todo, filepath.Join(sub, e.Name()))
				}
			}
		}
		// Closing what was only read cannot fail in a way that matters.
		_ = f.Close()
		if n < limit && !errors.Is(err, io.EOF) {
			return n, fmt.Errorf("read %q below %q: %w", sub, dir, err)
		}
	}
	return n, nil
}

// openDir opens directory path below the directory at, "" being that itself,
// without following any symlink.
func openDir(at int, path string, resolve uint64) (*os.File, error) {
	name := path
	if path == "" {
		name = "."
	}
	fd, err := unix.Openat2(at, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | resolve,
	})
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", path, err)
	}
	// By this name ReadDir finds an entry whose type the filesystem does not tell.
	return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd)), nil
}
