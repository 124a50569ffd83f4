package links

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// attrs is what statx says of a path.
type attrs struct {
	file  inode
	mode  uint16
	nlink uint32
	// nanoseconds since 1970; btime is the time of birth, 0 if not known
	mtime, ctime, btime int64
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
	looks  looks
	parent string
	fd     int // the directory parent; -1 for none
}

// looks says what the looks at a tree prove.
type looks struct {
	// since is the kernel's coarse clock before the first of them, nanoseconds
	// since 1970: what changes after a look has no older time of change.
	since int64
	// fine: what changes after a look has another time of change than before.
	fine bool
}

// timely are the filesystems whose times come from this machine's clock. Since
// Linux 6.13 those of fineGrained give a file that was looked at a finer time at
// its next change.
var (
	timely = []int64{
		unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
	}
	fineGrained = []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC}
)

// fineKernel reports whether the kernel is of 6.13 or later.
var fineKernel = sync.OnceValue(func() bool {
	var u unix.Utsname
	var major, minor int
	if err := unix.Uname(&u); err != nil {
		return false
	}
	n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return n == 2 && (major > 6 || major == 6 && minor >= 13)
})

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
	t.timely = slices.Contains(timely, int64(fs.Type))
	t.looks.fine = slices.Contains(fineGrained, int64(fs.Type)) && fineKernel()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		t.close()
		return nil, fmt.Errorf("read the clock: %w", err)
	}
	t.looks.since = now.Nano()
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
	const mask = unix.STATX_TYPE | unix.STATX_NLINK | unix.STATX_INO | unix.STATX_MTIME | unix.STATX_CTIME | unix.STATX_BTIME
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var st unix.Statx_t
	for {
		switch err := unix.Statx(dir, name, flags, mask, &st); err {
		case nil:
			a := attrs{
				file:  inode{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino},
				mode:  st.Mode,
				nlink: st.Nlink,
				mtime: nanoseconds(st.Mtime),
				ctime: nanoseconds(st.Ctime),
			}
			if st.Mask&unix.STATX_BTIME != 0 {
				a.btime = nanoseconds(st.Btime)
			}
			return a, nil
		case unix.EINTR:
		default:
			return attrs{}, err
		}
	}
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// vanished reports whether err says that a path is not there, or not as a path
// of this tree.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
