package watcher

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// A change through one name of a file with several is told under that name
// only. That is enough while the name leads to the file when it is looked at,
// for then its link count shows that there are others. If the name is gone by
// then, what is left of the file is looked for by its handle. Most often that
// is nothing, as of any file that was written and deleted.

// remains is what the look for a file's other names found.
type remains uint8

const (
	// nothing is left that anybody must be told of.
	nothing remains = iota
	// told: all changes of the file were told under names that it still has.
	told
	// one name below the root was found.
	one
	// some name may be below the root.
	some
)

// follow learns from a record of a file in dir under what names the file is
// changed, and which of them go.
func (f *fan) follow(s *slot, p payload, dir *fanNode) {
	const changes = unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB
	key, name := p[partChild], p[partName]
	if s.mask&unix.FAN_ONDIR != 0 || len(key) == 0 || len(name) == 0 {
		return
	}
	t := f.traces
	file, at := t.file(key), t.name(p[partDir], name)
	in := deadDir(p[partDir], dir.dead)
	// Bits have no order, so a change may have come before the removal.
	if s.mask&changes != 0 {
		t.note(file, at, dir, name, key, s.time)
	}
	switch {
	case s.mask&unix.FAN_DELETE != 0:
		if t.changed(file, s.time) && f.reveal(file, key, s.time, in) == nothing {
			f.holders.hold(file, at) // spares a second look
		} else {
			f.holders.lose(file, at)
		}
	case s.mask&unix.FAN_CREATE != 0:
		f.holders.renew(file, at)
	case f.holders.lost(file, at) && f.reveal(file, key, s.time, in) <= told:
		f.holders.hold(file, at)
	}
}

// followMove does the same with the record of a file's rename.
func (f *fan) followMove(s *slot, p payload, from, to fanEnd) {
	key := p[partChild]
	if len(key) == 0 {
		return
	}
	t := f.traces
	file, at := t.file(key), t.name(p[partNewDir], p[partNewName])
	// The kernel does not tell of the file that had the new name.
	if g, tr := t.under(at, s.time); tr != nil && tr.file != file {
		f.reveal(tr.file, g.key(tr), s.time, deadDir(p[partNewDir], to.dead))
	}
	if to.mayBeSeen() {
		f.holders.hold(file, at)
	}
	switch {
	case to.seen:
		t.move(file, t.name(p[partDir], p[partName]), at, to.dir, p[partNewName], key, s.time)
	case from.mayBeSeen() && t.changed(file, s.time):
		f.reveal(file, key, s.time, deadDir(p[partDir], from.dead))
	}
}

// deadDir is the handle of a directory, or nil if it is not dead.
func deadDir(key []byte, dead bool) []byte {
	if dead {
		return key
	}
	return nil
}

// followDir does the same with the record of a directory's rename. It must be
// called before the rename is noted in the cache.
func (f *fan) followDir(s *slot, p payload, from, to fanEnd) {
	if to.seen || !from.mayBeSeen() {
		return
	}
	f.left = s.time
	// What was told of names below it while it was already found elsewhere was
	// taken for news from there.
	n := f.nodes.by[string(p[partChild])]
	early := n != nil && (n.ignored || n.outside && n.outAge == f.nodes.outAge)
	in := deadDir(p[partDir], from.dead)
	if early || f.traces.doubtful(s.time) {
		f.suspect(s.time-traceTime, in)
	}
	// If it is removed too, nobody can know any more that it was here.
	up := visible
	if in != nil {
		up = f.burials.hash(in)
	}
	f.burials.bury(f.burials.hash(p[partChild]), up)
}

// followRmdir does the same with the record of a directory's removal from dir.
func (f *fan) followRmdir(s *slot, p payload, dir *fanNode) {
	if dir == nil || len(p[partChild]) == 0 {
		return
	}
	up := elsewhere
	switch {
	case dir.dead:
		up = f.burials.hash(p[partDir])
	case dir.in && !dir.ignored && !f.r.ignored(join(dir.path, string(p[partName])), true):
		up = visible
	}
	if f.burials.removed(f.burials.hash(p[partChild]), up) {
		f.suspect(s.time-traceTime, nil)
	}
}

// sweep follows the traces in directories that have gone out of sight.
func (f *fan) sweep(now int64) {
	f.left = 0
	var last *fanNode
	var seen bool
	for _, g := range [...]*generation{&f.traces.young, &f.traces.old} {
		for i := range g.all {
			tr := &g.all[i]
			if tr.file == 0 || tr.dir == nil || !g.counts(now) {
				continue
			}
			if tr.dir != last {
				last = tr.dir
				dir, err := f.find([]byte(last.key))
				// What is in a dead directory is told of name by name.
				seen = err == nil && (dir == nil || dir.dead || dir.in && !dir.ignored)
			}
			if seen {
				continue
			}
			tr.dir = nil
			path, left := f.look(tr.file, g.key(tr), now)
			f.tell(path, left, now, g.first, nil)
		}
	}
}

// reveal tells what is left of a file that has lost a name, if changes of it
// were told under names that are gone. in is the handle of the name's
// directory if that is dead, else nil.
func (f *fan) reveal(file uint64, key []byte, now int64, in []byte) remains {
	path, left := f.look(file, key, now)
	f.tell(path, left, now, now, in)
	return left
}

// tell reports a change under a name that is gone; since is when it may have
// been.
func (f *fan) tell(path string, left remains, now, since int64, in []byte) {
	switch left {
	case one:
		f.r.w.count.hidden.Add(1)
		f.r.emit(Event{Path: path, Kind: Hidden | Modified, Time: now})
	case some:
		f.suspect(since, in)
	}
}

// suspect reports that some file of the tree may have been changed since then,
// if the dead directory in was below the root, or once it is known to have been.
func (f *fan) suspect(since int64, in []byte) {
	if in != nil && !f.burials.hide(f.burials.hash(in)) {
		return
	}
	f.r.w.count.suspected.Add(1)
	f.r.emit(Event{Kind: Hidden | Dir, Time: max(since, 1)})
}

// look looks for what a file has left, with one the path of it.
func (f *fan) look(file uint64, key []byte, now int64) (path string, left remains) {
	if err := f.openRoot(); err != nil {
		return "", some
	}
	// A handle leads to any name that the kernel has at hand, which may be one
	// that is just going.
	const tries = 4
	for range tries {
		fd, err := openFile(f.root, key)
		if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
			return "", nothing
		}
		if err != nil {
			return "", some
		}
		path, left, err = f.lookAt(fd, file, now)
		unix.Close(fd)
		if err == nil {
			return path, left
		}
	}
	return "", some
}

// lookAt is look at the open file fd. Its error says that the name it was
// opened by is gone, or that the kernel knows none.
func (f *fan) lookAt(fd int, file uint64, now int64) (path string, left remains, err error) {
	var st, at unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", some, err
	}
	if st.Nlink == 0 {
		return "", nothing, nil // somebody holds it open
	}
	if f.allTold(file, &st, now) {
		return "", told, nil
	}
	full, err := readlinkFD(fd, f.link)
	if err != nil {
		return "", some, err
	}
	path, below := strings.CutPrefix(string(full), strings.TrimSuffix(f.r.w.cfg.Root, "/")+"/")
	if below {
		err = unix.Fstatat(f.root, path, &at, unix.AT_SYMLINK_NOFOLLOW)
	} else {
		err = unix.Lstat(path, &at)
	}
	switch {
	case err != nil:
		return "", some, err
	case at.Dev != st.Dev || at.Ino != st.Ino:
		return "", some, unix.ESTALE
	case below && !f.excluded(path):
		return path, one, nil
	case st.Nlink == 1:
		return "", nothing, nil
	}
	return "", some, nil
}

// allTold reports whether all names under which changes of the file were told
// lead to it.
func (f *fan) allTold(file uint64, st *unix.Stat_t, now int64) bool {
	all := !f.traces.doubtful(now)
	f.traces.of(file, now, func(g *generation, tr *trace) bool {
		all = all && f.leads(g, tr, st)
		return all
	})
	return all
}

func (f *fan) leads(g *generation, tr *trace, st *unix.Stat_t) bool {
	if tr.dir == nil {
		return false
	}
	dir, err := f.find([]byte(tr.dir.key))
	if err != nil || dir == nil || !dir.in || dir.ignored || f.root < 0 {
		return false
	}
	var at unix.Stat_t
	path := join(dir.path, string(g.name(tr)))
	err = unix.Fstatat(f.root, path, &at, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && at.Dev == st.Dev && at.Ino == st.Ino && !f.r.ignored(path, false)
}

// excluded reports whether a file, or a directory above it, is ignored.
func (f *fan) excluded(path string) bool {
	for i, c := range []byte(path) {
		if c == '/' && f.r.ignored(path[:i], true) {
			return true
		}
	}
	return f.r.ignored(path, false)
}
