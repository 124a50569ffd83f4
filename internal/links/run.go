package links

import (
	"context"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// Run is the stage: it expands the Changes of in and hands them to out, until
// in is closed; then it closes out and returns. No Change waits for a search,
// but Barriers do: if anything is suspected they go on in a Change of their own,
// after what a search has found that began behind them. What no Barrier asks for
// is searched for at times, no more than one part in restFactor of the time.
//
// When ctx ends, a search is broken off, and the Barriers that wait for it are
// not handed on; neither are those that wait when in is closed.
func (x *Index) Run(ctx context.Context, in <-chan coalesce.Change, out chan<- coalesce.Change) {
	defer close(out)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ended := make(chan *search)
	var stop context.CancelFunc // of the search under way; nil: there is none
	var asked, waiting []uint64 // Barriers: of the search under way, and for the next
	begin := func() {
		var searching context.Context
		searching, stop = context.WithCancel(ctx)
		asked, waiting = waiting, nil
		s := x.begin()
		go func() {
			s.run(searching)
			ended <- s
		}()
	}
	for {
		if stop == nil && x.pending.on {
			if len(waiting) > 0 {
				begin()
			} else {
				timer.Reset(x.wait())
			}
		}
		select {
		case ch, ok := <-in:
			if !ok {
				if stop != nil {
					stop()
					<-ended
				}
				return
			}
			x.take(&ch)
			if stop != nil || x.pending.on {
				waiting = append(waiting, ch.Barriers...)
				ch.Barriers = nil
			}
			if !ch.Empty() {
				out <- ch
			}
		case s := <-ended:
			stop()
			stop = nil
			ch := x.report(s)
			if ctx.Err() == nil {
				ch.Barriers = asked
				if !x.pending.on {
					ch.Barriers, waiting = append(ch.Barriers, waiting...), nil
				}
			}
			if !ch.Empty() {
				out <- ch
			}
		case <-timer.C:
			if stop == nil && x.pending.on {
				begin()
			}
		}
	}
}

// take expands a Change, and suspects what it says is hidden.
func (x *Index) take(ch *coalesce.Change) {
	entries, err := x.Expand(ch.Entries)
	if err != nil {
		x.cfg.Log.Warn("cannot look for other names of changed files", "root", x.cfg.Root, "error", err)
	}
	ch.Entries = entries
	if ch.Hidden != 0 && !x.cfg.NoSearch {
		x.suspect(ch.Hidden, watcher.Now())
	}
	ch.Hidden = 0
}

// wait is how long the next search in the background has to wait.
func (x *Index) wait() time.Duration {
	settled := time.Duration(x.pending.noted-watcher.Now()) + x.cfg.Settle
	return max(settled, time.Until(x.rest), 0)
}
