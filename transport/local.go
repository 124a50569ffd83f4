package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/fansync/fansync/scheduler"
)

// CheckOverlap refuses a local destination that is the source, lies in it, or
// holds it: mirroring would then feed on itself, or delete its own source.
// Symlinks and bind mounts are seen through.
func CheckOverlap(src string, d Dest) error {
	if d.Kind != Local {
		return nil
	}
	from, err := filepath.EvalSymlinks(src)
	if err != nil {
		return fmt.Errorf("resolve the source: %w", err)
	}
	if from, err = filepath.Abs(from); err != nil {
		return fmt.Errorf("resolve the source: %w", err)
	}
	to, err := resolve(d.Path)
	if err != nil {
		return fmt.Errorf("resolve the destination: %w", err)
	}
	same := func(a, b string) bool {
		if a == b {
			return true
		}
		x, errA := os.Stat(a)
		y, errB := os.Stat(b)
		return errA == nil && errB == nil && os.SameFile(x, y)
	}
	switch {
	case same(from, to):
		return fmt.Errorf("the destination %s is the source itself", d.Path)
	case below(to, from, same):
		return fmt.Errorf("the destination %s is inside the source %s", d.Path, src)
	case below(from, to, same):
		return fmt.Errorf("the source %s is inside the destination %s and would be deleted from it", src, d.Path)
	}
	return nil
}

// below reports whether dir is a proper ancestor of path.
func below(path, dir string, same func(a, b string) bool) bool {
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		if same(path, dir) {
			return true
		}
	}
	return false
}

// resolve follows the symlinks of what exists of path; the rest stays.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
		return real, err
	}
	if target, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		return resolve(filepath.Clean(target))
	}
	dir, err := resolve(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// localDir guards a local destination: it is made if it is missing, one level
// only, and once seen it must stay on its device, so that a disk that was
// unmounted is not mirrored into its mount point.
type localDir struct {
	path string

	mu    sync.Mutex
	known bool
	dev   uint64
}

// check is nil if rsync may write into the directory. With create false
// nothing is changed, and a directory that can be made is fine.
func (l *localDir) check(create bool) *scheduler.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		if l.known {
			return refuse(scheduler.Transient, "destination %s is gone: mount it, or make it again", l.path)
		}
		return l.make(create)
	}
	if err != nil {
		return refuse(scheduler.Transient, "look at destination %s: %s", l.path, plain(err))
	}
	if !info.IsDir() {
		return refuse(scheduler.Permanent, "destination %s is not a directory: move it away", l.path)
	}
	dev := uint64(info.Sys().(*syscall.Stat_t).Dev)
	if l.known && dev != l.dev {
		return refuse(scheduler.Transient, "destination %s is no longer on the device it was: mount it again", l.path)
	}
	l.known, l.dev = true, dev
	return nil
}

// make is called with mu held.
func (l *localDir) make(create bool) *scheduler.Result {
	parent := filepath.Dir(l.path)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(scheduler.Permanent, "destination %s: its parent directory does not exist: mkdir -p %s, or mount it", l.path, parent)
	case err != nil:
		return refuse(scheduler.Transient, "look at %s: %s", parent, plain(err))
	case !info.IsDir():
		return refuse(scheduler.Permanent, "destination %s: %s is not a directory", l.path, parent)
	case !create:
		return nil
	}
	if err := os.Mkdir(l.path, 0o755); err != nil {
		class := scheduler.Permanent
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			class = scheduler.Transient
		}
		return refuse(class, "make destination %s: %s", l.path, plain(err))
	}
	if info, err = os.Stat(l.path); err != nil {
		return refuse(scheduler.Transient, "look at destination %s: %s", l.path, plain(err))
	}
	l.known, l.dev = true, uint64(info.Sys().(*syscall.Stat_t).Dev)
	return nil
}

// refuse is the result of a batch for which no rsync was started.
func refuse(class scheduler.Class, format string, args ...any) *scheduler.Result {
	return &scheduler.Result{Class: class, Code: -1, Message: oneLine(fmt.Sprintf(format, args...))}
}

// plain is the error without the operation and path the message already has.
func plain(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// oneLine makes text fit a line of a log or a status.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
