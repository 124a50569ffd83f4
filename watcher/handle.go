package watcher

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handleBuf holds a struct file_handle: handle_bytes u32 | handle_type s32 |
// the opaque bytes. Its used part is the key of a directory: unlike an inode
// number it is not given to another file later.
type handleBuf [8 + maxHandle]byte

// handleOf asks for the handle of the object fd and the number of the mount
// fd was opened through. The result lies in buf.
func handleOf(fd int, buf *handleBuf) (key []byte, mount int32, err error) {
	return nameToHandle(fd, "", unix.AT_EMPTY_PATH, buf)
}

func nameToHandle(fd int, path string, flags int, buf *handleBuf) (key []byte, mount int32, err error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, 0, err
	}
	*(*uint32)(unsafe.Pointer(&buf[0])) = maxHandle
	_, _, errno := unix.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(fd), uintptr(unsafe.Pointer(p)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&mount)), uintptr(flags), 0)
	if errno != 0 {
		return nil, 0, errno
	}
	n := min(*(*uint32)(unsafe.Pointer(&buf[0])), maxHandle)
	return buf[:8+n], mount, nil
}

// openHandle opens the directory that key names, without the right to read it.
// mountFD is any descriptor of its filesystem.
func openHandle(mountFD int, key []byte) (int, error) {
	if len(key) < 8 {
		return -1, unix.EINVAL
	}
	fd, _, errno := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mountFD), uintptr(unsafe.Pointer(&key[0])),
		unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// openFile opens the file of a handle, whatever its type, without the right to
// read it. ESTALE says that the file is gone.
func openFile(mountFD int, key []byte) (int, error) {
	if len(key) < 8 {
		return -1, unix.EINVAL
	}
	const tries = 8
	for try := 1; ; try++ {
		fd, _, errno := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mountFD), uintptr(unsafe.Pointer(&key[0])),
			unix.O_PATH|unix.O_CLOEXEC)
		switch {
		case errno == 0:
			return int(fd), nil
		// ENOMEM comes for other reasons than memory.
		case errno != unix.EINTR && errno != unix.ENOMEM || try == tries:
			return -1, errno
		}
	}
}

// procPath names an open descriptor.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// readlinkFD returns the path of the object fd as the kernel has it now, in
// buf.
func readlinkFD(fd int, buf []byte) ([]byte, error) {
	n, err := unix.Readlink(procPath(fd), buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// identity tells one directory from every other that was or will be at its
// path.
type identity struct {
	major, minor uint32
	ino          uint64
	born         unix.StatxTimestamp
	handle       string // "" if the filesystem gives none
	mount        uint64 // not part of the directory: which mount it is seen through
}

// identify looks at path, without following a symbolic link at its end.
func identify(path string) (identity, error) {
	var st unix.Statx_t
	const want = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_BTIME | unix.STATX_MNT_ID | unix.STATX_MNT_ID_UNIQUE
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, want, &st); err != nil {
		return identity{}, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return identity{}, fmt.Errorf("%q is not a directory: %w", path, unix.ENOTDIR)
	}
	id := identity{major: st.Dev_major, minor: st.Dev_minor, ino: st.Ino, mount: st.Mnt_id}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = st.Btime
	}
	var buf handleBuf
	if key, _, err := nameToHandle(unix.AT_FDCWD, path, 0, &buf); err == nil {
		id.handle = string(key)
	}
	return id, nil
}

// same reports whether both are the same directory, through whatever mount.
func (a identity) same(b identity) bool {
	a.mount, b.mount = 0, 0
	return a == b
}
