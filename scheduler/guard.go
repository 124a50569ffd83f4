package scheduler

import "github.com/fansync/fansync/coalesce"

// mayDelete asks the mass-delete guard. If it refuses, the flight's entries go
// back and the remote halts.
func (r *remote) mayDelete(f *flight, now int64) bool {
	if r.confirmed != 0 {
		return true
	}
	if !f.preview && !f.cleared {
		sum := f.deletes
		if f.deletes > 0 {
			sum += r.waiting()
		}
		if err := r.allow(sum, now); err != nil {
			r.putBack(f.entries, now)
			r.stop(err)
			return false
		}
	}
	// Nothing is deleted for the sake of a root that has just been emptied.
	dir, err := r.cfg.Source.OpenDir(true)
	if err == nil {
		err = dir.Close()
	}
	if err != nil {
		r.putBack(f.entries, now)
		r.rest(err, now)
		return false
	}
	return true
}

// allow is an error if n more deletions are too many, together with those of
// late and of the tree as it was before them.
func (r *remote) allow(n, now int64) error {
	lately := r.deletions.lately(now)
	return r.cfg.Limits.Allow(n+lately, r.known+lately)
}

// waiting is how many deletions are known to wait in the dirty set: one batch
// need not hold all of what was removed at once.
func (r *remote) waiting() int64 {
	moving := r.moving(true)
	n := int64(0)
	r.dirty.Ascend(func(e coalesce.Entry) bool {
		if e.Has(coalesce.Gone) && !e.Has(coalesce.Ghost) && !moving[e.Path] {
			n += int64(e.Deletes)
		}
		return true
	})
	return n
}
