package coalesce

import (
	"cmp"
	"slices"

	"github.com/fansync/fansync/watcher"
)

// Coalescer merges events into entries and says when they are due. It has no
// clock: all times are nanoseconds as watcher.Now gives them. It is not safe
// for concurrent use.
//
// A path stands in one of two sets: in holds.set while its file may be open
// for writing, else in ready. All of ready is due together.
type Coalescer struct {
	ready    *Set
	holds    holds
	rescans  rescans
	barriers []uint64
	gone     bool
	hidden   int64 // see Change

	window, maxDelay int64
	// first is when the oldest inhabitant came to ready, rescans or hidden,
	// oldest the earliest Since among them; both mean nothing while all are
	// empty.
	first, oldest int64
	// urgent asks for all that there is, since urgentAt.
	urgent   bool
	urgentAt int64
}

// NewCoalescer returns a Coalescer that holds nothing.
func NewCoalescer(cfg Config) *Coalescer {
	cfg = cfg.withDefaults()
	return &Coalescer{
		ready:    NewSet(),
		holds:    holds{set: NewSet(), quiet: int64(cfg.Quiet), maxDelay: int64(cfg.MaxDelay)},
		rescans:  make(rescans),
		window:   int64(cfg.Window),
		maxDelay: int64(cfg.MaxDelay),
	}
}

// Add takes in one event. An event without a time, or with one that is still
// to come, happens now.
func (c *Coalescer) Add(ev watcher.Event, now int64) {
	t := ev.Time
	if t <= 0 || t > now {
		t = now
	}
	if ev.Has(watcher.Rescan) {
		c.await(t, t)
		c.rescans.add(Rescan{Path: ev.Path, Reason: string(ev.Reason)})
	}
	if ev.Has(watcher.Barrier) {
		c.barriers = append(c.barriers, ev.Barrier)
		c.hurry(t)
	}
	if ev.Has(watcher.Gone) {
		c.gone = true
		c.hurry(t)
	}
	if someFile(ev) {
		c.hide(t)
		ev.Kind &^= watcher.Hidden
		if ev.Kind&^watcher.Dir == 0 {
			return
		}
	}
	if isChange(ev.Kind) {
		c.change(ev, t)
	}
}

// Next is when Flush will have something to return; false means not before
// another event.
func (c *Coalescer) Next() (deadline int64, ok bool) {
	if c.urgent {
		return c.urgentAt, true
	}
	deadline, ok = c.holds.next()
	if c.waiting() {
		if at := c.readyAt(); !ok || at < deadline {
			return at, true
		}
	}
	return deadline, ok
}

// Flush returns what is due, or all there is if force. A Barrier or Gone
// forces too.
func (c *Coalescer) Flush(now int64, force bool) Change {
	var ch Change
	force = force || c.urgent
	due := force || c.waiting() && c.readyAt() <= now
	switch {
	case force:
		c.holds.takeAll(c.ready.Add)
	case due:
		c.holds.take(now, c.ready.Add)
	default:
		c.holds.take(now, func(e Entry) { ch.Entries = append(ch.Entries, e) })
		slices.SortFunc(ch.Entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	}
	if due {
		ch.Entries = c.ready.drain()
		ch.Rescans = c.rescans.take()
		ch.Hidden, c.hidden = c.hidden, 0
	}
	if force {
		ch.Barriers, c.barriers = c.barriers, nil
		ch.Gone, c.gone = c.gone, false
		c.urgent = false
	}
	return ch
}

// change merges an event about a path.
func (c *Coalescer) change(ev watcher.Event, t int64) {
	e := newEntry(ev, t)
	if e.From != "" {
		from := c.origin(e)
		if from != "" && from != e.From {
			e.Flags |= Jumbled // what happened to it under the name between is lost
		}
		e.From = from
	}
	held, isHeld := c.holds.set.Get(e.Path)
	known, isReady := c.ready.Get(e.Path)
	if bornKind(ev.Kind) && !isHeld && !isReady {
		e.Flags |= Born
	}
	if held.Has(Born) || known.Has(Born) {
		e.Flags &^= Racy
	}
	if e.Has(Subtree) || e.Has(Name|Dir) {
		// The entry may come to stand for all below it, those that wait included.
		c.holds.set.takeUnder(e.Path, func(b Entry) {
			c.await(b.Since, t)
			c.ready.Add(b)
		})
	}
	deleted := isReady && gone(known) && !named(e) // a late write to an unlinked file
	switch {
	case writing(ev.Kind) && c.holds.quiet > 0 && !deleted && !c.ready.Covered(e.Path):
		if isReady {
			c.ready.Remove(e.Path)
			c.holds.add(known)
		}
		c.holds.add(e)
	case isHeld && !endsWriting(ev.Kind):
		c.holds.add(e)
	default:
		if isHeld {
			c.holds.set.Remove(e.Path)
			c.await(held.Since, t)
			c.ready.Add(held)
		}
		c.await(t, t)
		c.ready.Add(e)
	}
}

// origin is the path under which the remotes may know what was renamed to
// e.Path, or "" if no remote can have it under any one name: the old name was
// born in this window, or came there from such a name, or lies in a subtree
// that came there itself. Renames in a chain lead to the first name.
func (c *Coalescer) origin(e Entry) string {
	x, ok := c.holds.set.Get(e.From)
	if !ok {
		x, _ = c.ready.Get(e.From)
	}
	from := e.From
	switch {
	case x.Has(Born):
		return ""
	case x.From != "":
		from = x.From
	case x.Has(Moved) || c.ready.Covered(e.From):
		return ""
	}
	if from == e.Path {
		return ""
	}
	return from
}

// waiting reports whether there is anything that readyAt speaks of.
func (c *Coalescer) waiting() bool {
	return c.ready.Len() > 0 || len(c.rescans) > 0 || c.hidden != 0
}

func (c *Coalescer) readyAt() int64 { return min(c.first+c.window, c.oldest+c.maxDelay) }

// hide notes that some file, not known which, was changed.
func (c *Coalescer) hide(t int64) {
	c.await(t, t)
	t = max(t, 1)
	if c.hidden == 0 || t < c.hidden {
		c.hidden = t
	}
}

// await starts the window of something that comes to ready at t.
func (c *Coalescer) await(since, t int64) {
	if !c.waiting() {
		c.first, c.oldest = t, since
		return
	}
	c.first = min(c.first, t)
	c.oldest = min(c.oldest, since)
}

func (c *Coalescer) hurry(t int64) {
	if !c.urgent {
		c.urgent, c.urgentAt = true, t
	}
}
