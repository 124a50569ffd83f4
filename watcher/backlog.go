package watcher

import "slices"

// indexFrom is how long a backlog is before a path is looked up in it: a
// receiver that keeps up pays for no index.
const indexFrom = 4 * maxBatch

// backlog holds the Events not yet received, in order. News of a path that
// waits already are folded into what waits, so its length is bounded by what
// changed, not by how often. The zero value is ready for use.
type backlog struct {
	// events[head:] wait; those before are gone.
	events []Event
	head   int
	// base is the number of events[0], counted since the beginning. Events
	// before the number fence are not folded into: something came after them
	// that they must stay in front of.
	base, fence int
	// last is the number of the newest Event of a path, while there are many.
	last map[string]int
	// merged counts the Events folded.
	merged uint64
}

// len is the number of Events that wait.
func (b *backlog) len() int { return len(b.events) - b.head }

// end is the number of the next Event.
func (b *backlog) end() int { return b.base + len(b.events) }

// add queues ev, or folds it into the newest one of the same path if neither
// is more than a hint.
func (b *backlog) add(ev Event) {
	if old := b.newest(ev.Path); old != nil && foldable(*old, ev) {
		old.Kind |= ev.Kind
		old.Below += ev.Below
		old.Time = min(old.Time, ev.Time)
		b.merged++
		return
	}
	if fences(ev) {
		b.fence = b.end()
		b.last = nil
	}
	b.events = append(b.events, ev)
	switch {
	case b.last != nil:
		b.last[ev.Path] = b.end() - 1
	case b.end()-max(b.fence, b.base+b.head) > indexFrom:
		b.last = map[string]int{}
	}
}

// newest is an Event of the path that may be folded into: nil if there is none,
// or it was not looked for.
func (b *backlog) newest(path string) *Event {
	if n := len(b.events); n > b.head && b.events[n-1].Path == path {
		return &b.events[n-1]
	}
	if i, ok := b.last[path]; ok && i >= max(b.fence, b.base+b.head) {
		return &b.events[i-b.base]
	}
	return nil
}

// foldable reports whether two Events of one path say no more together than
// one with the bits of both.
func foldable(a, b Event) bool {
	const single = Moved | Barrier | Gone
	return (a.Kind|b.Kind)&single == 0 && a.Reason == b.Reason && (a.Kind^b.Kind)&(Rescan|Hidden) == 0
}

// fences reports whether what comes after ev must stay behind it: below a
// directory that went, a path is another afterwards.
func fences(ev Event) bool {
	return ev.Kind&(Barrier|Gone|Rescan|Subtree) != 0 || ev.Kind&Dir != 0 && ev.Kind&(Removed|Moved) != 0
}

// take removes the oldest Events, at most n, as a slice of their own.
func (b *backlog) take(n int) []Event {
	n = min(n, b.len())
	out := slices.Clone(b.events[b.head : b.head+n])
	clear(b.events[b.head : b.head+n])
	b.head += n
	switch {
	case b.head == len(b.events):
		b.base = b.end()
		b.head, b.last = 0, nil
		if b.events = b.events[:0]; cap(b.events) > 64*maxBatch {
			b.events = nil
		}
	case b.head > len(b.events)/2 && b.head >= maxBatch:
		// Moved at most once for each Event taken.
		kept := copy(b.events, b.events[b.head:])
		clear(b.events[kept:])
		b.events = b.events[:kept]
		b.base += b.head
		b.head = 0
		if len(b.last) > 2*b.len() {
			b.last = nil
		}
	}
	return out
}
