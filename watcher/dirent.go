package watcher

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

const direntBuffer = 32 << 10

// dirent is one entry of a directory.
type dirent struct {
	name  string
	isDir bool
}

// openDir opens a directory for listing; a symbolic link at the end of path
// is not followed.
func openDir(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// list appends the entries of the open directory fd to out, or only the
// directories among them. buf is scratch.
func list(fd int, buf []byte, dirsOnly bool, out []dirent) ([]dirent, error) {
	for {
		n, err := unix.Getdents(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return out, err
		}
		out = parseDirents(fd, buf[:n], dirsOnly, out)
	}
}

// parseDirents takes apart linux_dirent64 records: ino u64 | off s64 |
// reclen u16 | type u8 | name NUL.
func parseDirents(fd int, b []byte, dirsOnly bool, out []dirent) []dirent {
	for len(b) >= 19 {
		n := int(binary.NativeEndian.Uint16(b[16:]))
		if n < 19 || n > len(b) {
			return out
		}
		name := b[19:n]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		typ := b[18]
		b = b[n:]
		if len(name) == 0 || string(name) == "." || string(name) == ".." {
			continue
		}
		isDir := typ == unix.DT_DIR
		if typ == unix.DT_UNKNOWN {
			var st unix.Stat_t
			if unix.Fstatat(fd, string(name), &st, unix.AT_SYMLINK_NOFOLLOW) == nil {
				isDir = st.Mode&unix.S_IFMT == unix.S_IFDIR
			}
		}
		if isDir || !dirsOnly {
			out = append(out, dirent{name: string(name), isDir: isDir})
		}
	}
	return out
}

// join puts a name below a relative directory.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
