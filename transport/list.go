package transport

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

const (
	msgMoved  = "its parent is no longer a directory of the source"
	msgNotDir = "it is no longer a directory of the source"
	msgName   = "it is not a path below the root"
)

// list writes the lines of one batch. It looks at the source while it writes,
// shortly before rsync does.
type list struct {
	root  *os.File
	batch scheduler.Batch
	// before stands before each line, with a slash; "" unless rsync's working
	// directory is another one.
	before string
	// failed are the items that were not listed; of the feeder until it ends.
	failed []scheduler.PathError

	parent   string // the last parent looked at
	parentOK bool
}

// feed writes the list to w and closes it. That rsync went away meanwhile is
// not an error here: its exit says why.
func (l *list) feed(w io.WriteCloser) error {
	err := l.write(w)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func (l *list) write(w io.Writer) error {
	if l.batch.Form == scheduler.Full {
		_, err := io.WriteString(w, "./\x00")
		return err
	}
	// Small enough that the look at a parent is not old when rsync, which
	// reads byte by byte, comes to it; a pipe holds 64 KiB more.
	buf := bufio.NewWriterSize(w, 4096)
	for _, it := range l.batch.Items {
		if msg := l.unfit(it); msg != "" {
			l.failed = append(l.failed, scheduler.PathError{Path: it.Path, Message: msg, Vanished: true})
			continue
		}
		line := l.before + "./" + it.Path
		if it.Path != "" && it.Children && !l.batch.Form.Deep() {
			line += "/"
		}
		if _, err := buf.WriteString(line); err != nil {
			return err
		}
		if err := buf.WriteByte(0); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// unfit says why an item may not be listed, or "". rsync follows a symlink
// among the parents of a listed name: at the source it would send what lies
// behind it as if it lay here; and with the parents gone at the source it
// follows the remote's symlink and deletes behind that. A name with a
// trailing slash is followed itself.
func (l *list) unfit(it scheduler.Item) string {
	if it.Path == "" {
		return ""
	}
	if !filepath.IsLocal(it.Path) || filepath.Clean(it.Path) != it.Path {
		return msgName
	}
	if i := strings.LastIndexByte(it.Path, '/'); i >= 0 {
		if dir := it.Path[:i]; dir != l.parent || !l.parentOK {
			l.parent, l.parentOK = dir, isRealDir(l.root, dir)
		}
		if !l.parentOK {
			return msgMoved
		}
	}
	if it.Children && !it.Missing && !l.batch.Form.Deep() && !isRealDir(l.root, it.Path) {
		return msgNotDir
	}
	return ""
}

// isRealDir reports whether path is a directory below root that is reached
// without any symlink. What cannot be looked at for another reason counts as
// one: rsync will say what is wrong with it.
func isRealDir(root *os.File, path string) bool {
	fd, err := unix.Openat2(int(root.Fd()), path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case err == nil:
		unix.Close(fd)
		return true
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM): // before Linux 5.6, or a seccomp profile
		return isRealDirByParts(root, path)
	}
	return !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP)
}

// isRealDirByParts is isRealDir with one fstatat per parent.
func isRealDirByParts(root *os.File, path string) bool {
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		var st unix.Stat_t
		err := unix.Fstatat(int(root.Fd()), path[:i], &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return false
		}
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return false
		}
	}
	return true
}
