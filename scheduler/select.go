package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// patience is how long a directory may be kept waiting by flights below it
	// before no further ones are started there.
	patience = int64(time.Second)
	// maxPick and maxList bound one batch: rsync reads its list one byte per
	// system call, so 1 MB takes it a second or two.
	maxPick = 20_000
	maxList = 1 << 20
)

// startFlights sends what may go now.
func (r *remote) startFlights(ctx context.Context) {
	now := r.cfg.Now()
	if r.suspended != "" || r.paused != "" || r.halted(now) {
		return
	}
	if now < r.nextTry {
		r.look(r.nextTry)
		return
	}
	r.distrust = ""
	for _, e := range r.troubles.due(now) {
		r.reinsert(e, now)
		r.stir = true
	}
	if r.troubles.next != 0 {
		r.look(r.troubles.next)
	}
	due := r.deletions.dueAt(r.cfg, r.known)
	r.stir = r.stir || due != 0 && due <= now
	if r.full != nil {
		if now < r.full.due {
			r.look(r.full.due)
		} else {
			if len(r.flights) == 0 {
				r.launchFull(ctx, now)
				return
			}
			if r.clear(now) {
				return
			}
		}
	}
	for r.stir {
		if room, _ := r.room(); room <= 0 {
			break
		}
		if at, held := r.held(now); held {
			r.look(at)
			break
		}
		f := r.nextFlight(now)
		if f == nil {
			break
		}
		r.launch(ctx, f, now)
	}
	if due := r.deletions.dueAt(r.cfg, r.known); due > now {
		r.look(due)
	}
}

// halted reports whether the guard's halt stands. When something has changed
// since, the guard judges anew now and then: what was deleted may be back.
func (r *remote) halted(now int64) bool {
	if r.halt == "" {
		return false
	}
	if !r.haltNews {
		return true
	}
	if again := r.haltedAt + int64(r.cfg.BackoffMax); now < again {
		r.look(again)
		return true
	}
	r.halt = ""
	return false
}

// nextFlight is the next batch, or nil when nothing may go now.
func (r *remote) nextFlight(now int64) *flight {
	for i := 0; i < len(r.suspects); {
		group := r.suspects[i]
		if slices.ContainsFunc(group, func(e coalesce.Entry) bool { return r.blocked(e.Path) }) {
			i++
			continue
		}
		r.suspects = slices.Delete(r.suspects, i, i+1)
		// Without a flight the group is dirty again: it waits for something that
		// may be in another group, or dirty.
		if f := r.build(group, now); f != nil || r.halt != "" || now < r.nextTry {
			return f
		}
	}
	picked := r.pick(now)
	if len(picked) == 0 {
		r.stir = false
		return nil
	}
	return r.build(picked, now)
}

// blocked reports whether a flight is in the way of path.
func (r *remote) blocked(path string) bool {
	return slices.ContainsFunc(r.flights, func(f *flight) bool { return f.conflicts(path) })
}

// pick takes out of the dirty set what may go now: no overlap with a flight,
// and removals only when they have settled. It goes round the tree from where
// it stopped the last time, so that a busy part does not keep the rest waiting.
func (r *remote) pick(now int64) []coalesce.Entry {
	var picked []coalesce.Entry
	settled := r.settled(now)
	moving := r.moving(settled)
	starved := starved{}
	r.late = nil
	size := 0
	visit := func(e coalesce.Entry) bool {
		if len(picked) >= maxPick || size >= maxList {
			return false
		}
		if e.Has(coalesce.Gone) && (!settled || moving.holds(e.Path)) {
			return true
		}
		for _, f := range r.flights {
			if f.conflicts(e.Path) {
				if f.big {
					if light(e) && r.besides(e.Path) {
						continue
					}
					if r.late == nil {
						r.late = map[string]bool{}
					}
					r.obstruct(f, e, now)
				} else if e.Since < now-patience && f.below(e.Path) {
					starved.add(e.Path)
				}
				return true
			}
		}
		picked = append(picked, e)
		size += len(e.Path) + len("./\x00")
		return true
	}
	start := r.cursor
	r.dirty.AscendFrom(start, visit)
	if start != "" {
		r.dirty.Ascend(func(e coalesce.Entry) bool { return e.Path < start && visit(e) })
	}
	r.cursor = ""
	if len(picked) >= maxPick || size >= maxList {
		r.cursor = picked[len(picked)-1].Path
	}
	picked = slices.DeleteFunc(picked, starved.meets)
	for _, e := range picked {
		r.dirty.Remove(e.Path)
	}
	if settled && r.cursor == "" {
		r.deletions.first, r.deletions.last, r.deletions.sum = 0, 0, 0
	}
	return picked
}

// starved are directories that have waited long for flights below them, true,
// and all that is above those, false.
type starved map[string]bool

func (s starved) add(path string) {
	for p := path; p != ""; {
		p = coalesce.Parent(p)
		if _, ok := s[p]; !ok {
			s[p] = false
		}
	}
	s[path] = true
}

// meets reports whether sending e would keep one of them waiting longer.
func (s starved) meets(e coalesce.Entry) bool {
	if len(s) == 0 {
		return false
	}
	if _, above := s[e.Path]; above {
		return true
	}
	for p := e.Path; p != ""; {
		if p = coalesce.Parent(p); s[p] {
			return true
		}
	}
	return false
}

// settled reports whether the waiting removals may go.
func (r *remote) settled(now int64) bool {
	return len(r.barriers) > 0 || r.deletions.dueAt(r.cfg, r.known) <= now
}
