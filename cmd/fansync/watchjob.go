package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// errNoChange is wrapped by the end of `watch --timeout`.
var errNoChange = errors.New("no change")

// tree is one DIR on its way to the output.
type tree struct {
	place
	root  string // absolute
	watch *watcher.Watcher
	began time.Time
	gate  *gate
	// met gets a token for each barrier that was printed past.
	met chan struct{}
	// ended is closed when all that the watcher told is printed; then gone and
	// err say how it ended.
	ended chan struct{}
	gone  bool
	err   error

	// events counts the news that the watcher told, lines what became of it.
	events, lines atomic.Int64
}

// watchJob prints the changes of some trees.
//
// For each tree, as in a session of the engine:
//
//	watcher.Watcher → gate → coalesce.Run → output
//
// The goroutine of run decides when it is over. Each tree has one for each
// stage; they end when the watcher does, after the last line.
type watchJob struct {
	trees      []*tree
	out        *output
	raw        bool
	timeout    time.Duration
	statsAtEnd bool
	usr1       <-chan os.Signal // asks for the counters
}

func newWatchJob(trees []*tree, out *output) *watchJob {
	return &watchJob{trees: trees, out: out}
}

// close gives up a job that will not be run.
func (j *watchJob) close() {
	for _, t := range j.trees {
		t.watch.Close()
	}
}

// run prints until ctx ends, the reader of the output is gone, or one of the
// trees; or as --once and --timeout say.
func (j *watchJob) run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	over := make(chan *tree, len(j.trees))
	ready := make(chan struct{}, len(j.trees))
	for _, t := range j.trees {
		wg.Go(func() {
			j.follow(work, t, ready)
			over <- t
		})
	}
	err := j.wait(ctx, ready, over)
	stop()
	wg.Wait()
	if j.statsAtEnd {
		j.printStats()
	}
	return errors.Join(err, j.out.close())
}

// wait returns when the job is over, with what is pending printed.
func (j *watchJob) wait(ctx context.Context, ready <-chan struct{}, over <-chan *tree) error {
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	watched := 0
	changes := int64(0) // that were printed when the timer was set
	for {
		select {
		case <-ctx.Done():
			j.flush()
			return nil
		case t := <-over:
			j.flush()
			return t.err
		case <-j.out.ended:
			return nil
		case <-j.usr1:
			j.printStats()
			continue
		case <-ready:
			watched++
		case <-j.out.news:
		case <-idle.C:
			// What is held back for its writer counts too.
			if j.flush(); j.out.endAt(changes) {
				return fmt.Errorf("%w within %s", errNoChange, j.timeout)
			}
		}
		if j.timeout > 0 && watched == len(j.trees) {
			changes = j.out.changes.Load()
			idle.Reset(j.timeout)
		}
	}
}

// flush returns when all that was changed before the call is printed, or
// nothing more can be. A tree that is not watched yet is left out.
func (j *watchJob) flush() {
	var asked []*tree
	for _, t := range j.trees {
		select {
		case <-t.watch.Ready():
			t.watch.Barrier()
			asked = append(asked, t)
		default:
		}
	}
	for _, t := range asked {
		select {
		case <-t.met:
		case <-t.ended:
		case <-j.out.ended:
		}
	}
}

// follow prints what happens in one tree until ctx ends or the tree is gone.
func (j *watchJob) follow(ctx context.Context, t *tree, ready chan<- struct{}) {
	defer close(t.ended)
	j.out.watching(t)
	var wg sync.WaitGroup
	stopped := make(chan struct{})
	wg.Go(func() {
		select {
		case <-t.watch.Ready():
			j.out.ready(t)
			ready <- struct{}{}
		case <-stopped:
		}
	})
	if j.raw {
		wg.Go(func() { j.printEvents(t) })
	} else {
		in, changes := make(chan []watcher.Event), make(chan coalesce.Change)
		wg.Go(func() { t.pass(in) })
		wg.Go(func() { coalesce.Run(coalesce.Config{}, in, changes, watcher.Now) })
		wg.Go(func() { j.printChanges(t, changes) })
	}
	err := t.watch.Run(ctx)
	close(stopped)
	wg.Wait()
	switch {
	case err != nil:
		t.err = err
	case t.gone:
		t.err = fmt.Errorf("watch %q: the directory was removed, moved or unmounted; put it back and start again", t.name)
	}
}

// pass hands the events to the coalescer, as fast as the gate allows.
func (t *tree) pass(out chan<- []watcher.Event) {
	defer close(out)
	for events := range t.watch.Events() {
		t.count(events)
		t.gate.pass(len(events))
		out <- events
	}
}

// count counts the events that are news.
func (t *tree) count(events []watcher.Event) {
	n := len(events)
	for _, ev := range events {
		if ev.Kind&(watcher.Barrier|watcher.Gone) != 0 {
			n--
		}
	}
	t.events.Add(int64(n))
}

func (j *watchJob) printChanges(t *tree, changes <-chan coalesce.Change) {
	for ch := range changes {
		t.gate.hold()
		j.out.change(t, ch)
		t.gate.release()
		if ch.Gone {
			t.gone = true
		}
		if len(ch.Barriers) > 0 {
			t.meet()
		}
	}
}

func (j *watchJob) printEvents(t *tree) {
	for events := range t.watch.Events() {
		t.count(events)
		j.out.events(t, events)
		for _, ev := range events {
			if ev.Has(watcher.Gone) {
				t.gone = true
			}
			if ev.Has(watcher.Barrier) {
				t.meet()
			}
		}
	}
}

// meet says that a barrier was met. Only flush waits for one, once for each.
func (t *tree) meet() {
	select {
	case t.met <- struct{}{}:
	default:
	}
}

// maxWaiting is how many events a tree may merge while a line is stuck.
const maxWaiting = 1 << 16

// gate bounds what the coalescer holds: while something is being printed, at
// most limit events pass. Those that do not are merged by the kernel or wait in
// the watcher's ring, whose overflow is a rescan.
type gate struct {
	limit int

	mu     sync.Mutex
	opened *sync.Cond
	held   bool
	passed int // since hold
}

func newGate(limit int) *gate {
	g := &gate{limit: limit}
	g.opened = sync.NewCond(&g.mu)
	return g
}

// pass waits until n events may pass.
func (g *gate) pass(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.held && g.passed >= g.limit {
		g.opened.Wait()
	}
	g.passed += n
}

// hold says that printing begins.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.passed = true, 0
}

// release says that it has ended.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = false
	g.opened.Broadcast()
}
