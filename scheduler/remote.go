package scheduler

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/fansync/fansync/coalesce"
)

// owed is a full run that a remote needs, and why.
type owed struct {
	reason string
	since  int64  // the oldest change it stands for
	seq    uint64 // the oldest number it stands for, at least 1
	due    int64  // not before
}

// barrier is a request that waits for everything numbered up to seq.
type barrier struct {
	id, seq uint64
}

// ended is a flight that has landed, one way or another.
type ended struct {
	flight *flight
	result Result
}

// remote is the state machine of one destination. Everything below inbox and
// done belongs to the goroutine of run.
//
//	starting ──full run ok──► live ◄──full run ok── catching-up
//	    │                      │ ▲                       ▲
//	    │       transient error│ │first success          │ events lost
//	    └──────────────────► retrying ──backlog too big──► stale
//	 any ──permanent error, guard──► halted ──mended or confirmed──► where it was
type remote struct {
	cfg   Config
	conf  RemoteConfig
	log   *slog.Logger
	inbox *inbox
	done  chan ended
	// answered tells that a barrier, and all before it, holds at this remote.
	answered func(id uint64)

	dirty    *coalesce.Set
	flights  []*flight
	recent   []*flight // ended in the last recentFor
	past     int64     // when the flights before those had ended, by Config.Wall
	ahead    int64     // how far Config.Wall was ahead of Config.Now at most
	suspects [][]coalesce.Entry
	troubles troubles
	barriers []barrier
	full     *owed
	nextID   uint64
	cursor   string // where the next pick begins
	stir     bool   // something changed that may let a batch go
	wakeAt   int64  // when to look again; 0: not by time
	closing  bool

	pace      pace
	deletions deletions
	known     int64 // files the remote is known to hold
	confirmed int64 // when an operator let the waiting deletions pass; 0: none
	counted   bool  // the next full run may delete: its deletions were counted

	backoff   *backoff.ExponentialBackOff
	attempts  int
	failedAt  int64 // when the last of them ended
	nextTry   int64
	trouble   string // rsync's words of the last failure
	permanent bool   // it was one that an operator must mend
	halt      string // the mass-delete guard's words
	haltedAt  int64  // when it said them last
	haltNews  bool   // something has changed since
	suspended string // why the root cannot be trusted, until Resume
	paused    string // what is waited for before anything is sent, until Resume
	distrust  string // why the root could not be trusted at the last look
	began     bool   // a full run has succeeded

	progress    progressBox
	speed       speed
	late        starved // what has waited long for large files, at the last pick
	badge       badge
	counts      Counts
	lastSuccess time.Time
	lastFull    time.Time
}

func newRemote(cfg Config, conf RemoteConfig, answered func(uint64)) *remote {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = cfg.BackoffMin, cfg.BackoffMax, 2
	r := &remote{
		cfg: cfg, conf: conf,
		log:      cfg.Log.With("remote", conf.Name),
		inbox:    newInbox(conf.MaxDirty),
		done:     make(chan ended, conf.Parallel+1),
		answered: answered,
		dirty:    coalesce.NewSet(),
		troubles: newTroubles(),
		full:     &owed{reason: "start", since: cfg.Now(), seq: 1},
		backoff:  b,
		badge:    badge{state: Starting},
		stir:     true,
		ahead:    math.MinInt64 / 2,
	}
	r.past = r.wall() // flights of an earlier process
	return r
}

// run serves the remote until its inbox is closed and its flights have ended,
// or ctx has ended and its flights with it.
func (r *remote) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	flightCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.inbox.start()
	defer r.inbox.finish()
	stopped := ctx.Done()
	for {
		r.readInbox()
		r.wakeAt = 0
		if !r.closing && ctx.Err() == nil {
			r.startFlights(flightCtx)
		}
		r.answerBarriers()
		r.announce()
		if (r.closing || ctx.Err() != nil) && len(r.flights) == 0 {
			return
		}
		wait := time.Hour
		if r.wakeAt != 0 {
			wait = max(0, time.Duration(r.wakeAt-r.cfg.Now()))
		}
		timer.Reset(wait)
		select {
		case <-stopped:
			stopped = nil
		case <-timer.C:
			r.stir = true
		case <-r.inbox.wake:
		case e := <-r.done:
			r.settle(e)
		}
	}
}

// look asks to be woken at t at the latest.
func (r *remote) look(t int64) {
	if r.wakeAt == 0 || t < r.wakeAt {
		r.wakeAt = t
	}
}

// readInbox takes in what has come since the last look.
func (r *remote) readInbox() {
	changes, dropped, commands, closed := r.inbox.take()
	now := r.cfg.Now()
	if dropped != 0 {
		r.forget(dropped, now)
	}
	for _, n := range changes {
		r.haltNews = r.haltNews || len(n.change.Entries) > 0
		if len(n.change.Entries) > 0 {
			r.pace.heard(len(n.change.Entries), now)
		}
		unsent := r.unsentMoves(n.change.Entries)
		for _, e := range n.change.Entries {
			e.Seq = n.seq
			r.add(unsent.rebase(e), now)
		}
		for _, rs := range n.change.Rescans {
			r.rescan(rs, n.seq, now)
		}
		for _, id := range n.change.Barriers {
			r.barriers = append(r.barriers, barrier{id: id, seq: n.seq})
			r.troubles.hurry(now)
			r.stir = true
		}
	}
	for _, f := range commands {
		f()
		r.stir = true
	}
	if closed && !r.closing {
		r.closing = true
		r.log.Debug("stopping", "in_flight", len(r.flights))
	}
}

// add makes an event's entry dirty.
func (r *remote) add(e coalesce.Entry, now int64) {
	r.mark(&e, now)
	if held, ok := r.troubles.release(e.Path); ok {
		r.dirty.AddOlder(held)
	}
	if e.Has(coalesce.Gone) {
		r.deletions.note(e, now)
		r.look(r.deletions.dueAt(r.cfg, r.known))
	} else {
		r.stir = true
	}
	r.insert(e, now)
}

// insert puts e into the dirty set and keeps its bound.
func (r *remote) insert(e coalesce.Entry, now int64) {
	if e.Path == "" && e.Any(coalesce.Subtree|coalesce.Name|coalesce.Gone|coalesce.Moved) {
		r.owe("root changed as a whole", e.Since, e.Seq, 0)
		return
	}
	r.dirty.Add(e)
	r.bound(e.Seq, now)
}

// bound forgets everything when there is too much of it.
func (r *remote) bound(seq uint64, now int64) {
	if r.dirty.Len() > r.conf.MaxDirty {
		r.forget(seq, now)
	}
}

// rescan makes a part of the tree, or all of it, due to be compared.
func (r *remote) rescan(rs coalesce.Rescan, seq uint64, now int64) {
	r.stir = true
	if rs.Path == "" {
		r.owe(rs.Reason, now, seq, 0)
		return
	}
	e := coalesce.Entry{Path: rs.Path, Flags: coalesce.Subtree | coalesce.Dir | coalesce.Jumbled, Since: now, Last: now, Seq: seq}
	r.mark(&e, now)
	r.insert(e, now)
}

// owe makes a full run due, not before the given time.
func (r *remote) owe(reason string, since int64, seq uint64, due int64) {
	r.stir = true
	if r.full == nil {
		r.full = &owed{reason: reason, since: since, seq: seq, due: due}
		return
	}
	r.full.since = min(r.full.since, since)
	r.full.due = min(r.full.due, due)
	r.full.seq = min(r.full.seq, seq)
}

// forget drops all that is dirty and owes a full run instead: memory is
// bounded by configuration, not by how long a remote is away.
func (r *remote) forget(seq uint64, now int64) {
	since, oldestSeq := now, seq
	note := func(e coalesce.Entry) bool {
		since, oldestSeq = min(since, e.Since), min(oldestSeq, e.Seq)
		return true
	}
	r.dirty.Ascend(note)
	r.troubles.held(note)
	for _, group := range r.suspects {
		for _, e := range group {
			note(e)
		}
	}
	r.dirty.Clear()
	r.troubles.clear()
	r.suspects = nil
	r.deletions.first, r.deletions.last, r.deletions.sum = 0, 0, 0
	r.cursor = ""
	r.owe("backlog over the limit", since, oldestSeq, 0)
}

// answerBarriers answers the requests that hold now, oldest first.
func (r *remote) answerBarriers() {
	for len(r.barriers) > 0 && r.holds(r.barriers[0].seq) {
		r.answered(r.barriers[0].id)
		r.barriers = r.barriers[1:]
	}
}

// holds reports whether everything numbered up to seq is at the remote.
func (r *remote) holds(seq uint64) bool {
	if r.full != nil && r.full.seq <= seq {
		return false
	}
	waits := func(entries []coalesce.Entry) bool {
		for _, e := range entries {
			if e.Seq <= seq {
				return true
			}
		}
		return false
	}
	for _, f := range r.flights {
		if waits(f.entries) || waits(slices.Collect(maps.Values(f.after))) || f.full != nil && f.full.seq <= seq {
			return false
		}
	}
	for _, s := range r.suspects {
		if waits(s) {
			return false
		}
	}
	ok := true
	later := func(e coalesce.Entry) bool {
		ok = e.Seq > seq
		return ok
	}
	if r.troubles.held(later); ok {
		r.dirty.Ascend(later)
	}
	return ok
}
