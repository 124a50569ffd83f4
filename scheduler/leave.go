package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// maxLeft is how many large files a wide run may leave for flights of their
// own. If there are more it takes them along.
const maxLeft = 5000

// leave finds the large files that a run would come upon without their being in
// its list, and makes it leave them out: each then goes by itself, while small
// changes go on. It is called by the sending goroutine before the run begins, so
// what grows later has an event that comes after.
func (f *flight) leave(ctx context.Context, cfg Config) {
	if f.bigSize == 1<<63-1 || !f.wide() || f.batch.Form.Plain() != f.batch.Form {
		return
	}
	root, err := cfg.Source.OpenDir(false)
	if err != nil {
		return // the run will say why
	}
	// Closing what was only read cannot fail in a way that matters.
	defer root.Close()
	s := &sizes{ctx: ctx, root: int(root.Fd()), least: f.bigSize, skip: cfg.Skip}
	for _, it := range f.search {
		if err := s.below(it.Path, !it.Children); err != nil {
			f.batch.Keep = true // it takes them along
			return
		}
	}
	f.left, f.batch.MaxSize = s.found, f.bigSize-1
	f.batch.Settled = f.batch.Settled && len(f.left) == 0
}

// sizes looks for large files.
type sizes struct {
	ctx   context.Context
	root  int
	least int64
	skip  func(path string, dir bool) bool
	found []string
}

var errTooMany = errors.New("too many large files")

// below looks at the entries of directory dir, and with deep at all below it. It
// is an error if it may have missed one, or if there are too many. A directory
// that is gone, or that may not be read, has none that rsync could send.
func (s *sizes) below(dir string, deep bool) error {
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	f, err := openDir(s.root, dir, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return s.file(s.root, dir, dir)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EACCES):
		return nil
	case err != nil:
		return err
	}
	dirs, err := s.entries(f, dir)
	// Closing what was only read cannot fail in a way that matters.
	_ = f.Close()
	for i := 0; err == nil && deep && i < len(dirs); i++ {
		err = s.below(dirs[i], true)
	}
	return err
}

// entries looks at the entries of f, which is directory dir, and returns those
// that are directories.
func (s *sizes) entries(f *os.File, dir string) (dirs []string, err error) {
	for {
		var entries []fs.DirEntry
		entries, err = f.ReadDir(4096)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			switch {
			case s.skip(path, e.IsDir()):
			case e.IsDir():
				dirs = append(dirs, path)
			case e.Type().IsRegular():
				if err := s.file(int(f.Fd()), e.Name(), path); err != nil {
					return nil, err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return dirs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", dir, err)
		}
	}
}

// file notes path, which is name in directory at, if it is large.
func (s *sizes) file(at int, name, path string) error {
	var st unix.Stat_t
	err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("stat %q: %w", path, err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size < s.least:
		return nil
	}
	s.found = append(s.found, path)
	if len(s.found) > maxLeft {
		return errTooMany
	}
	return nil
}

// takeLeft makes dirty what f, which has succeeded, left out.
func (r *remote) takeLeft(f *flight, now int64) {
	since, seq := oldest(f.entries)
	if f.full != nil {
		since, seq = f.full.since, f.full.seq
	}
	for _, path := range f.left {
		e := coalesce.Entry{Path: path, Flags: coalesce.Content | coalesce.Attr, Since: since, Last: now, Seq: seq}
		if f.batch.Form == Racy || f.batch.Form == DeepRacy {
			e.Flags |= coalesce.Racy
		}
		r.insert(e, now)
	}
}
