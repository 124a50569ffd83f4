package scheduler

import (
	"slices"

	"github.com/fansync/fansync/coalesce"
)

const (
	// recentFor is how long an ended flight is remembered, in nanoseconds: far
	// longer than an entry takes from the kernel to here.
	recentFor = 10e9
	// racySlack is how long after its flight a path may still have the size
	// and mtime of what was sent, in nanoseconds: some kernel ticks (up to
	// 10 ms before Linux 6.13) and the reader's delay.
	racySlack = 100e6
	// bornSlack is how far the reader may lag behind the kernel, in
	// nanoseconds, before a path that a flight took along is held to be
	// unknown to the remote. To be wrong there loses a deletion, so it is
	// longer than racySlack; to doubt too much costs a path in a list.
	bornSlack = 1e9
)

// disown takes back the claim that no remote has the path.
func disown(e *coalesce.Entry) {
	if e.Has(coalesce.Ghost) {
		e.Flags |= coalesce.Gone
	}
	e.Flags &^= coalesce.Born | coalesce.Ghost
}

// mark notes on e what flights may have done with its path since its event.
func (r *remote) mark(e *coalesce.Entry, now int64) {
	if e.Since < now-(recentFor-bornSlack) {
		disown(e)
	}
	for _, f := range r.flights {
		if f.touches(*e) {
			disown(e)
		}
		if f.meets(*e) {
			e.Flags |= coalesce.Racy
		}
	}
	r.prune(now)
	for _, f := range slices.Backward(r.recent) {
		if f.end < e.Since-bornSlack {
			break
		}
		if f.touches(*e) {
			disown(e)
		}
		if f.end >= e.Since-racySlack && f.meets(*e) || f.removed(e.Path) {
			e.Flags |= coalesce.Racy
		}
	}
}

// prune forgets the flights that no event can be about any more.
func (r *remote) prune(now int64) {
	r.recent = slices.DeleteFunc(r.recent, func(f *flight) bool {
		old := f.end < now-recentFor
		if old {
			r.past = max(r.past, r.landed(f))
		}
		return old
	})
}

// unborn notes on what stays dirty that f may take it to the remote: because
// it is wide, or because a run makes the directories above its paths.
func (r *remote) unborn(f *flight) {
	var met []coalesce.Entry
	note := func(e coalesce.Entry) bool {
		if e.Any(coalesce.Born|coalesce.Ghost) && f.covers(e.Path) {
			met = append(met, e)
		}
		return true
	}
	if f.batch.Form == Full {
		r.dirty.Ascend(note)
	}
	seen := map[string]bool{}
	for _, it := range f.batch.Items {
		if it.Children || f.batch.Form.Deep() {
			r.dirty.AscendUnder(it.Path, note)
		}
		for p := it.Path; p != ""; {
			if p = coalesce.Parent(p); seen[p] {
				break
			}
			seen[p] = true
			if e, ok := r.dirty.Get(p); ok && e.Any(coalesce.Born|coalesce.Ghost) {
				met = append(met, e)
			}
		}
	}
	for _, e := range met {
		r.dirty.Remove(e.Path)
		disown(&e)
		r.dirty.Add(e)
	}
}

// retouch makes the directories due in which f changed names while another
// flight was in the air below them: that one began its list before, and ends
// by setting the time of change that they had then.
func (r *remote) retouch(f *flight, now int64) {
	if len(r.flights) == 0 || f.batch.Form == Full {
		return
	}
	dirs := map[string]bool{}
	for _, e := range f.entries {
		if light(e) {
			dirs[e.Path] = true // it went beside what has the old attributes
		}
		if !e.Any(coalesce.Name | coalesce.Gone | coalesce.Ghost | coalesce.Moved | coalesce.Subtree | coalesce.Children) {
			continue
		}
		dirs[coalesce.Parent(e.Path)] = true
		for p := e.Path; p != ""; p = coalesce.Parent(p) {
			if _, ok := f.item(p); ok {
				dirs[coalesce.Parent(p)] = true
			}
		}
	}
	since, seq := oldest(f.entries)
	for dir := range dirs {
		for _, g := range r.flights {
			if !g.below(dir) {
				continue
			}
			g.follow(coalesce.Entry{Path: dir, Flags: coalesce.Attr | coalesce.Dir, Since: since, Last: now, Seq: seq})
		}
	}
}
