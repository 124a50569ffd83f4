package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// rootRetry is how long sends rest after the root could not be trusted.
const rootRetry = int64(time.Second)

// fullRetry is the time from a full run that was incomplete to the next.
const fullRetry = int64(time.Minute)

// settle draws the consequences of a flight that has ended.
func (r *remote) settle(e ended) {
	f, res, now := e.flight, e.result, r.cfg.Now()
	f.end, f.wall = now, r.wall()
	r.flights = slices.DeleteFunc(r.flights, func(x *flight) bool { return x == f })
	r.prune(now)
	r.recent = append(r.recent, f)
	r.stir = true
	r.count(f, res)
	r.cfg.Events.Ended(r.conf.Name, f.batch, res, time.Duration(f.end-f.begun))
	if res.Class == Partial && res.Skipped > 0 {
		// Two things went wrong. The complaints will come again.
		res.Class = DeleteLimit
	}
	switch res.Class {
	case OK:
		r.succeeded(f, res)
		r.takeLeft(f, now)
		r.acknowledge(f, f.entries, now)
	case Partial:
		r.succeeded(f, res)
		r.takeLeft(f, now)
		r.partial(f, res, now)
	case DeleteLimit:
		r.succeeded(f, res)
		r.limited(f, res, now)
	case Transient, Permanent:
		r.requeue(f, now)
		r.failed(f, res, now)
	case Canceled:
		if !r.bequeath(f) {
			r.requeue(f, now)
		}
	}
	if f.batch.Form == Full && f.full != nil && !f.preview {
		r.counted = false
	}
	for _, e := range f.after {
		r.insert(e, now)
	}
	for _, dir := range res.Touched {
		r.insert(coalesce.Entry{Path: dir, Flags: coalesce.Attr | coalesce.Dir, Since: now, Last: now}, now)
	}
	// What only the outcome needed is not kept for recentFor.
	f.entries, f.after, f.deleters, f.bases, f.search, f.left = nil, nil, nil, nil, nil, nil
	if len(r.suspects) == 0 {
		r.troubles.sweep(func(path string) bool {
			_, waits := r.dirty.Get(path)
			return !waits && !r.blocked(path)
		})
	}
	r.endConfirm()
}

// confirm lets what the guard holds back pass. When it holds nothing back,
// nothing passes: that would be a later accident.
func (r *remote) confirm() {
	if r.halt == "" && r.distrust == "" {
		return
	}
	r.confirmed, r.halt, r.nextTry = r.cfg.Now(), "", 0
}

// endConfirm ends a confirmation when what waited for it is gone.
func (r *remote) endConfirm() {
	if r.confirmed == 0 || r.full != nil || len(r.suspects) > 0 {
		return
	}
	waiting := false
	look := func(e coalesce.Entry) bool {
		waiting = e.Has(coalesce.Gone) && e.Since <= r.confirmed
		return !waiting
	}
	for _, f := range r.flights {
		if f.full != nil || slices.ContainsFunc(f.entries, func(e coalesce.Entry) bool { return !look(e) }) {
			return
		}
	}
	if r.dirty.Ascend(look); !waiting {
		r.troubles.held(look)
	}
	if !waiting {
		r.confirmed = 0
	}
}

func (r *remote) count(f *flight, res Result) {
	r.counts.Batches++
	if f.batch.Form == Full {
		r.counts.Fulls++
	}
	if res.Class == Transient || res.Class == Permanent {
		r.counts.Failed++
	} else {
		r.counts.Paths += int64(len(f.batch.Items))
	}
	r.counts.Deleted += res.Stats.Deleted
	f.made = res.Stats.Created
	r.counts.WireBytes += res.Stats.Wire
	if form := f.batch.Form; form.Plain() == form {
		// A move takes its time without the wire.
		r.speed.learn(res.Stats.Wire, time.Duration(f.end-f.begun))
	}
	if f.big && (res.Class == OK || res.Class == Partial) {
		r.speed.cuts = 0
		r.speed.listed(f.bytes, res.Stats.Wire)
	}
}

// succeeded notes that the remote answers.
func (r *remote) succeeded(f *flight, res Result) {
	if r.attempts > 0 {
		r.log.Info("remote is back", "after_attempts", r.attempts)
	}
	r.attempts, r.nextTry, r.permanent, r.trouble = 0, 0, false, ""
	r.backoff.Reset()
	r.lastSuccess = time.Now()
	if f.batch.Form == Full && res.Stats.Files > 0 {
		r.known = res.Stats.Files
	}
}

// acknowledge forgets what is now at the remote.
func (r *remote) acknowledge(f *flight, entries []coalesce.Entry, now int64) {
	r.retouch(f, now)
	for _, e := range entries {
		r.troubles.mended(e.Path)
	}
	if f.full != nil {
		r.began = true
		r.lastFull = time.Now()
		r.cfg.Events.Synced(r.conf.Name, []coalesce.Entry{{Flags: coalesce.Subtree | coalesce.Dir, Since: f.full.since, Last: now}})
		return
	}
	r.cfg.Events.Synced(r.conf.Name, entries)
	r.moved(entries)
	// Not every entry of a new file is Born: the kernel may tell of its making
	// and its writing in one record.
	r.known = max(0, r.known+max(f.born, f.made)-f.deletes)
	r.deletions.sent(f.deletes, now)
}

// moved notes of what has moved that it has arrived: the removal of the old
// path loses nothing, so the mass-delete guard need not count it. What left
// the source while it was being sent has not arrived.
func (r *remote) moved(entries []coalesce.Entry) {
	var look *looker
	for _, e := range entries {
		if e.From == "" || e.Has(coalesce.Gone) {
			continue
		}
		old, ok := r.dirty.Get(e.From)
		if !ok || !old.Has(coalesce.Gone) {
			continue
		}
		if look == nil {
			root, err := r.cfg.Source.OpenDir(false)
			if err != nil {
				return
			}
			look = newLooker(root)
			defer r.closeLooker(look)
		}
		if at, err := look.look(e.Path); err != nil || at.missing || at.path != e.Path {
			continue
		}
		r.dirty.Remove(e.From)
		old.Flags &^= coalesce.Uncounted
		old.Deletes = 0
		r.dirty.Add(old)
	}
}

// requeue makes all of f dirty again.
func (r *remote) requeue(f *flight, now int64) {
	if f.full != nil {
		r.owe(f.full.reason, f.full.since, f.full.seq, 0)
	}
	for _, e := range f.entries {
		r.reinsert(e, now)
	}
}

// reinsert makes an entry dirty that a flight may have carried.
func (r *remote) reinsert(e coalesce.Entry, now int64) {
	r.dirty.AddOlder(e)
	r.bound(e.Seq, now)
}

// partial requeues the paths that failed, and acknowledges the others.
func (r *remote) partial(f *flight, res Result, now int64) {
	if f.full == nil && (len(res.Failed) == 0 || slices.ContainsFunc(res.Failed, func(pe PathError) bool { return !f.names(pe.Path) })) {
		r.bisect(f, res, now)
		return
	}
	since, seq := oldest(f.entries)
	if f.full != nil {
		since, seq = f.full.since, f.full.seq
	}
	failed := map[string]PathError{}
	for _, pe := range res.Failed {
		if _, ok := failed[pe.Path]; !ok {
			failed[pe.Path] = pe
		}
	}
	var done []coalesce.Entry
	named := map[string]bool{} // paths of entries, and all above them
	for _, e := range f.entries {
		for p := e.Path; !named[p]; p = coalesce.Parent(p) {
			named[p] = true
		}
		if pe, bad := failureOf(e, f, res, failed); bad {
			r.hold(e, pe, now)
		} else {
			done = append(done, e)
		}
	}
	for path, pe := range failed {
		if path == "" || named[path] {
			continue
		}
		e := coalesce.Entry{Path: path, Flags: coalesce.Content | coalesce.Attr, Since: since, Last: now, Seq: seq}
		if f.batch.Form.Deep() {
			e.Flags |= coalesce.Subtree
		}
		if f.batch.Form.Racy() {
			e.Flags |= coalesce.Racy
		}
		r.hold(e, pe, now)
	}
	r.acknowledge(f, done, now)
	_, unnamed := failed[""]
	if f.full != nil && (res.DeletesSkipped || unnamed || len(failed) == 0) {
		// What was left undone only another full run can find.
		r.owe("the last full run was incomplete: "+res.Message, since, seq, now+fullRetry)
	}
	if len(r.troubles.by) > troubleCap {
		r.troubles.held(func(e coalesce.Entry) bool {
			since, seq = min(since, e.Since), min(seq, e.Seq)
			return true
		})
		r.troubles.clear()
		r.owe("too many paths failed", since, seq, now+fullRetry)
	}
}

// names reports whether the batch can be made to retry path alone.
func (f *flight) names(path string) bool {
	return path != "" && (f.covers(path) || f.below(path))
}

// hold keeps e, which failed, until its next try. If there is newer news of the
// path, that is the next try.
func (r *remote) hold(e coalesce.Entry, pe PathError, now int64) {
	disown(&e)
	e.Flags |= coalesce.Exact
	if _, known := r.troubles.by[e.Path]; !known && !pe.Vanished && len(r.troubles.by) < maxFailures {
		r.log.Warn("path not taken; it will be tried again", "path", e.Path, "message", pe.Message)
	}
	if _, newer := r.dirty.Get(e.Path); newer || r.dirty.Covered(e.Path) {
		r.troubles.note(e.Path, pe.Message)
		r.reinsert(e, now)
		return
	}
	r.troubles.hold(e, pe.Message, pe.Vanished, now)
}

// failureOf is the complaint that concerns e: at its path, or below it when
// rsync then skipped deletions that e asked for. A complaint about an ancestor
// is not e's: the Sender names what lies below if that was not sent either.
func failureOf(e coalesce.Entry, f *flight, res Result, failed map[string]PathError) (PathError, bool) {
	if pe, ok := failed[e.Path]; ok {
		return pe, true
	}
	if res.DeletesSkipped && f.deleters[e.Path] && (f.batch.Form.Deep() || f.covers(e.Path) && f.oneLevel(e.Path)) {
		return res.Failed[0], true
	}
	return PathError{}, false
}

// oneLevel reports whether path went as part of a one-level item.
func (f *flight) oneLevel(path string) bool {
	it, ok := f.item(path)
	if ok && it.Children {
		return true
	}
	it, ok = f.item(coalesce.Parent(path))
	return ok && it.Children
}

// bisect halves a batch that failed without saying for which path, until the
// poisoned path stands alone.
func (r *remote) bisect(f *flight, res Result, now int64) {
	n := len(f.entries)
	if n == 1 {
		r.hold(f.entries[0], PathError{Message: res.Message}, now)
		return
	}
	for i := range f.entries {
		disown(&f.entries[i])
		// A directory's one-level form would take the poison along again.
		f.entries[i].Flags |= coalesce.Exact
	}
	r.suspects = append(r.suspects, f.entries[:n/2:n/2], f.entries[n/2:])
}

// limited judges the deletions that a run held back.
func (r *remote) limited(f *flight, res Result, now int64) {
	r.requeueCounted(f, res, now)
	if !f.preview {
		r.stop(fmt.Errorf("more than %d files would be deleted", f.batch.MaxDelete))
		return
	}
	if f.full != nil && res.Stats.Files <= 1 {
		r.stop(fmt.Errorf("the source is empty, and %d files at the remote would be deleted", res.Skipped))
		return
	}
	if err := r.allow(int64(res.Skipped), now); err != nil {
		r.stop(err)
		return
	}
	r.counted = r.counted || f.full != nil
}

// requeueCounted makes f dirty again, with its deletions known.
func (r *remote) requeueCounted(f *flight, res Result, now int64) {
	for i := range f.entries {
		f.entries[i].Flags &^= coalesce.Uncounted
		f.entries[i].Deletes = min(f.entries[i].Deletes, 1)
		if i == 0 && f.preview {
			f.entries[i].Deletes = uint32(max(1, res.Skipped))
		}
	}
	r.requeue(f, now)
}

// failed backs off from a remote that did not take a batch. What failed beside
// it, in the same outage, counts as one.
func (r *remote) failed(f *flight, res Result, now int64) {
	again := r.attempts > 0 && f.begun <= r.failedAt
	r.trouble, r.permanent, r.failedAt = res.Message, res.Class == Permanent, now
	if again {
		return
	}
	r.attempts++
	wait := min(max(r.backoff.NextBackOff(), r.cfg.BackoffMin), r.cfg.BackoffMax)
	if r.permanent {
		// It takes an operator to mend, who is not faster than this.
		wait = max(wait, min(r.cfg.BackoffMax, 10*r.cfg.BackoffMin))
	}
	r.nextTry = now + int64(wait)
}

// stop halts the remote until an operator confirms, or what was deleted has
// been put back.
func (r *remote) stop(err error) {
	r.haltedAt, r.haltNews = r.cfg.Now(), false
	r.halt = fmt.Sprintf("%v; if that is meant, run: fansync resume --confirm-deletes %q", err, r.conf.Name)
}

// rest sends nothing until the root, which could not be trusted, is looked at
// again.
func (r *remote) rest(err error, now int64) {
	r.distrust = err.Error()
	r.nextTry = now + rootRetry
	r.look(r.nextTry)
}
