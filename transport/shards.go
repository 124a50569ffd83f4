package transport

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fansync/fansync/scheduler"
)

// sendShards is a full run that several rsyncs share. The border comes first: it
// makes the directories that the shards fill, and counts what is to be deleted
// beside them.
func (r *Rsync) sendShards(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newMeter(b.Shards, progress)
	part := b
	part.Part = true
	border := part
	border.Form, border.Items, border.Border, border.Shards = scheduler.Flat, b.Border, nil, nil
	res := r.carry(ctx, border, nil)
	if res.Class != scheduler.OK && res.Class != scheduler.Partial && res.Class != scheduler.DeleteLimit {
		return res
	}
	// rsync counts a directory twice that is an entry of one above it, too.
	res.Stats.Files -= int64(len(b.Border))
	results := make([]scheduler.Result, len(b.Shards))
	var wg sync.WaitGroup
	for i, shard := range b.Shards {
		wg.Go(func() {
			one := part
			one.Form, one.Items = scheduler.Deep, shard.Items
			results[i] = r.carry(ctx, one, m.of(i))
			results[i].Stats.Files -= shard.Twice()
			if results[i].Class == scheduler.Transient || results[i].Class == scheduler.Permanent {
				cancel() // it is all to be done again
			}
		})
	}
	wg.Wait()
	return together(append(results, res))
}

// gravity orders classes: of several results the gravest counts. That the
// others were ended for the sake of one is not what went wrong.
var gravity = map[scheduler.Class]int{
	scheduler.OK: 0, scheduler.Partial: 1, scheduler.DeleteLimit: 2, scheduler.Canceled: 3, scheduler.Transient: 4, scheduler.Permanent: 5,
}

// together is the result of a run that several have shared.
func together(results []scheduler.Result) scheduler.Result {
	worst := slices.MaxFunc(results, func(x, y scheduler.Result) int { return cmp.Compare(gravity[x.Class], gravity[y.Class]) })
	all := scheduler.Result{Class: worst.Class, Code: worst.Code, Message: worst.Message}
	for _, res := range results {
		if res.Class == scheduler.Partial && len(res.Failed) == 0 {
			// Names that are not known make the whole incomplete.
			res.Failed = []scheduler.PathError{{Message: res.Message}}
		}
		all.Failed = append(all.Failed, res.Failed...)
		all.Skipped += res.Skipped
		all.DeletesSkipped = all.DeletesSkipped || res.DeletesSkipped
		all.Stats.Files += res.Stats.Files
		all.Stats.Bytes += res.Stats.Bytes
		addWork(&all.Stats, res.Stats)
	}
	return all
}

// meter puts the progress of several rsyncs together, and tells how long it will
// take.
type meter struct {
	report func(scheduler.Progress)
	shards []scheduler.Shard
	begun  time.Time

	mu    sync.Mutex
	parts []scheduler.Progress
}

func newMeter(shards []scheduler.Shard, report func(scheduler.Progress)) *meter {
	return &meter{report: report, shards: shards, begun: time.Now(), parts: make([]scheduler.Progress, len(shards))}
}

// whole is progress of a run that is not shared, with the time it will take.
func whole(b scheduler.Batch, report func(scheduler.Progress)) func(scheduler.Progress) {
	return newMeter([]scheduler.Shard{{Weight: 1, Entries: b.Entries}}, report).of(0)
}

// of takes the progress of shard i.
func (m *meter) of(i int) func(scheduler.Progress) {
	if m.report == nil {
		return nil
	}
	return func(p scheduler.Progress) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.parts[i] = p
		m.report(m.sum(time.Since(m.begun)))
	}
}

// sum is the progress after so long. Called with mu held.
func (m *meter) sum(took time.Duration) scheduler.Progress {
	all := scheduler.Progress{Rsyncs: len(m.parts)}
	var weight, done float64
	for i, p := range m.parts {
		all.Bytes += p.Bytes
		all.Rate += p.Rate
		all.Files += p.Files
		all.Checked += p.Checked
		all.Total += p.Total
		w := float64(max(1, m.shards[i].Weight))
		weight += w
		// Of what is there already rsync counts no bytes, but it has looked at it.
		part := float64(p.Percent) / 100
		if total := max(p.Total, m.shards[i].Entries); total > 0 {
			part = max(part, float64(p.Checked)/float64(total))
		}
		done += w * min(part, 1)
	}
	done /= weight
	all.Percent = int(100 * done)
	if done > 0 && done < 1 {
		all.ETA = time.Duration(float64(took) * (1 - done) / done)
	}
	return all
}
