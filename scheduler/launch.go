package scheduler

import (
	"context"
	"fmt"
	"log/slog"
)

// launchFull sends the whole root. Until the number of deletions is known to
// be harmless nothing is deleted: the run only counts them.
func (r *remote) launchFull(ctx context.Context, now int64) {
	// An operator may confirm that the root was emptied, never that another
	// directory stands in its place.
	dir, err := r.cfg.Source.OpenDir(r.confirmed == 0)
	if err != nil {
		r.rest(err, now)
		return
	}
	if err := dir.Close(); err != nil {
		r.log.Warn("close root", "err", err)
	}
	f := &flight{batch: Batch{Form: Full}, full: r.full, preview: !r.counted && r.confirmed == 0, bigSize: r.bigSize(), search: []Item{{}}}
	r.full = nil
	if f.preview && r.attempts == 0 {
		// Others, whose deletions have one limit, are not divided; nor is one that
		// may have failed for lack of connections.
		f.shards = r.conf.Shards
	}
	f.batch.Settled = r.dirty.Len() == 0 && r.settledAfter(false)
	level := slog.LevelInfo
	if r.attempts > 0 {
		level = slog.LevelDebug // said before, and said again when it works
	}
	r.log.Log(ctx, level, "full run", "reason", f.full.reason, "counting_deletions", f.preview)
	r.launch(ctx, f, now)
}

// launch puts f in the air.
func (r *remote) launch(ctx context.Context, f *flight, now int64) {
	r.nextID++
	f.batch.ID, f.begun = r.nextID, now
	if !f.big {
		r.pace.began(now)
	}
	r.wall() // a clock that is set back during the flight was seen before
	f.batch.MaxDelete = -1
	switch {
	case f.preview:
		f.batch.MaxDelete = 0
	case r.confirmed == 0 && !f.cleared:
		f.batch.MaxDelete = int(min(r.cfg.Limits.MaxDelete(r.known), 1<<30))
	}
	r.flights = append(r.flights, f)
	r.unborn(f)
	sendCtx, cancel := context.WithCancel(ctx)
	f.cancel = cancel
	r.cfg.Events.Started(r.conf.Name, f.batch)
	var progress func(Progress)
	if f.batch.Form == Full {
		r.progress.clear()
		progress = func(p Progress) {
			r.progress.set(p)
			r.cfg.Events.Progress(r.conf.Name, p)
		}
	}
	start := r.cfg.Pool.Go
	switch {
	case f.big:
		start = r.cfg.Pool.GoLarge
	case f.shards > 1:
		start = func(task func()) { r.cfg.Pool.GoShared(task, f.shards) }
	}
	start(func() {
		res := Result{Class: Canceled, Code: -1, Message: "stopped before it began"}
		defer func() {
			if v := recover(); v != nil {
				res = Result{Class: Transient, Code: -1, Message: fmt.Sprintf("internal error: %v", v)}
			}
			if res.Class == Canceled && sendCtx.Err() == nil {
				// Nobody wanted that: without a rest it would go round and round.
				res.Class = Transient
			}
			cancel()
			r.done <- ended{f, res}
		}()
		if sendCtx.Err() == nil {
			f.survey(sendCtx, r.cfg)
			res = r.conf.Sender.Send(sendCtx, f.batch, progress)
		}
	})
}
