package watcher

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// fan is the fanotify backend: it turns records of the whole filesystem into
// Events of the root.
type fan struct {
	r     *resolver
	nodes *fanNodes
	root  int   // descriptor of the root while it is needed, else -1
	mount int32 // the mount it was opened through
	// unresolved asks for a Rescan at the next settling.
	unresolved bool
	// troubled and deep: already logged.
	troubled, deep bool
	graves         graves
	traces         *traces
	holders        *holders
	burials        *burials
	// left is when the last directory went out of sight that was not yet swept
	// for, or 0.
	left int64
	// branches are the mounts below the root, which the mark does not cover.
	branches *branches
	// moved: a directory that may hold a mount point was renamed.
	moved bool

	key, up     handleBuf
	link, again []byte
	chain       []fanStep
}

func newFan(r *resolver) *fan {
	f := &fan{
		r: r, root: -1,
		graves: graves{}, traces: newTraces(), holders: new(holders), burials: newBurials(),
		nodes: newFanNodes(r.w.id.handle, r.w.cfg.MaxNodes, &r.w.count),
		link:  make([]byte, unix.PathMax), again: make([]byte, unix.PathMax),
	}
	f.branches = newBranches(f)
	return f
}

// start has nothing to arm but the branches: the mark stands since New.
func (f *fan) start(ctx context.Context) { f.branches.start(ctx) }

// handle turns a record into Events.
func (f *fan) handle(s *slot, p payload) {
	if s.mask&(unix.FAN_DELETE|unix.FAN_RENAME) != 0 && string(p[partChild]) == f.nodes.key {
		if f.r.checkRoot(); f.r.gone {
			return
		}
	}
	if s.mask&unix.FAN_RENAME != 0 {
		f.renamed(s, p)
		return
	}
	kind := fanKind(s.mask)
	dir := f.dir(p[partDir])
	below := f.graves.take(s, p)
	switch {
	case dir == nil:
		f.r.w.count.nameless.Add(1)
	case !dir.in:
		f.r.w.count.outside.Add(1)
		if dir.dead {
			f.graves.add(s, p, below)
			f.follow(s, p, dir)
		}
	case dir.ignored:
		f.r.w.count.ignored.Add(1)
	default:
		f.changed(s, p, dir, kind, below)
	}
	if s.mask&(unix.FAN_DELETE|unix.FAN_ONDIR) == unix.FAN_DELETE|unix.FAN_ONDIR {
		f.followRmdir(s, p, dir)
		f.nodes.forget(p[partChild])
	}
}

// changed reports a change of a name in dir, or of dir itself.
func (f *fan) changed(s *slot, p payload, dir *fanNode, kind Kind, below uint32) {
	name := p[partName]
	if len(name) == 0 || string(name) == "." {
		f.r.emit(Event{Path: dir.path, Kind: kind | Dir, Time: s.time})
		return
	}
	if anonymous(name) && !kind.has(Dir) {
		// It may as well be a file of that very name, so the name is told too.
		f.r.emit(Event{Path: dir.path, Kind: Children | Dir, Time: s.time})
	}
	path := join(dir.path, string(name))
	if f.r.ignored(path, kind.has(Dir)) {
		f.r.w.count.ignored.Add(1)
		return
	}
	if kind.has(Created | Dir) {
		if isSubvolume(p[partChild]) {
			// A snapshot comes with all its content and only this record.
			kind |= Subtree
		}
		// A directory just made has this place, or the record of its rename
		// is still to come.
		if len(p[partChild]) > 0 && !kind.has(Removed) && len(f.nodes.by) < f.nodes.max {
			if n := f.nodes.at(p[partChild]); n.stale {
				f.nodes.place(n, dir, string(name))
			}
		}
	}
	f.r.emit(Event{Path: path, Kind: kind, Below: below, Time: s.time})
	f.follow(s, p, dir)
}

// renamed reports a rename from both its ends.
func (f *fan) renamed(s *slot, p payload) {
	isDir := s.mask&unix.FAN_ONDIR != 0
	from := f.end(p[partDir], p[partName], isDir)
	to := f.end(p[partNewDir], p[partNewName], isDir)
	if isDir && len(p[partChild]) > 0 {
		f.followDir(s, p, from, to)
		f.nodes.renamed(p[partChild], from.in, to.in)
	}
	f.tellRename(s, from, to, isDir)
	if isDir && (to.in && !from.in || len(f.r.w.mounts) > 0 && (from.in || from.dead || to.dead)) {
		f.moved = true // that makes no mark in the mount table
	}
	if !isDir {
		f.followMove(s, p, from, to)
	}
}

// tellRename reports those ends of a rename that are to be seen.
func (f *fan) tellRename(s *slot, from, to fanEnd, isDir bool) {
	if !from.in && !to.in {
		f.r.w.count.outside.Add(1)
		return
	}
	if !from.seen && !to.seen {
		f.r.w.count.ignored.Add(1)
		return
	}
	kind := Moved
	if isDir {
		kind |= Dir
	}
	if from.seen {
		f.r.emit(Event{Path: from.path, Kind: Removed | kind, Time: s.time})
	}
	if to.seen {
		if isDir {
			kind |= Subtree
		}
		ev := Event{Path: to.path, Kind: Created | kind, Time: s.time}
		if from.seen {
			ev.From = from.path
		}
		f.r.emit(ev)
	}
}

// fanEnd is one end of a rename. What it has of its directory is as it was
// when it was looked up.
type fanEnd struct {
	path string
	dir  *fanNode
	// in: it is below the root; seen: and not ignored; dead: its directory is
	// gone, so nobody knows.
	in, seen, dead bool
}

// mayBeSeen reports whether the end is to be seen, or may have been.
func (e fanEnd) mayBeSeen() bool { return e.seen || e.dead }

// end finds one end of a rename.
func (f *fan) end(dirKey, name []byte, isDir bool) (e fanEnd) {
	if len(dirKey) == 0 || len(name) == 0 {
		return e
	}
	dir := f.dir(dirKey)
	if dir == nil || !dir.in {
		e.dead = dir != nil && dir.dead
		return e
	}
	path := join(dir.path, string(name))
	return fanEnd{path: path, dir: dir, in: true, seen: !dir.ignored && !f.r.ignored(path, isDir)}
}

func fanKind(mask uint64) (k Kind) {
	for _, b := range [...]struct {
		bit  uint64
		kind Kind
	}{
		{unix.FAN_CREATE, Created}, {unix.FAN_DELETE, Removed}, {unix.FAN_MODIFY, Modified},
		{unix.FAN_CLOSE_WRITE, Closed}, {unix.FAN_ATTRIB, Attrib}, {unix.FAN_ONDIR, Dir},
	} {
		if mask&b.bit != 0 {
			k |= b.kind
		}
	}
	return k
}

func (k Kind) has(b Kind) bool { return k&b == b }

// isSubvolume reports whether a handle is that of a btrfs subvolume's top
// directory: handles of this type start with the object's number, which is
// 256 for all of them.
func isSubvolume(key []byte) bool {
	const btrfsHandle, btrfsTop = 0x4d, 256
	return len(key) >= 16 && binary.NativeEndian.Uint32(key[4:]) == btrfsHandle &&
		binary.LittleEndian.Uint64(key[8:]) == btrfsTop
}

// lost forgets all places, for renames may be among what is missing.
func (f *fan) lost(why Reason, now int64) {
	f.nodes.clear()
	f.r.rescan("", why, now)
}

// mounted follows what was mounted or unmounted.
func (f *fan) mounted(changed, _ []string, now int64) { f.branches.changed(changed, now) }

// repoll asks for what is not watched live.
func (f *fan) repoll(now int64) { f.branches.repoll(now) }

// remounted marks the filesystem again: the old mark went with the old mount.
func (f *fan) remounted(now int64) {
	f.closeRoot()
	if err := markFilesystem(f.r.w.reader.group, f.r.w.cfg); err != nil {
		f.r.w.cfg.Log.Error("mark the filesystem mounted anew", "root", f.r.w.cfg.Root, "err", err)
		f.r.emit(Event{Kind: Gone, Time: now})
		f.r.gone = true
		return
	}
	f.r.w.cfg.Log.Warn("the root's filesystem was mounted anew: the root will be compared again", "root", f.r.w.cfg.Root)
	f.lost(Restarted, now)
}

// settle lets go of the root, and asks for what could not be resolved.
func (f *fan) settle(now int64) {
	if f.left != 0 {
		f.sweep(f.left)
	}
	if f.moved {
		f.moved = false
		f.r.checkMounts(now)
	}
	f.closeRoot()
	if f.unresolved {
		f.unresolved = false
		f.lost(ResolveFailed, now)
	}
}

func (f *fan) settled() bool         { return f.branches.settled() }
func (f *fan) due() <-chan time.Time { return nil }
func (f *fan) expire(int64)          {}

// walked and finish tell of the branches.
func (f *fan) walked() <-chan struct{} { return f.branches.woken }
func (f *fan) finish(now int64)        { f.branches.receive(now) }

func (f *fan) stop() {
	f.closeRoot()
	f.branches.going.Wait()
}

// base is the last name of a path.
func base(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }
