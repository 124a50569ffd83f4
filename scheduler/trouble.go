package scheduler

import (
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// troubleMin and troubleMax bound the time between tries of a path that
	// the remote could not take.
	troubleMin = int64(time.Second)
	troubleMax = int64(5 * time.Minute)
	// vanishedMin is troubleMin for a path that vanished at the source.
	vanishedMin = int64(20 * time.Millisecond)
	// troubleCap is how many failing paths are kept one by one.
	troubleCap = 10_000
)

// trouble is a path that failed at a remote.
type trouble struct {
	entry    coalesce.Entry
	held     bool // entry waits for due; else it is dirty or in flight again
	attempts int
	due      int64
	message  string
}

// troubles are the failing paths of one remote.
type troubles struct {
	by   map[string]*trouble
	next int64 // no held path is due before; 0: none is held
}

func newTroubles() troubles { return troubles{by: map[string]*trouble{}} }

// note counts a failure of path. It is not held.
func (t *troubles) note(path, message string) *trouble {
	x := t.by[path]
	if x == nil {
		x = &trouble{}
		t.by[path] = x
	}
	x.attempts++
	x.message = message
	return x
}

// hold keeps e until its next try. A path that vanished at the source is tried
// again soon: only a new look can tell what became of it.
func (t *troubles) hold(e coalesce.Entry, message string, vanished bool, now int64) {
	x := t.note(e.Path, message)
	first := troubleMin
	if vanished {
		first = vanishedMin
	}
	if x.held {
		e = merged(x.entry, e)
	}
	x.entry, x.held = e, true
	x.due = now + min(first<<min(x.attempts-1, 20), troubleMax)
	if t.next == 0 || x.due < t.next {
		t.next = x.due
	}
}

func merged(a, b coalesce.Entry) coalesce.Entry {
	s := coalesce.NewSet()
	s.Add(a)
	s.Add(b)
	e, _ := s.Get(a.Path)
	return e
}

// release gives the held entry of path, if there is one: something new is
// known of the path, so it is tried at once.
func (t *troubles) release(path string) (coalesce.Entry, bool) {
	x := t.by[path]
	if x == nil || !x.held {
		return coalesce.Entry{}, false
	}
	x.held = false
	return x.entry, true
}

// due gives the held entries whose time has come.
func (t *troubles) due(now int64) []coalesce.Entry {
	if t.next == 0 || now < t.next {
		return nil
	}
	var out []coalesce.Entry
	t.next = 0
	for _, x := range t.by {
		switch {
		case !x.held:
		case x.due <= now:
			x.held = false
			out = append(out, x.entry)
		case t.next == 0 || x.due < t.next:
			t.next = x.due
		}
	}
	return out
}

// hurry makes every held path due.
func (t *troubles) hurry(now int64) {
	for _, x := range t.by {
		if x.held {
			x.due = now
			t.next = now
		}
	}
}

// mended forgets a path that has succeeded.
func (t *troubles) mended(path string) {
	if x := t.by[path]; x != nil && !x.held {
		delete(t.by, path)
	}
}

// sweep forgets the paths that are not held and of which gone says that nothing
// stands for them any more: they went as a part of something larger.
func (t *troubles) sweep(gone func(path string) bool) {
	for path, x := range t.by {
		if !x.held && gone(path) {
			delete(t.by, path)
		}
	}
}

// held calls f for every held entry until f returns false.
func (t *troubles) held(f func(coalesce.Entry) bool) {
	for _, x := range t.by {
		if x.held && !f(x.entry) {
			return
		}
	}
}

func (t *troubles) clear() { *t = newTroubles() }

// deletions are the removals that wait to settle.
type deletions struct {
	first, last int64 // when the oldest and the newest of them came
	gap         int64 // the longest time between two of them
	sum         int64
	unheard     bool           // one was found whose news is still to come
	recent      []recentDelete // what was sent lately, for the guard
}

type recentDelete struct {
	at, n int64
}

const (
	// massWait is the number of waiting removals from which on the bound of
	// the settling time is longer: somebody is deleting a tree.
	massWait   = 1000
	massFactor = 30
	// fewDeletes, and one in fewShare of what the remote holds, are so few
	// removals that they are not the beginning of an emptied tree: fewQuiet is
	// enough for them. More settle for gapFactor times the longest pause that
	// they have made, but no less than manyQuiet; DeleteQuiet is the most.
	fewDeletes = 16
	fewShare   = 8
	fewQuiet   = int64(20 * time.Millisecond)
	manyQuiet  = int64(60 * time.Millisecond)
	gapFactor  = 10
	// guardWindow is how far back the mass-delete guard adds up.
	guardWindow = int64(time.Minute)
)

func (d *deletions) note(e coalesce.Entry, now int64) {
	if d.sum == 0 {
		d.first, d.last, d.gap, d.unheard = now, now, 0, false
	}
	d.gap, d.last = max(d.gap, now-d.last), now
	d.sum += int64(max(e.Deletes, 1))
	if e.Has(coalesce.Uncounted) {
		d.sum += fewDeletes // it may have been many
	}
}

// quiet is how long no further removal must come, of which known is how many
// entries the remote has.
func (d *deletions) quiet(c Config, known int64) int64 {
	most := max(0, int64(c.DeleteQuiet))
	switch {
	case d.unheard:
		return most
	case d.sum <= min(fewDeletes, known/fewShare):
		return min(fewQuiet, most)
	default:
		return min(max(gapFactor*d.gap, manyQuiet), most)
	}
}

// dueAt is when the waiting removals may go; 0 when none wait.
func (d *deletions) dueAt(c Config, known int64) int64 {
	if d.sum == 0 {
		return 0
	}
	limit := int64(c.DeleteMax)
	if d.sum > massWait {
		limit *= massFactor
	}
	return min(d.last+d.quiet(c, known), d.first+limit)
}

// sent notes that n removals were sent.
func (d *deletions) sent(n, now int64) {
	if n > 0 {
		d.recent = append(d.recent, recentDelete{now, n})
	}
}

// lately is how many were sent in the guard's window.
func (d *deletions) lately(now int64) int64 {
	for len(d.recent) > 0 && d.recent[0].at < now-guardWindow {
		d.recent = d.recent[1:]
	}
	var n int64
	for _, x := range d.recent {
		n += x.n
	}
	return n
}
