package suite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/workload"
)

// Run runs all cells of the plan. When ctx ends, the cell that was running is
// not recorded, and what was recorded stays.
func Run(ctx context.Context, p *Plan) error {
	all := p.order()
	missing := map[string]string{}
	for _, e := range p.Engines {
		if _, err := e.Version(ctx); err != nil {
			missing[e.Name()] = err.Error()
		}
	}
	for i, c := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec := record.Cell{
			Kind: "cell", Engine: c.engine.Name(), Workload: c.workload.Name(), Rep: c.rep, Seed: p.Seed + uint64(c.rep),
		}
		size := workload.Size{Seed: rec.Seed, Scale: p.Scale}
		needs := c.workload.Needs(size)
		rec.Params = needs.Params
		p.progress(i, len(all), rec)
		switch {
		case missing[c.engine.Name()] != "":
			rec.Verdict, rec.Note = record.Skipped, missing[c.engine.Name()]
		case needs.Skip[c.engine.Name()] != "":
			rec.Verdict, rec.Note = record.Skipped, needs.Skip[c.engine.Name()]
		default:
			if err := cell(ctx, p, c, size, &rec); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				rec.Verdict, rec.Note = record.Failed, err.Error()
			}
		}
		if err := p.Write(rec); err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
		p.progress(i+1, len(all), rec)
	}
	return nil
}

func (p *Plan) progress(done, all int, rec record.Cell) {
	if p.Progress != nil {
		p.Progress(done, all, rec)
	}
}

// cell runs one engine at one workload once.
func cell(ctx context.Context, p *Plan, c pair, size workload.Size, rec *record.Cell) (err error) {
	s, err := open(ctx, p, c, size)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return err
	}
	started := time.Now()
	if err := s.launch(ctx); err != nil {
		return err
	}
	if c.engine.Live() {
		at, err := s.ready(ctx, p.Deadline)
		if errors.Is(err, errNotLive) {
			return notLive(s.process, rec)
		}
		if err != nil {
			return err
		}
		rec.ReadySeconds = at.Sub(started).Seconds()
		if s.needs.Idle {
			if err := s.idle(ctx, rec); err != nil {
				return err
			}
		}
	}
	var arrivals *measure.Arrivals
	if s.needs.Latency {
		if arrivals, err = measure.WatchArrivals(s.latencyDir()); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, arrivals.Stop()) }()
	}
	if err := s.load(ctx, size, arrivals, rec); err != nil {
		return err
	}
	cpu, err := s.stop()
	if s.tracker == nil {
		rec.CPUSeconds = cpu
	}
	return err
}

// load makes the changes, waits for them, and takes the figures.
func (s *session) load(ctx context.Context, size workload.Size, arrivals *measure.Arrivals, rec *record.Cell) error {
	rsyncs, bytes, err := s.daemon.Served()
	if err != nil {
		return err
	}
	before, err := s.usage()
	if err != nil {
		return err
	}
	began := time.Now()
	changes, err := s.workload.Run(ctx, s.src, size)
	loaded := time.Now()
	if err != nil {
		return fmt.Errorf("make the changes: %w", err)
	}
	rec.LoadSeconds = loaded.Sub(began).Seconds()
	if !s.pair.engine.Live() {
		if err := s.process.Sync(ctx, changes.Paths); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
	}
	out, err := s.await(ctx, changes.Paths)
	if err != nil {
		return err
	}
	// What runs on after that is work for these changes too, needed or not.
	if err := s.quiet(ctx); err != nil {
		return err
	}
	after, err := s.usage()
	if err != nil {
		return err
	}
	n, b, err := s.daemon.Served()
	if err != nil {
		return err
	}
	rec.Rsyncs, rec.WireBytes = n-rsyncs, b-bytes
	rec.CPUSeconds = after.CPUSeconds - before.CPUSeconds
	rec.PeakRSSMB, rec.DaemonRSSMB = after.PeakRSSMB, after.DaemonRSSMB
	judge(rec, out, began, loaded)
	if arrivals == nil {
		return nil
	}
	seen, err := arrivals.Seen()
	if err != nil {
		return err
	}
	rec.Latency, err = latency(changes.Due, seen)
	return err
}

// idle takes the CPU time while nothing changes.
func (s *session) idle(ctx context.Context, rec *record.Cell) error {
	const length = 5 * time.Second
	before, err := s.usage()
	if err != nil {
		return err
	}
	if err := sleep(ctx, length); err != nil {
		return err
	}
	after, err := s.usage()
	rec.IdleCPU = (after.CPUSeconds - before.CPUSeconds) / length.Seconds()
	return err
}

// notLive records an engine that did not begin to mirror.
func notLive(p engine.Process, rec *record.Cell) error {
	rec.Verdict, rec.Note = record.Wrong, errNotLive.Error()
	select {
	case <-p.Exited():
		rec.Verdict, rec.Note = record.Crashed, "the engine ended before it mirrored anything"
	default:
	}
	return nil
}

// sample is how many wrong paths a record names.
const sample = 10

// judge writes down how the wait for convergence ended.
func judge(rec *record.Cell, out outcome, began, loaded time.Time) {
	if out.equal {
		rec.Verdict = record.Right
		rec.ConvergeSeconds = max(out.at.Sub(loaded), 0).Seconds()
		rec.TotalSeconds = max(out.at.Sub(began), loaded.Sub(began)).Seconds()
		return
	}
	rec.Verdict, rec.Note = record.Wrong, out.note
	if out.crashed {
		rec.Verdict = record.Crashed
	}
	rec.WrongPaths = len(out.differences)
	for _, d := range out.differences[:min(sample, len(out.differences))] {
		rec.WrongSample = append(rec.WrongSample, fmt.Sprintf("%q: %s", d.Path, d.What))
	}
}
