package suite

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/measure"
)

// differing counts the changed paths that are not equal at the mirror that
// differs most, by what lstat tells. It looks at nothing else, so that a few
// changes in a large tree are looked at quickly; what lies below a changed
// directory counts too.
func (s *session) differing(ctx context.Context, changed []string) (int, error) {
	most := 0
	for _, m := range s.awaited() {
		n := 0
		for _, path := range changed {
			a, b, err := both(filepath.Join(s.src, path), filepath.Join(m, path))
			if err != nil {
				return 0, err
			}
			if !a.looksLike(b) {
				n++
				continue
			}
			if !a.isDir() {
				continue
			}
			below, err := measure.Compare(ctx, filepath.Join(s.src, path), filepath.Join(m, path), measure.CompareOptions{Seconds: true})
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
				n++ // it went meanwhile
				continue
			}
			if err != nil {
				return 0, err
			}
			n += len(below)
		}
		most = max(most, n)
	}
	return most, nil
}

// look is what lstat tells of a path, as far as a mirror must have it.
type look struct {
	there bool
	mode  uint32 // with the type
	size  int64
	mtime int64 // in seconds: a plain rsync -a looks no closer
}

func (l look) isDir() bool { return l.there && l.mode&unix.S_IFMT == unix.S_IFDIR }

// looksLike leaves out size and time of directories: not every engine keeps
// the times, and sizes go by the filesystem.
func (l look) looksLike(o look) bool {
	if l.isDir() && o.isDir() {
		return l.mode == o.mode
	}
	return l == o
}

func both(src, dst string) (a, b look, err error) {
	if a, err = lookAt(src); err == nil {
		b, err = lookAt(dst)
	}
	return a, b, err
}

func lookAt(path string) (look, error) {
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return look{}, nil
	case err != nil:
		return look{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return look{there: true, mode: st.Mode, size: st.Size, mtime: st.Mtim.Sec}, nil
}
