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

// survey looks at the part of the source that a wide run will come upon without
// its being in the list. Large files are left out of the run: each then goes by
// itself, while small changes go on. A full run may be divided. It is called by
// the sending goroutine before the run begins, so what grows later has an event
// that comes after.
func (f *flight) survey(ctx context.Context, cfg Config) {
	if !f.wide() || f.bigSize == noBig && f.shards < 2 || f.batch.Form.Plain() != f.batch.Form {
		return
	}
	root, err := cfg.Source.OpenDir(false)
	if err != nil {
		return // the run will say why
	}
	// Closing what was only read cannot fail in a way that matters.
	defer root.Close()
	s := &surveyor{ctx: ctx, root: int(root.Fd()), least: f.bigSize, skip: cfg.Skip, branchMin: branchMin}
	var tree *branch
	for _, it := range f.search {
		if tree, err = s.below(it.Path, !it.Children); err != nil {
			f.batch.Keep = true // it takes them along
			return
		}
	}
	if s.many {
		f.batch.Keep = true
	} else if f.bigSize != noBig {
		f.left, f.batch.MaxSize = s.found, f.bigSize-1
	}
	f.batch.Settled = f.batch.Settled && len(f.left) == 0
	if f.batch.Form == Full {
		f.batch.Entries = tree.entries
		f.batch.Border, f.batch.Shards = tree.cut(f.shards, cfg.ShardMin)
	}
}

// surveyor looks for large files, and weighs directories.
type surveyor struct {
	ctx   context.Context
	root  int
	least int64
	skip  func(path string, dir bool) bool
	found []string
	many  bool // there are more large files than are left out

	branches  int
	branchMin int64
}

// below looks at the entries of directory dir, and with deep at all below it. It
// is an error if it may have missed one. A directory that is gone, or that may
// not be read, has none that rsync could send.
func (s *surveyor) below(dir string, deep bool) (*branch, error) {
	b := &branch{path: dir, weight: shardEntry, entries: 1}
	if s.ctx.Err() != nil {
		return b, s.ctx.Err()
	}
	f, err := openDir(s.root, dir, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		size, err := s.file(s.root, dir, dir)
		b.weight += size
		return b, err
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EACCES):
		return b, nil
	case err != nil:
		return b, err
	}
	dirs, err := s.entries(f, dir, b)
	b.whole = deep && len(dirs) <= maxParts
	// Closing what was only read cannot fail in a way that matters.
	_ = f.Close()
	for i := 0; err == nil && deep && i < len(dirs); i++ {
		var sub *branch
		if sub, err = s.below(dirs[i], true); err == nil {
			b.weight += sub.weight
			b.entries += sub.entries
			if b.whole {
				b.subs = append(b.subs, sub)
			}
		}
	}
	s.prune(b)
	return b, err
}

// prune forgets the branches of what is not worth cutting.
func (s *surveyor) prune(b *branch) {
	s.branches += len(b.subs)
	if s.branches > maxBranches {
		s.branchMin, s.branches = 4*s.branchMin, 0
	}
	if b.weight < s.branchMin && b.path != "" {
		s.branches -= len(b.subs)
		b.subs, b.whole = nil, false
	}
}

// entries looks at the entries of f, which is directory dir, adds their weight
// to b, and returns those that are directories.
func (s *surveyor) entries(f *os.File, dir string, b *branch) (dirs []string, err error) {
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
				size, err := s.file(int(f.Fd()), e.Name(), path)
				if err != nil {
					return nil, err
				}
				b.weight += shardEntry + size
				b.entries++
			default:
				b.weight += shardEntry
				b.entries++
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

// file is what path, which is name in directory at, holds for the run. If it is
// large it is noted and holds nothing.
func (s *surveyor) file(at int, name, path string) (size int64, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("stat %q: %w", path, err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return 0, nil
	case st.Size < s.least || s.many:
		return st.Size, nil
	}
	s.found = append(s.found, path)
	if s.many = len(s.found) > maxLeft; s.many {
		s.found = nil
	}
	return 0, nil
}

// takeLeft makes dirty what f, which has succeeded, left out. Nothing is known of
// its content, so it goes in the way in which f compared all else.
func (r *remote) takeLeft(f *flight, now int64) {
	since, seq := oldest(f.entries)
	if f.full != nil {
		since, seq = f.full.since, f.full.seq
	}
	for _, path := range f.left {
		e := coalesce.Entry{Path: path, Flags: coalesce.Attr, Since: since, Last: now, Seq: seq}
		if f.batch.Form == Racy || f.batch.Form == DeepRacy {
			e.Flags |= coalesce.Racy
		}
		r.insert(e, now)
	}
}
