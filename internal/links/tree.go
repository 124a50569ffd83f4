package links

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// attrs is what statx says of a path.
type attrs struct {
	file         inode
	mode         uint16
	nlink        uint32
	mtime, ctime int64 // nanoseconds since 1970
}

// linked reports whether it is a regular file with several names.
func (a attrs) linked() bool { return a.regular() && a.nlink > 1 }

func (a attrs) regular() bool { return a.mode&unix.S_IFMT == unix.S_IFREG }

func (a attrs) dir() bool { return a.mode&unix.S_IFMT == unix.S_IFDIR }

// tree is the root, open for a short while. It keeps the directory last used
// open, since paths that follow each other often share it.
type tree struct {
	root   int
	dev    uint64
	timely bool
	parent string
	fd     int // the directory parent; -1 for none
}

// timely are the filesystems whose times come from this machine's clock.
var timely = []int64{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC,
	unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
}

func openTree(path string) (*tree, error) {
	fd, err := openRetry(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open root %q: %w", path, err)
	}
	t := &tree{root: fd, fd: -1}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		t.close()
		return nil, fmt.Errorf("statfs root %q: %w", path, err)
	}
	for _, magic := range timely {
		t.timely = t.timely || int64(fs.Type) == magic
	}
	a, err := statAt(fd, "")
	if err != nil {
		t.close()
		return nil, fmt.Errorf("stat root %q: %w", path, err)
	}
	t.dev = a.file.dev
	return t, nil
}

// times reports whether the file's times come from this machine's clock.
func (t *tree) times(f inode) bool { return t.timely && f.dev == t.dev }

func (t *tree) close() {
	t.leave()
	unix.Close(t.root)
}

// leave closes the directory last used.
func (t *tree) leave() {
	if t.fd >= 0 {
		unix.Close(t.fd)
		t.fd = -1
	}
}

// stat looks at a path below the root without following any symbolic link.
func (t *tree) stat(path string) (attrs, error) {
	parent := coalesce.Parent(path)
	if parent == "" {
		return statAt(t.root, path)
	}
	if t.fd < 0 || t.parent != parent {
		t.leave()
		fd, err := t.open(parent, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return attrs{}, err
		}
		t.fd, t.parent = fd, parent
	}
	return statAt(t.fd, path[len(parent)+1:])
}

// open opens a path below the root without following any symbolic link.
func (t *tree) open(path string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if path == "" {
		path = "."
	}
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	}
	fd, err := openRetry(func() (int, error) { return unix.Openat2(t.root, path, &how) })
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENAMETOOLONG):
		return t.openByParts(path, flags)
	}
	return fd, err
}

// openByParts is open for a kernel before 5.6, a sandbox that forbids openat2,
// and paths longer than one call takes.
func (t *tree) openByParts(path string, flags int) (int, error) {
	at := t.root
	for {
		part, rest, more := strings.Cut(path, "/")
		how := flags
		if more {
			how = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NOFOLLOW
		}
		fd, err := openRetry(func() (int, error) { return unix.Openat(at, part, how, 0) })
		if at != t.root {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, path = fd, rest
	}
}

// openRetry repeats an open that was interrupted, or that raced with a rename.
func openRetry(open func() (int, error)) (int, error) {
	for tries := 0; ; {
		fd, err := open()
		if err == unix.EAGAIN && tries < 100 {
			tries++
			continue
		}
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// statAt looks at a name in an open directory, or at the directory itself if
// the name is empty.
func statAt(dir int, name string) (attrs, error) {
	const mask = unix.STATX_TYPE | unix.STATX_NLINK | unix.STATX_INO | unix.STATX_MTIME | unix.STATX_CTIME
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	for {
		switch err := unix.Statx(dir, name, flags, mask, &st); err {
		case nil:
			return attrs{
				file:  inode{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino},
				mode:  st.Mode,
				nlink: st.Nlink,
				mtime: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
				ctime: st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec),
			}, nil
		case unix.EINTR:
		default:
			return attrs{}, err
		}
	}
}

// vanished reports whether err says that a path is not there, or not as a path
// of this tree.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
