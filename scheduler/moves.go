package scheduler

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// What was renamed at the source is, as a rule, at the remote under its old
// name. A move makes the new name from that and sends none of its data:
//
//   - A directory goes as Move, or as MoveRacy if size and mtime under the old
//     name prove nothing, see untouched.
//   - Files that went to another directory under their own names go as MoveRacy
//     of the two directories, all of one pair together, and light directories
//     with them.
//   - A file renamed within its directory goes as Fuzzy.
//
// All else, and all that is in doubt, goes as if it were new. The removal of the
// old name waits until the new one has arrived, see moving.
const (
	// entryWeight is what an entry weighs besides its bytes: about what rsync
	// sends and computes for it. A move takes a run or two more, 50 to 150 ms,
	// in which a link of 100 Mbit/s takes 1 MiB.
	entryWeight = 1 << 10
	// fileShare is the part of MoveMin that a single file must have.
	fileShare = 16
	// fuzzyEntry is how many bytes a file must have for each entry of its
	// directory to be looked for there: rsync reads the whole directory at the
	// remote. Measured with 100,000 entries on ext4 and rsync 3.5.0 that is 8 to
	// 16 µs an entry; the same link takes 100 to 200 bytes meanwhile.
	fuzzyEntry = 128
	// maxMoves bounds the directories that are weighed for one batch once so
	// many heavy ones were found: each is a batch of its own.
	maxMoves = 8
)

// movedFrom is how what was renamed to e.Path, found as at, goes if the remote
// may have it under its old name; of the form Flat if it has not. It reports
// false if that cannot be said before a flight has landed, or before other moves
// have gone.
func (r *remote) movedFrom(s *sorting, e coalesce.Entry, at found, look *looker) (kind, bool) {
	if !r.mayMove(e, at) {
		return kind{}, true
	}
	if r.blocked(e.From) {
		s.waits = true
		return kind{}, false
	}
	old, ok := r.removal(e.From)
	if from, err := look.look(e.From); !ok || err != nil || !from.missing {
		return kind{}, true
	}
	group := kind{form: MoveRacy, purpose: plain, from: coalesce.Parent(e.From), to: coalesce.Parent(e.Path)}
	sameName := base(e.From) == base(e.Path)
	if !at.dir() {
		switch {
		case at.size < r.cfg.MoveMin/fileShare:
		case group.from == group.to:
			if s.crowds.atMost(look, group.to, at.size/fuzzyEntry) {
				return kind{form: Fuzzy, purpose: plain}, true
			}
		case sameName:
			s.weigh(group, at.size+entryWeight)
			return group, true
		}
		return kind{}, true
	}
	if s.moves >= maxMoves {
		return kind{}, false
	}
	weight := look.weight(e.Path, r.cfg.MoveMin)
	switch {
	case weight >= r.cfg.MoveMin:
		s.moves++
		whole := kind{form: MoveRacy, purpose: plain, from: e.From, to: e.Path}
		if r.untouched(e, old) {
			whole.form = Move
		}
		s.weigh(whole, weight)
		return whole, true
	case sameName && group.from != group.to:
		s.weigh(group, weight)
		return group, true
	}
	return kind{}, true
}

// mayMove reports whether the remote can have what was found at e.Path under
// e.From, and nothing has spoken against it so far.
func (r *remote) mayMove(e coalesce.Entry, at found) bool {
	const never = coalesce.Born | coalesce.Ghost | coalesce.Gone | coalesce.Exact | coalesce.Children
	switch {
	case e.From == "" || e.From == e.Path || e.Path == "" || r.cfg.MoveMin < 0 || e.Any(never):
		return false
	case at.missing || at.path != e.Path || coalesce.Under(e.From, e.Path) || coalesce.Under(e.Path, e.From):
		return false
	}
	return at.regular() || at.dir() && e.Has(coalesce.Subtree)
}

// removal is the entry that tells of the old name's end, which must still be
// dirty: then the remote has what the last flights brought there. It is that of
// a directory above if that went too.
func (r *remote) removal(from string) (coalesce.Entry, bool) {
	for p := from; p != ""; p = coalesce.Parent(p) {
		e, ok := r.dirty.Get(p)
		if ok && (p == from || e.Has(coalesce.Gone) || e.Has(coalesce.Subtree)) {
			return e, e.Has(coalesce.Gone) && e.From == "" && !e.Any(coalesce.Born|coalesce.Ghost|coalesce.Subtree)
		}
	}
	return coalesce.Entry{}, false
}

// untouched reports whether what the remote has under the old name has the
// content of what is at the new one wherever size and mtime agree. It has if it
// was in sync when it moved, and nothing was heard of it since: everything that
// was dirty below the old name, or came below the new one, has left its flag in
// one of the two entries, or stands in the dirty set still. Racy alone says no
// more than that a flight met the names: a write that it met is Content too.
func (r *remote) untouched(e, old coalesce.Entry) bool {
	const pure = coalesce.Name | coalesce.Dir | coalesce.Racy
	if e.Flags&^(pure|coalesce.Subtree|coalesce.Moved|coalesce.Attr) != 0 ||
		old.Flags&^(pure|coalesce.Gone|coalesce.Uncounted) != 0 {
		return false
	}
	if !r.began || r.full != nil || r.hasTrouble(e.From, true) || r.hasTrouble(e.Path, true) {
		return false
	}
	dirty := false
	for _, dir := range []string{e.From, e.Path} {
		r.dirty.AscendUnder(dir, func(coalesce.Entry) bool {
			dirty = true
			return false
		})
	}
	return !dirty
}

// weigh adds to what all of one kind weigh.
func (s *sorting) weigh(k kind, weight int64) { s.bucket(k).weight += weight }

// dropLight lets go of moves that are not worth their runs: they go as if they
// were new.
func (s *sorting) dropLight(least int64) {
	for k, b := range s.buckets {
		if k.form != MoveRacy || b.weight >= least {
			continue
		}
		delete(s.buckets, k)
		for _, p := range b.placed {
			s.bucket(s.sized(kind{form: p.form, purpose: plain}, p)).add(p)
		}
	}
}

// basesOf are the paths at the remote that a bucket's run takes data from.
func basesOf(b *bucket) []string {
	if b.form.Plain() == b.form {
		return nil
	}
	var bases []string
	for _, p := range b.placed {
		bases = append(bases, p.entry.From)
	}
	slices.Sort(bases)
	return bases
}

// crowds are the numbers of entries of directories, as far as they were counted.
type crowds map[string]crowd

type crowd struct{ entries, limit int }

// atMost reports whether dir holds at most limit entries.
func (c crowds) atMost(look *looker, dir string, limit int64) bool {
	want := int(min(limit, 1<<30))
	known, ok := c[dir]
	if !ok || known.entries == known.limit && known.limit <= want {
		entries, err := look.crowd(dir, want+1)
		if err != nil {
			return false
		}
		known = crowd{entries, want + 1}
		c[dir] = known
	}
	return known.entries <= want
}

// weight is the sum of the sizes of all that is below dir, and entryWeight for
// each of it, but stops when it has come to limit. What cannot be looked at has
// none.
func (l *looker) weight(dir string, limit int64) int64 {
	top, err := openDir(l.fds[0], dir, 0)
	if err != nil {
		return 0
	}
	defer top.Close()
	sum := int64(0)
	for todo := []string{""}; len(todo) > 0 && sum < limit; {
		sub := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		f, err := openDir(int(top.Fd()), sub, unix.RESOLVE_NO_XDEV)
		if err != nil {
			continue
		}
		for sum < limit {
			names, err := f.Readdirnames(256)
			for _, name := range names {
				at, err := statAt(int(f.Fd()), name, "")
				if err != nil || at.missing {
					continue
				}
				sum += entryWeight
				if at.dir() {
					todo = append(todo, join(sub, name))
				} else {
					sum += at.size
				}
			}
			if err != nil || len(names) == 0 {
				break
			}
		}
		// Closing what was only read cannot fail in a way that matters.
		_ = f.Close()
	}
	return sum
}

// join is the path of name in dir.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// base is the last component of path.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// moving are the old paths of what has not arrived under its new one yet, true,
// and the directories above them, false.
type moving map[string]bool

// holds reports whether path, which is gone, must stay at the remote for now:
// it is such an old path or holds one.
func (m moving) holds(path string) bool {
	_, ok := m[path]
	return ok
}

func (m moving) add(from string) {
	m[from] = true
	for p := coalesce.Parent(from); p != "" && !m.holds(p); p = coalesce.Parent(p) {
		m[p] = false
	}
}

// moving are the old paths of moves that are not at the remote yet: what moved
// arrives at its new path before it goes from the old one.
func (r *remote) moving(settled bool) moving {
	if !settled {
		return nil
	}
	from := moving{}
	note := func(e coalesce.Entry) bool {
		if e.From != "" && !e.Has(coalesce.Gone) {
			from.add(e.From)
		}
		return true
	}
	r.dirty.Ascend(note)
	for _, f := range r.flights {
		for _, e := range f.entries {
			note(e)
		}
	}
	for _, group := range r.suspects {
		for _, e := range group {
			note(e)
		}
	}
	return from
}

// unsent are the old paths, by the new ones, of moves that were not sent before
// a Change came.
type unsent map[string]string

// unsentMoves are those that moves of the Change lead on from.
func (r *remote) unsentMoves(entries []coalesce.Entry) unsent {
	var u unsent
	for _, e := range entries {
		if e.From == "" {
			continue
		}
		if x, ok := r.dirty.Get(e.From); ok && x.From != "" && !x.Has(coalesce.Gone) {
			if u == nil {
				u = unsent{}
			}
			u[e.From] = x.From
		}
	}
	return u
}

// rebase gives e the old path that the remote knows. What happened under the
// name between stands in that name's entry.
func (u unsent) rebase(e coalesce.Entry) coalesce.Entry {
	from, ok := u[e.From]
	if !ok {
		return e
	}
	e.From, e.Flags = from, e.Flags|coalesce.Jumbled
	if e.From == e.Path {
		e.From = ""
	}
	return e
}
