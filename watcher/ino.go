package watcher

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// inoMask is what every directory is watched for. IN_EXCL_UNLINK is left out:
// with it nothing is told of writes to a file that was opened with O_TMPFILE
// and has got a name since.
const inoMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF |
	unix.IN_ONLYDIR

const (
	// pairTime is how long the second half of a rename may take to come.
	pairTime = 50 * time.Millisecond
	// maxHalves bounds the halves of renames waiting for the other.
	maxHalves = 4096
)

// half is the first half of a rename, IN_MOVED_FROM.
type half struct {
	cookie uint32
	from   string
	time   int64
	// node is the directory's, unlinked.
	node inoRef
}

// ino is the inotify backend.
type ino struct {
	r  *resolver
	fd int
	// mu guards the tree, and Config.Ignore, while walkers run. The resolver
	// holds it for one record at a time, never while it waits for a receiver.
	mu   sync.Mutex
	tree *inoTree
	// halves are in the order of their coming.
	halves []half
	timer  *time.Timer

	ctx    context.Context
	walk   *walk
	done   chan struct{} // the walk has ended
	walkNo uint32
	again  []Reason // why another walk must follow
	ready  sync.Once

	// newBlind are the directories whose first Rescan is due.
	newBlind []inoRef
	// Already logged:
	saidLimit, saidNoRight bool
	buf                    []byte
	names                  []dirent
}

func newIno(r *resolver) *ino {
	b := &ino{r: r, fd: r.w.reader.group, timer: time.NewTimer(time.Hour), done: make(chan struct{}, 1), buf: make([]byte, direntBuffer)}
	b.timer.Stop()
	b.tree = newInoTree(func(wd int32) {
		// It fails if the directory is gone already.
		_, _ = unix.InotifyRmWatch(b.fd, uint32(wd))
	})
	return b
}

// handle turns a record into Events.
func (b *ino) handle(s *slot, p payload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mask := uint32(s.mask)
	n := b.tree.watched(s.wd)
	if mask&unix.IN_IGNORED != 0 && n == 0 || mask&unix.IN_ISDIR != 0 && mask&(unix.IN_MOVE|unix.IN_DELETE) != 0 {
		// A walker may have the directory in its hands, and then another may have
		// taken its place.
		b.tree.changes++
	}
	if n == 0 {
		// A watch given back, whose directory is gone or reported as a whole.
		b.r.w.count.outside.Add(1)
		return
	}
	if mask&(unix.IN_IGNORED|unix.IN_UNMOUNT|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 {
		b.self(n, mask)
		return
	}
	dir, ok := b.tree.path(n)
	if !ok {
		b.r.w.count.outside.Add(1)
		return
	}
	kind := inoKind(mask)
	if len(p[partName]) == 0 {
		b.r.emit(Event{Path: dir, Kind: kind | Dir, Time: s.time})
		return
	}
	if anonymous(p[partName]) && !kind.has(Dir) {
		// It may as well be a file of that very name, so the name is told too.
		b.r.emit(Event{Path: dir, Kind: Children | Dir, Time: s.time})
	}
	path := joinBytes(dir, p[partName])
	name := path[len(path)-len(p[partName]):]
	if b.r.ignored(path, kind.has(Dir)) {
		b.r.w.count.ignored.Add(1)
		return
	}
	switch {
	case mask&unix.IN_MOVED_FROM != 0:
		b.movedFrom(n, name, path, s, kind)
	case mask&unix.IN_MOVED_TO != 0:
		b.movedTo(n, name, path, s, kind)
	default:
		b.r.emit(Event{Path: path, Kind: kind, Time: s.time})
		if kind.has(Dir) {
			b.dirChanged(n, name, kind, s.time)
		}
	}
	b.announce(s.time)
	b.counts()
}

// dirChanged follows a directory that came, went, or may have become readable.
func (b *ino) dirChanged(parent inoID, name string, kind Kind, now int64) {
	switch kid := b.tree.kid(parent, name); {
	case kind.has(Created):
		b.arm(parent, name, armFresh, now)
	case kind.has(Removed):
		if kid != 0 {
			b.tree.drop(kid)
		}
	case kind.has(Attrib) && (kid == 0 || !b.tree.node(kid).listed):
		b.arm(parent, name, armFresh, now)
	}
}

// self handles what a watch tells of its own directory. All but the root's is
// known from the parent, and may come long after the name was taken anew.
func (b *ino) self(n inoID, mask uint32) {
	if n == inoRoot {
		if b.r.checkRoot(); b.r.gone {
			return
		}
		if mask&unix.IN_IGNORED != 0 {
			b.tree.unbind(n)
			b.lostLocked(Restarted)
		}
		return
	}
	switch {
	case mask&unix.IN_UNMOUNT != 0:
		if path, ok := b.tree.path(n); ok {
			b.r.unmounted(path)
		}
		b.tree.drop(n)
	case mask&unix.IN_IGNORED != 0:
		b.tree.drop(n)
	}
	b.counts()
}

// movedFrom reports the first half of a rename. A directory's watches stay for
// a while: it has most likely moved inside the root.
func (b *ino) movedFrom(parent inoID, name, path string, s *slot, kind Kind) {
	b.r.emit(Event{Path: path, Kind: kind, Time: s.time})
	h := half{cookie: s.cookie, from: path, time: s.time}
	if kind.has(Dir) {
		h.node = b.left(parent, name, path, s.time)
	}
	if len(b.halves) == 0 {
		b.timer.Reset(pairTime)
	}
	if len(b.halves) == maxHalves {
		b.giveUp(b.halves[0])
		b.halves = b.halves[1:]
	}
	b.halves = append(b.halves, h)
}

// movedTo reports the second half of a rename, or what was moved in.
func (b *ino) movedTo(parent inoID, name, path string, s *slot, kind Kind) {
	ev := Event{Path: path, Kind: kind, Time: s.time}
	i := len(b.halves) - 1
	for i >= 0 && b.halves[i].cookie != s.cookie {
		i--
	}
	if i >= 0 {
		ev.From = b.halves[i].from
	}
	if kind.has(Dir) {
		ev.Kind |= Subtree
	}
	b.r.emit(ev)
	if kind.has(Dir) {
		b.arm(parent, name, armMoved, s.time)
	} else if kid := b.tree.kid(parent, name); kid != 0 {
		b.tree.drop(kid)
	}
	if i >= 0 {
		h := b.halves[i]
		b.halves = slices.Delete(b.halves, i, i+1)
		// It may have moved on: then it is found when that is read.
		b.giveUp(h)
	}
}

// left unlinks the directory that went from (parent, name), unless the one
// known there is another that has come since: with an exchange, or when names
// were listed before the records of their coming were read, it is.
func (b *ino) left(parent inoID, name, path string, now int64) inoRef {
	kid := b.tree.kid(parent, name)
	if kid == 0 {
		return inoRef{}
	}
	fd, err := openDir(b.abs(path))
	if err != nil {
		b.tree.unlink(kid)
		return b.tree.ref(kid)
	}
	wd, err := b.watch(fd)
	unix.Close(fd)
	if err == nil && wd == b.tree.node(kid).wd {
		return inoRef{}
	}
	b.tree.unlink(kid)
	ref := b.tree.ref(kid)
	if err != nil || b.tree.watched(wd) == 0 {
		b.arm(parent, name, armFresh, now)
	}
	return ref
}

// giveUp ends the wait for a half's other half: a directory that was not found
// elsewhere moved out, and its watches are given back.
func (b *ino) giveUp(h half) {
	if n := b.tree.at(h.node); n != 0 && b.tree.node(n).parent == 0 {
		b.tree.drop(n)
	}
}

// expire gives up on halves that are too old.
func (b *ino) expire(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.halves) > 0 && now-b.halves[0].time >= int64(pairTime) {
		h := b.halves[0]
		b.halves = b.halves[1:]
		b.giveUp(h)
	}
	if len(b.halves) == 0 {
		b.halves = nil
	} else {
		b.timer.Reset(pairTime)
	}
	b.announce(now)
	b.counts()
}

func (b *ino) due() <-chan time.Time { return b.timer.C }

func inoKind(mask uint32) (k Kind) {
	for _, m := range [...]struct {
		bit  uint32
		kind Kind
	}{
		{unix.IN_CREATE, Created}, {unix.IN_DELETE, Removed}, {unix.IN_MODIFY, Modified},
		{unix.IN_CLOSE_WRITE, Closed}, {unix.IN_ATTRIB, Attrib}, {unix.IN_ISDIR, Dir},
		{unix.IN_MOVED_FROM, Removed | Moved}, {unix.IN_MOVED_TO, Created | Moved},
	} {
		if mask&m.bit != 0 {
			k |= m.kind
		}
	}
	return k
}

// counts brings the totals of now up to date.
func (b *ino) counts() {
	c := &b.r.w.count
	c.watches.Store(uint64(b.tree.wds.n))
	c.nodes.Store(uint64(b.tree.wds.n + len(b.tree.blind)))
	c.unwatched.Store(b.tree.unwatched)
}

func (b *ino) settle(int64) {}

// mounted looks anew at the places where something was mounted or unmounted.
func (b *ino) mounted(changed, _ []string, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, path := range changed {
		if b.r.ignored(path, true) {
			continue
		}
		dir, name := splitLast(path)
		if parent := b.tree.find(dir); parent != 0 {
			if kid := b.tree.kid(parent, name); kid != 0 {
				b.tree.drop(kid)
			}
			b.arm(parent, name, armMoved, now)
		}
		b.r.rescan(path, NewMount, now)
	}
	b.announce(now)
	b.counts()
}

// remounted arms everything again.
func (b *ino) remounted(now int64) { b.lost(Restarted, now) }
