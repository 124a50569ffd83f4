package watcher

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// armMode says why a directory is armed.
type armMode uint8

const (
	// armFresh: it came into being; everything found in it is reported, for
	// it may have come before the watch.
	armFresh armMode = iota
	// armMoved: it came with all its content, which is reported as a whole.
	armMoved
)

// maxFound bounds the entries reported one by one for one fresh directory;
// above it the directory is reported with Subtree.
const maxFound = 4096

type armJob struct {
	parent inoRef
	name   string
	mode   armMode
}

// arm watches the directory at (parent, name) and all below it: first it adds
// the watch, then it lists. The caller holds mu.
func (b *ino) arm(parent inoID, name string, mode armMode, now int64) {
	stack := []armJob{{b.tree.ref(parent), name, mode}}
	found := 0
	for len(stack) > 0 && b.ctx.Err() == nil {
		j := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		parent := b.tree.at(j.parent)
		dir, ok := b.tree.path(parent)
		if !ok {
			continue
		}
		path := join(dir, j.name)
		if b.r.ignored(path, true) {
			continue
		}
		fd, err := openDir(b.abs(path))
		if err != nil {
			b.refused(parent, j.name, path, err)
			continue
		}
		wd, err := b.watch(fd)
		if err != nil {
			b.refused(parent, j.name, path, err)
			unix.Close(fd)
			continue
		}
		n, before := b.adopt(parent, j.name, wd)
		if n == 0 {
			unix.Close(fd)
			continue
		}
		if before == placeSame && b.tree.node(n).listed && j.mode == armFresh {
			unix.Close(fd)
			continue
		}
		if before == placeOther && j.mode == armFresh {
			// It moved here, and the record of that is still to come.
			j.mode = armMoved
			b.r.emit(Event{Path: path, Kind: Created | Dir | Subtree, Time: now})
		}
		b.names, err = list(fd, b.buf, j.mode == armMoved, b.names[:0])
		unix.Close(fd)
		if err != nil {
			b.unlisted(path, err)
		}
		b.tree.node(n).listed = err == nil
		if j.mode == armFresh {
			if found += len(b.names); found > maxFound {
				j.mode = armMoved
				b.r.emit(Event{Path: path, Kind: Created | Dir | Subtree, Time: now})
			}
		}
		for _, e := range b.names {
			if j.mode == armFresh {
				b.report(join(path, e.name), e.isDir, now)
			}
			if e.isDir {
				stack = append(stack, armJob{b.tree.ref(n), e.name, j.mode})
			}
		}
		clear(b.names)
	}
}

// report tells of an entry found in a fresh directory.
func (b *ino) report(path string, isDir bool, now int64) {
	if b.r.ignored(path, isDir) {
		return
	}
	kind := Created
	if isDir {
		kind |= Dir
	}
	b.r.emit(Event{Path: path, Kind: kind, Time: now})
}

func (b *ino) abs(path string) string {
	if path == "" {
		return b.r.w.cfg.Root
	}
	if b.r.w.cfg.Root == "/" {
		return "/" + path
	}
	return b.r.w.cfg.Root + "/" + path
}

// place says where the directory of a watch was before it was adopted.
type place uint8

const (
	placeNew place = iota
	placeSame
	placeOther
)

// adopt links the node of a watch at (parent, name), where its directory was
// just found; parent is 0 for the root. It returns 0 if the directory is above
// that place. The caller holds mu, and has since before it added the watch.
func (b *ino) adopt(parent inoID, name string, wd int32) (inoID, place) {
	t := b.tree
	n, before := t.watched(wd), placeOther
	switch {
	case parent == 0:
		if n != 0 && n != inoRoot {
			// It was met below itself, where it is mounted.
			t.unbind(n)
			t.drop(n)
		}
		n, before = inoRoot, placeNew
		t.bind(n, wd)
		t.unblock(n)
	case n == 0:
		n, before = t.add(), placeNew
		t.bind(n, wd)
	case t.isAt(n, parent, name):
		before = placeSame
	}
	if parent != 0 && !t.link(n, parent, name) {
		return 0, before
	}
	t.node(n).seen = b.walkNo
	return n, before
}

// watch adds a watch on what fd has open, not on what its path leads to now.
func (b *ino) watch(fd int) (int32, error) {
	if m := b.r.w.cfg.maxWatches; m != nil && int64(b.tree.wds.n) >= m.Load() {
		return 0, unix.ENOSPC
	}
	wd, err := unix.InotifyAddWatch(b.fd, procPath(fd), b.mask())
	return int32(wd), err
}

func (b *ino) mask() uint32 {
	if b.r.w.cfg.NoModify {
		return inoMask &^ unix.IN_MODIFY
	}
	return inoMask
}

// refused handles a directory that could not be opened or watched. The caller
// holds mu.
func (b *ino) refused(parent inoID, name, path string, err error) {
	switch {
	case vanished(err):
		// It went, or is something else now; that is in a record.
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.ENAMETOOLONG):
		b.r.w.count.unreadable.Add(1)
		if parent != 0 {
			// The parent may be what forbids it, and is listed again once its mode
			// changes.
			b.tree.node(parent).listed = false
		}
		if !b.saidNoRight {
			b.r.w.cfg.Log.Warn("directory cannot be opened and is not watched; further ones are not logged", "root", b.r.w.cfg.Root, "dir", path, "err", err)
		}
		b.saidNoRight = true
	default:
		b.block(parent, name, path, err)
	}
}

// unlisted handles a directory that is watched but could not be listed.
func (b *ino) unlisted(path string, err error) {
	if !vanished(err) {
		b.r.w.cfg.Log.Warn("list directory", "root", b.r.w.cfg.Root, "dir", path, "err", err)
	}
}
