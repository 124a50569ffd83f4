package scheduler

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// maxFailures is how many failing paths a Status names.
const maxFailures = 100

// progressBox hands a full run's progress from the sender to Status.
type progressBox struct {
	mu sync.Mutex
	p  *Progress
}

func (b *progressBox) set(p Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p = &p
}

func (b *progressBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.p = nil
}

func (b *progressBox) get() *Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.p
}

// badge is the remote's state as last announced, for who must not keep its
// goroutine from work.
type badge struct {
	mu     sync.Mutex
	state  State
	reason string
}

// set reports whether that is news.
func (b *badge) set(state State, reason string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := state != b.state || reason != b.reason
	b.state, b.reason = state, reason
	return news
}

func (b *badge) get() (State, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.reason
}

// status asks the remote's goroutine for a moment of it; false when it does
// not run.
func (r *remote) status() (Status, bool) {
	got := make(chan Status, 1)
	if !r.inbox.ask(func() { got <- r.snapshot() }) {
		return Status{}, false
	}
	return <-got, true
}

func (r *remote) snapshot() Status {
	now := r.cfg.Now()
	standbys, _ := r.conf.Ready()
	st := Status{
		Name: r.conf.Name, Files: r.known,
		LastSuccess: r.lastSuccess, LastFull: r.lastFull,
		Standbys: standbys, Failing: len(r.troubles.by), Counts: r.counts, Attempts: r.attempts, Flights: len(r.flights), Limits: r.conf.Limits,
	}
	st.State, st.Reason = r.current()
	if r.nextTry > now {
		st.NextTry = time.Now().Add(time.Duration(r.nextTry - now))
	}
	since := now
	note := func(e coalesce.Entry) bool {
		since = min(since, e.Since)
		return true
	}
	st.Backlog = r.dirty.Len()
	r.dirty.Ascend(note)
	for _, group := range r.suspects {
		st.Backlog += len(group)
		for _, e := range group {
			note(e)
		}
	}
	for _, f := range r.flights {
		st.InFlight += len(f.entries)
		for _, e := range f.entries {
			note(e)
		}
		if f.full != nil {
			since = min(since, f.full.since)
			st.Full = r.progress.get()
		}
	}
	if r.full != nil {
		since = min(since, r.full.since)
	}
	for path, t := range r.troubles.by {
		if t.held {
			st.Backlog++
			note(t.entry)
		}
		if len(st.Failures) < maxFailures {
			f := Failure{Path: path, Message: t.message, Attempts: t.attempts}
			if t.held {
				f.NextTry = time.Now().Add(time.Duration(t.due - now))
			}
			st.Failures = append(st.Failures, f)
		}
	}
	slices.SortFunc(st.Failures, func(a, b Failure) int { return strings.Compare(a.Path, b.Path) })
	st.Lag = time.Duration(now - since)
	return st
}

// current is the remote's state, and why.
func (r *remote) current() (State, string) {
	full := r.full
	if full != nil && full.due > r.cfg.Now() {
		full = nil
	}
	for _, f := range r.flights {
		if f.full != nil {
			full = f.full
		}
	}
	switch {
	case r.suspended != "":
		return Halted, r.suspended
	case r.halt != "":
		return Halted, r.halt
	case r.distrust != "":
		return Halted, r.distrust
	case r.permanent:
		return Halted, r.trouble
	case r.paused != "" && r.began:
		return CatchingUp, r.paused
	case r.paused != "":
		return Starting, r.paused
	case r.attempts > 0 && full != nil && r.began:
		return Stale, r.trouble
	case r.attempts > 0:
		return Retrying, r.trouble
	case !r.began:
		return Starting, ""
	case full != nil:
		return CatchingUp, full.reason
	}
	return Live, ""
}

// announce tells of a change of state.
func (r *remote) announce() {
	state, reason := r.current()
	if !r.badge.set(state, reason) {
		return
	}
	if state == Halted || state == Retrying || state == Stale {
		r.log.Warn("remote state", "state", state, "reason", reason)
	} else {
		r.log.Info("remote state", "state", state, "reason", reason)
	}
	r.cfg.Events.State(r.conf.Name, state, reason)
}
