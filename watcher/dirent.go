package watcher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

const direntBuffer = 32 << 10

// dirent is one entry of a directory.
type dirent struct {
	name  string
	isDir bool
}

// dirFlags opens a directory for listing; a symbolic link at the end of its path
// is not followed.
const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK

// openDir opens a directory for listing; a symbolic link at the end of path
// is not followed.
func openDir(path string) (int, error) {
	for {
		fd, err := unix.Open(path, dirFlags, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// openDirBytes is openDir for an absolute path that ends with NUL, without an
// allocation.
func openDirBytes(path []byte) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, 0, uintptr(unsafe.Pointer(&path[0])), dirFlags|unix.O_LARGEFILE, 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// list appends the entries of the open directory fd to out, or only the
// directories among them. buf is scratch.
func list(fd int, buf []byte, dirsOnly bool, out []dirent) ([]dirent, error) {
	err := eachDirent(fd, buf, func(name []byte, isDir bool) {
		if isDir || !dirsOnly {
			out = append(out, dirent{name: string(name), isDir: isDir})
		}
	})
	return out, err
}

// listDirs appends the names of the directories in the open directory fd to out,
// before each a byte for its length. buf is scratch.
func listDirs(fd int, buf, out []byte) ([]byte, error) {
	err := eachDirent(fd, buf, func(name []byte, isDir bool) {
		if isDir {
			out = append(append(out, byte(len(name))), name...)
		}
	})
	return out, err
}

// eachDirent calls f for each entry of the open directory fd. buf is scratch,
// and where the names are.
func eachDirent(fd int, buf []byte, f func(name []byte, isDir bool)) error {
	// btrfs lists what was there when the directory was opened or rewound (since
	// Linux 6.6), and the watch came after that.
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return err
	}
	for {
		n, err := unix.Getdents(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		parseDirents(fd, buf[:n], f)
	}
}

// countDirs counts the directories below path, as far as they can be read; what
// cannot be listed cannot be counted. It stops early when there are more than
// most, or ctx ends. buf is scratch.
func countDirs(ctx context.Context, path string, most uint64, buf []byte) (n uint64) {
	stack := []string{path}
	for len(stack) > 0 && n <= most && ctx.Err() == nil {
		dir := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		fd, err := openDir(dir)
		if err != nil {
			continue
		}
		kids, _ := list(fd, buf, true, nil)
		unix.Close(fd)
		n += uint64(len(kids))
		for _, k := range kids {
			stack = append(stack, dir+"/"+k.name)
		}
	}
	return n
}

// parseDirents takes apart linux_dirent64 records: ino u64 | off s64 |
// reclen u16 | type u8 | name NUL.
func parseDirents(fd int, b []byte, f func(name []byte, isDir bool)) {
	for len(b) >= 19 {
		n := int(binary.NativeEndian.Uint16(b[16:]))
		if n < 19 || n > len(b) {
			return
		}
		name := b[19:n]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		typ := b[18]
		b = b[n:]
		// The kernel has no longer names, and the walkers no room for them.
		if len(name) == 0 || len(name) > 255 || string(name) == "." || string(name) == ".." {
			continue
		}
		isDir := typ == unix.DT_DIR
		if typ == unix.DT_UNKNOWN {
			var st unix.Stat_t
			if unix.Fstatat(fd, string(name), &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
				isDir = st.Mode&unix.S_IFMT == unix.S_IFDIR
			}
		}
		f(name, isDir)
	}
}

// join puts a name below a relative directory.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// joinBytes is join, with one allocation.
func joinBytes(dir string, name []byte) string {
	if dir == "" {
		return string(name)
	}
	return dir + "/" + string(name)
}
