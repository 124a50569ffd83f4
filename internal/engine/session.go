package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/guard"
	"github.com/fansync/fansync/internal/links"
	"github.com/fansync/fansync/transport"
	"github.com/fansync/fansync/watcher"
)

// window is how long the first of several events waits for the others. What
// goes on for longer the scheduler leaves to grow.
const window = 2 * time.Millisecond

// session watches the root until ctx ends or the root goes away. The error
// says why it could not be watched.
func (r *root) session(ctx context.Context, changes chan<- coalesce.Change) error {
	path := resolved(r.conf.Path)
	for _, m := range r.conf.Remotes {
		dest, err := transport.ParseDest(m.Dest)
		if err == nil {
			err = overlap(r.conf, dest)
		}
		if err != nil {
			return err
		}
	}
	weights := watcher.DefaultWeights()
	cfg := watcher.Config{
		Root: path, Backend: watcher.Backend(r.conf.Backend), NoModify: r.conf.Modify == "off",
		Ignore: r.ignores, Weigh: &weights, Groups: &r.engine.groups, Log: r.engine.log,
	}
	if r.outside != nil {
		cfg.Backend, cfg.Because = watcher.BackendInotify, r.outside.Error()
	}
	if r.engine.opts.Watch != nil {
		r.engine.opts.Watch(&cfg)
	}
	w, err := watcher.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	index := r.index(w, path)
	r.beginSession(w, index)

	var wg sync.WaitGroup
	ended := make(chan struct{})
	var watchErr error
	wg.Go(func() {
		defer close(ended)
		watchErr = w.Run(ctx)
	})
	flushed := make(chan coalesce.Change)
	wg.Go(func() { coalesce.Run(coalesce.Config{Window: window}, w.Events(), flushed, watcher.Now) })
	expanded := make(chan coalesce.Change)
	wg.Go(func() { index.Run(ctx, flushed, expanded) })
	wg.Go(func() { r.pass(expanded, changes) })
	wg.Go(func() { r.keepWatch(ctx, cancel) })

	select {
	case <-w.Ready():
		r.sched.Resume(true, "the root is watched from now on")
		// Requests of an earlier session are answered by that full run.
		r.resumeBarriers(ctx, changes)
	case <-ended:
	}
	<-ended
	cancel()
	r.endSession()
	wg.Wait()
	if watchErr != nil && !errors.Is(watchErr, context.Canceled) {
		return fmt.Errorf("watch %s: %w", path, watchErr)
	}
	return nil
}

// index makes the index of hard links of a session.
func (r *root) index(w *watcher.Watcher, path string) *links.Index {
	backend, _ := w.Backend()
	cfg := links.Config{
		Root: path, Skip: r.ignores, Log: r.engine.log,
		Blind: backend == watcher.BackendInotify, BlindAt: w.Blind, NoSearch: r.conf.HiddenWrites == "ignore",
	}
	if r.engine.opts.Links != nil {
		r.engine.opts.Links(&cfg)
	}
	return links.New(cfg)
}

func (r *root) beginSession(w *watcher.Watcher, index *links.Index) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch, r.links, r.base, r.watched = w, index, r.last, true
	close(r.began)
	r.began = make(chan struct{})
}

func (r *root) endSession() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch, r.links = nil, nil
}

// resumeBarriers answers what was asked of earlier sessions.
func (r *root) resumeBarriers(ctx context.Context, changes chan<- coalesce.Change) {
	r.mu.Lock()
	base := r.base
	r.mu.Unlock()
	if base == 0 {
		return
	}
	select {
	case changes <- coalesce.Change{Barriers: []uint64{base}}:
	case <-ctx.Done():
	}
}

// pass hands a session's Changes to the scheduler.
func (r *root) pass(in <-chan coalesce.Change, out chan<- coalesce.Change) {
	r.mu.Lock()
	base := r.base
	r.mu.Unlock()
	for ch := range in {
		for i := range ch.Barriers {
			ch.Barriers[i] += base
		}
		for _, rs := range ch.Rescans {
			r.log.Warn("comparing again", "path", rs.Path, "reason", rs.Reason)
		}
		if ch.Gone {
			r.log.Warn("root went away")
			r.sched.Suspend("the root went away")
		}
		out <- ch
	}
}

// keepWatch checks the root's identity until the session ends, and ends it
// when the root is not the one that it was.
func (r *root) keepWatch(ctx context.Context, end func()) {
	tick := time.NewTicker(rootCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		g, was := r.guard, r.problem
		r.mu.Unlock()
		err := g.Check()
		switch {
		case err == nil && was != "":
			r.log.Info("root is well again")
			r.setProblem("")
			r.sched.Resume(false, "")
		case err != nil:
			if was != err.Error() {
				r.log.Warn("root", "problem", err)
			}
			r.setProblem(err.Error())
			r.sched.Suspend(err.Error())
			var root *guard.RootError
			if errors.As(err, &root) && (root.Fault == guard.Emptied || root.Fault == guard.Unreadable) {
				continue // the watch goes on
			}
			end()
			return
		}
	}
}
