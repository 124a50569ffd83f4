package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var kindNames = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "symlink", unix.S_IFIFO: "fifo",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "character device", unix.S_IFBLK: "block device",
}

// what lists in what two entries of the same type differ.
func (c *comparison) what(src, dst string, a, b *unix.Stat_t) ([]string, error) {
	var out []string
	differ := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	kind := a.Mode & unix.S_IFMT
	switch kind {
	case unix.S_IFREG:
		if a.Size != b.Size {
			differ(true, "size %d is %d", a.Size, b.Size)
		} else if c.opts.Content && a.Size > 0 {
			same, err := c.sameContent(src, dst)
			if err != nil {
				return nil, err
			}
			differ(!same, "content")
		}
	case unix.S_IFLNK:
		target, mirrored, err := targets(src, dst)
		if err != nil {
			return nil, err
		}
		differ(target != mirrored, "target %q is %q", target, mirrored)
	case unix.S_IFCHR, unix.S_IFBLK:
		differ(a.Rdev != b.Rdev, "device %#x is %#x", a.Rdev, b.Rdev)
	}
	if kind != unix.S_IFDIR || c.opts.DirTimes {
		differ(a.Mtim.Sec != b.Mtim.Sec || a.Mtim.Nsec != b.Mtim.Nsec && !c.opts.Seconds, "time %s is %s", stamp(a), stamp(b))
	}
	differ(a.Mode != b.Mode, "mode %04o is %04o", a.Mode&0o7777, b.Mode&0o7777)
	differ(c.owners && (a.Uid != b.Uid || a.Gid != b.Gid), "owner %d:%d is %d:%d", a.Uid, a.Gid, b.Uid, b.Gid)
	return out, nil
}

func stamp(st *unix.Stat_t) string {
	return time.Unix(st.Mtim.Unix()).UTC().Format("2006-01-02T15:04:05.000000000")
}

// targets are those of two symbolic links; one that vanished has "".
func targets(src, dst string) (a, b string, err error) {
	for _, l := range []struct {
		path   string
		target *string
	}{{src, &a}, {dst, &b}} {
		if *l.target, err = os.Readlink(l.path); err != nil && !vanished(err) && !errors.Is(err, unix.EINVAL) {
			return "", "", fmt.Errorf("compare: %w", err)
		}
	}
	return a, b, nil
}

// sameContent compares two files. One that vanished is not the same as any.
func (c *comparison) sameContent(src, dst string) (same bool, err error) {
	var files [2]*os.File
	for i, path := range []string{src, dst} {
		// A fifo in a file's place must not block.
		f, openErr := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if vanished(openErr) || errors.Is(openErr, unix.ENXIO) {
			return false, nil
		}
		if openErr != nil {
			return false, fmt.Errorf("compare: %w", openErr)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		files[i] = f
	}
	buf := c.buffers.Get().(*[2][64 << 10]byte)
	defer c.buffers.Put(buf)
	for !c.over.Load() {
		n, errA := io.ReadFull(files[0], buf[0][:])
		m, errB := io.ReadFull(files[1], buf[1][:])
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, fmt.Errorf("compare: %w", err)
			}
		}
		if !bytes.Equal(buf[0][:n], buf[1][:m]) {
			return false, nil
		}
		if errA != nil {
			return true, nil
		}
	}
	return true, nil
}
