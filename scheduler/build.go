package scheduler

import (
	"cmp"

	"github.com/fansync/fansync/coalesce"
)

// mtimeSlack is how far ctime may be from mtime, in nanoseconds, before the
// mtime is taken to be set by hand or carried by a rename; then it says nothing
// about the content.
const mtimeSlack = 10e6

// sorting is what build makes of the entries it is given.
type sorting struct {
	buckets map[kind]*bucket
	settled bool // the removals that were waiting may go
	crowds  crowds
	moves   int // directories to be moved
	// deepRacy is the last directory to go with everything below, if anyRacy.
	deepRacy string
	anyRacy  bool
	ghosts   []coalesce.Entry // never at the remote, and gone again
	waits    bool             // some went back until a flight or removals are over
	bigSize  int64            // the size from which a file is large
}

func (s *sorting) bucket(k kind) *bucket {
	b := s.buckets[k]
	if b == nil {
		b = newBucket(k)
		s.buckets[k] = b
	}
	return b
}

// first is the bucket that goes now.
func (s *sorting) first() *bucket {
	var first *bucket
	for _, b := range s.buckets {
		if first == nil || cmp.Or(cmp.Compare(b.purpose.rank(), first.purpose.rank()), cmp.Compare(b.since, first.since),
			cmp.Compare(b.form, first.form), cmp.Compare(b.purpose, first.purpose), cmp.Compare(b.to, first.to), cmp.Compare(b.from, first.from)) < 0 {
			first = b
		}
	}
	return first
}

// build looks every entry up in the source and makes a batch of those that go
// together best: the ones of the same form as the oldest. The others go back
// into the dirty set. It returns nil when nothing is left to send.
func (r *remote) build(entries []coalesce.Entry, now int64) *flight {
	root, err := r.cfg.Source.OpenDir(false)
	if err != nil {
		r.putBack(entries, now)
		r.rest(err, now)
		return nil
	}
	look := newLooker(root)
	defer r.closeLooker(look)
	s := &sorting{buckets: map[kind]*bucket{}, settled: r.settled(now), bigSize: r.bigSize(), crowds: crowds{}}
	for _, e := range entries {
		at, err := look.look(e.Path)
		if err != nil {
			// rsync will say it in its own words, for this path alone.
			r.log.Debug("look up", "path", e.Path, "err", err)
		}
		r.sort(s, e, at, look, now)
	}
	s.dropLight(r.cfg.MoveMin)
	large := r.holdLarge(s, now)
	first := s.first()
	for _, b := range s.buckets {
		if b != first {
			r.putBack(b.entries(), now)
			large = large || b.purpose == bulky
		}
	}
	large = first != nil && r.trim(first, now) && first.purpose == bulky || large
	first = r.layGhosts(s, first, look, now)
	if first == nil {
		if !s.waits {
			r.look(now)
		}
		return nil
	}
	search := wideItems(first)
	if first.form == Flat && first.purpose == plain && !r.cfg.Listed {
		r.collapse(first, look)
		first = r.deepen(first, look, now)
	}
	f := &flight{
		batch: Batch{
			Form: first.form, Items: listOf(first), From: first.from, To: first.to, MaxDelete: -1,
			Keep: first.purpose == bulky, Settled: r.settledAfter(large),
		},
		entries: first.entries(), preview: first.purpose == counting, cleared: first.purpose == clearing,
		deletes: first.deletes, born: first.born, deleters: first.deleters(), bases: basesOf(first),
		big: first.purpose == bulky, bytes: first.bytes, bigSize: s.bigSize, search: search,
	}
	if f.deletes > 0 || f.wide() || f.cleared {
		if !r.mayDelete(f, now) {
			return nil
		}
	}
	return f
}

// sort puts e, which was found as at, into its bucket, or back.
func (r *remote) sort(s *sorting, e coalesce.Entry, at found, look *looker, now int64) {
	settled := s.settled
	if e.Has(coalesce.Ghost) {
		if at.missing {
			s.ghosts = append(s.ghosts, e)
			return
		}
		disown(&e)
	}
	if at.missing && !e.Has(coalesce.Gone) {
		// The news of the removal is still under way.
		e.Flags |= coalesce.Gone
		e.Deletes = max(1, e.Deletes)
		if at.path != e.Path {
			e.Flags |= coalesce.Uncounted
		}
		settled = len(r.barriers) > 0
	}
	if at.missing && !settled {
		r.deletions.note(e, now)
		r.deletions.unheard = true
		r.insert(e, now)
		return
	}
	if e.Has(coalesce.Racy) && r.unseen(e, at, look) {
		e.Flags &^= coalesce.Racy
	}
	it := itemOf(e, at)
	if at.path != e.Path && r.blocked(at.path) || it.Children && r.losesWaiting(it.Path) {
		r.insert(e, now)
		s.waits = true
		return
	}
	b := plain
	switch {
	case !at.missing:
	case e.Has(coalesce.Uncounted) && r.confirmed == 0:
		b = counting
	case e.Deletes == 0 && at.path == e.Path:
		b = clearing
	}
	k := kind{form: formOf(e, at), purpose: b}
	if at.path == e.Path && r.bulks() > 0 && r.blocked(e.Path) && (!at.dir() || it.Children || k.form.Deep()) {
		r.insert(e, now) // it is not the light thing that was picked
		s.waits = true
		return
	}
	p := placed{entry: e, item: it, form: k.form}
	if at.regular() {
		p.size = at.size
	}
	if s.anyRacy && !at.missing && !e.Has(coalesce.Exact) && coalesce.Under(at.path, s.deepRacy) {
		k.form = DeepRacy // it would go twice
	} else if move, ok := r.movedFrom(s, e, at, look); !ok {
		r.insert(e, now)
		return
	} else if move.form != Flat {
		p.deletes = k.form.Deep()
		s.bucket(move).add(p)
		return
	} else if k.form == DeepRacy && at.dir() {
		s.deepRacy, s.anyRacy = at.path, true
	}
	p.deletes = it.Missing || it.Children || k.form.Deep()
	if k = s.sized(k, p); k.purpose == bulky && r.late.meets(e) {
		r.insert(e, now)
		s.waits = true
		return
	}
	s.bucket(k).add(p)
}

// sized is k, or the kind for large files if p is one.
func (s *sorting) sized(k kind, p placed) kind {
	if k.purpose == plain && !k.form.Deep() && !p.item.Missing && p.size >= s.bigSize {
		k.purpose = bulky
	}
	return k
}

// layGhosts lets go of what never was at the remote and is no more. Only the
// directory's time of change tells of it, and is sent.
func (r *remote) layGhosts(s *sorting, first *bucket, look *looker, now int64) *bucket {
	for _, e := range s.ghosts {
		dir := coalesce.Parent(e.Path)
		if first != nil && first.implies(dir) {
			first.note(placed{entry: e, item: Item{Path: dir}})
			continue
		}
		at, err := look.look(dir)
		if err == nil && (at.path != dir || !at.dir()) {
			// The directory went too, which has an entry of its own.
			r.troubles.mended(e.Path)
			continue
		}
		besides := r.besides(dir)
		if besides && dir == "" {
			r.postpone(dir, e, now)
			r.troubles.mended(e.Path)
			continue
		}
		if !besides && r.blocked(dir) || first != nil && (first.form != Flat || first.purpose != plain) || dir == "" && r.losesWaiting(dir) {
			r.insert(e, now)
			s.waits = true
			continue
		}
		if first == nil {
			first = newBucket(kind{form: Flat, purpose: plain})
		}
		first.add(placed{entry: e, item: Item{Path: dir, Children: dir == ""}})
	}
	return first
}

// formOf is the form that makes the remote's path equal to what the source has.
func formOf(e coalesce.Entry, at found) Form {
	switch {
	case at.missing:
		return Flat
	case at.path != e.Path:
		// An ancestor is no directory any more: it replaces all there was.
		return Racy
	case at.dir() && (e.Has(coalesce.Gone) || e.Has(coalesce.Racy|coalesce.Name)):
		// A run may have found it gone, or another one under this name: what
		// the remote has below it is unknown.
		return DeepRacy
	case at.dir() && e.Has(coalesce.Subtree):
		if e.Any(coalesce.Racy | coalesce.Moved) {
			return DeepRacy
		}
		return Deep
	case at.dir():
		if e.Has(coalesce.Racy | coalesce.Children) {
			return Racy
		}
		return Flat
	case e.Has(coalesce.Racy):
		return Racy
	case at.regular() && !e.Has(coalesce.Born) && e.Any(coalesce.Content|coalesce.Name|coalesce.Moved|coalesce.Subtree|coalesce.Gone):
		if d := at.ctime - at.mtime; d > mtimeSlack || d < -mtimeSlack {
			return Racy
		}
	}
	return Flat
}

func itemOf(e coalesce.Entry, at found) Item {
	it := Item{Path: at.path, Missing: at.missing}
	if at.dir() && at.path == e.Path && (e.Path == "" || e.Has(coalesce.Children) && !e.Any(coalesce.Subtree|coalesce.Gone)) {
		it.Children = true
	}
	return it
}

// putBack returns entries that were not sent to the dirty set.
func (r *remote) putBack(entries []coalesce.Entry, now int64) {
	for _, e := range entries {
		r.insert(e, now)
	}
}

func (r *remote) closeLooker(l *looker) {
	if err := l.close(); err != nil {
		r.log.Warn("close root", "err", err)
	}
}
