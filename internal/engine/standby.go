package engine

import (
	"context"
	"sync"

	"github.com/fansync/fansync/scheduler"
)

// keepsReady is next, after the remote's sender was told whether it takes
// changes as they come: only then it keeps standbys.
func (r *root) keepsReady(next func(string, scheduler.State, string)) func(string, scheduler.State, string) {
	return func(remote string, s scheduler.State, reason string) {
		// Plugins alone have no sender of ours.
		if one := r.senders[remote]; one != nil {
			one.Live(s == scheduler.Live)
		}
		if next != nil {
			next(remote, s, reason)
		}
	}
}

// keepStandbys lets the senders keep standbys until stop is called, which
// returns when none is left.
func (r *root) keepStandbys() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, s := range r.senders {
		wg.Go(func() { s.Keep(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}
