package scheduler

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/coalesce"
)

var (
	seeds   = flag.Int("scheduler.seeds", 25, "how many random histories to run")
	seed    = flag.Int64("scheduler.seed", 0, "the only history to run; 0: all")
	verbose = flag.Bool("scheduler.log", false, "log what the scheduler does")
)

// few is a Limits that refuses more than that many deletions.
type few int64

func (n few) Allow(deletes, known int64) error {
	if deletes > int64(n) {
		return fmt.Errorf("%d of %d files would be deleted", deletes, known)
	}
	return nil
}
func (n few) MaxDelete(int64) int64 { return int64(n) }

// history is one kind of run of the property test.
type history struct {
	name     string
	limits   Limits
	maxDirty int
	overflow bool
	suspend  bool
	trouble  int
	hurry    time.Duration
	large    bool // half of the files are large, and take long
	crowds   bool // even small directories collapse, and now and then changes pile up
	moves    bool // even small things that were renamed are taken from their old names
}

// TestConvergence: after a barrier every remote equals the source, whatever
// happened before, and every barrier is answered.
func TestConvergence(t *testing.T) {
	for _, h := range []history{
		{name: "smooth", hurry: 20 * time.Millisecond},
		{name: "moves", moves: true, hurry: 20 * time.Millisecond},
		{name: "slow moves", moves: true, hurry: 200 * time.Millisecond},
		{name: "troubled moves", moves: true, trouble: 10, limits: few(12), hurry: 20 * time.Millisecond},
		{name: "burst", hurry: time.Millisecond},
		{name: "trouble", trouble: 15, hurry: 20 * time.Millisecond},
		{name: "guard", limits: few(6), trouble: 3, hurry: 20 * time.Millisecond},
		{name: "forgetful", maxDirty: 12, overflow: true, trouble: 5, hurry: 10 * time.Millisecond},
		{name: "crowds", crowds: true, trouble: 3, hurry: 20 * time.Millisecond},
		{name: "guarded crowds", crowds: true, limits: few(12), hurry: 20 * time.Millisecond},
		{name: "large", large: true, trouble: 3, hurry: 20 * time.Millisecond},
		{name: "large crowds", large: true, crowds: true, hurry: 20 * time.Millisecond},
		{name: "large and guarded", large: true, limits: few(6), hurry: 20 * time.Millisecond},
		{name: "large and lost", large: true, overflow: true, maxDirty: 30, trouble: 3, hurry: 20 * time.Millisecond},
		{name: "suspended", suspend: true, trouble: 5, overflow: true, hurry: 20 * time.Millisecond},
	} {
		t.Run(h.name, func(t *testing.T) {
			moves, linked := 0, 0
			for n := int64(1); n <= int64(*seeds); n++ {
				if *seed != 0 && n != *seed {
					continue
				}
				synctest.Test(t, func(t *testing.T) {
					for _, sim := range h.run(t, n) {
						moves, linked = moves+sim.moves, linked+sim.linked
					}
				})
				if t.Failed() {
					t.Fatalf("reproduce with -run 'TestConvergence/%s' -scheduler.seed %d", h.name, n)
				}
			}
			if *seed == 0 && h.moves != (moves > 0 && linked > 0) {
				t.Errorf("%d moves linked %d files", moves, linked)
			}
			t.Logf("%d moves, %d files linked", moves, linked)
		})
	}
}

func (h history) run(t *testing.T, n int64) []*simulation {
	w := newWorld(t, n)
	w.lossy = h.overflow || h.maxDirty > 0
	failing := h.trouble
	pool, err := NewPool(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	// The second remote knows no trouble.
	one := newSimulation(t, w.root, n+1, func() int { w.mu.Lock(); defer w.mu.Unlock(); return failing })
	two := newSimulation(t, w.root, n+2, func() int { return 0 })
	cfg := Config{
		Source: dirSource(w.root), Pool: pool, Now: clock, Wall: clock, Limits: h.limits, stamps: w.stamps,
		Remotes: []RemoteConfig{
			{Name: "one", Sender: one, MaxDirty: h.maxDirty},
			{Name: "two", Sender: two, MaxDirty: h.maxDirty, Parallel: 4},
		},
	}
	cfg.BigFile = -1
	if h.large {
		cfg.BigFile, cfg.Remotes[0].Resumes = 31, true
	}
	cfg.MoveMin = -1
	if h.moves {
		cfg.MoveMin, w.restless = 1, true
	}
	if h.crowds {
		cfg.crowdMin, cfg.deepMin = 2, 2
	}
	if *verbose {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg.Events.Started = func(r string, b Batch) { cfg.Log.Info("started", "remote", r, "batch", fmt.Sprint(b)) }
		cfg.Events.Ended = func(r string, b Batch, res Result, _ time.Duration) {
			cfg.Log.Info("ended", "remote", r, "id", b.ID, "result", fmt.Sprintf("%+v", res))
		}
	}
	for range 30 {
		w.step()
	}
	w.keep()
	w.lose()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Run(t.Context(), w.out) }()
	for round := range uint64(3) {
		w.mu.Lock()
		failing = h.trouble
		w.mu.Unlock()
		stop, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			w.watch(n*10+int64(round), h.overflow, stop)
		}()
		for i := range 80 {
			w.step()
			if w.rng.Intn(3) == 0 {
				time.Sleep(time.Duration(w.rng.Int63n(int64(h.hurry)) * int64(1+w.rng.Intn(8))))
			}
			switch {
			case h.crowds && i%20 == 10:
				s.Pause("test")
			case h.crowds && i%20 == 19:
				time.Sleep(deepQuiet + time.Duration(w.rng.Intn(100))*time.Millisecond)
				s.Resume(false, "test")
			}
			if h.suspend && i%25 == 24 {
				s.Suspend("test")
				time.Sleep(time.Duration(w.rng.Intn(50)) * time.Millisecond)
				s.Resume(w.rng.Intn(2) == 0, "test")
			}
		}
		w.keep()
		close(stop)
		<-watched
		c := w.read()
		c.Barriers = []uint64{round + 1}
		w.out <- c
		time.Sleep(time.Duration(w.rng.Intn(100)) * time.Millisecond)
		w.mu.Lock()
		failing = 0
		w.mu.Unlock()
		h.await(t, s, round+1)
		for i, sim := range []*simulation{one, two} {
			if diff := sim.differences(); len(diff) > 0 {
				t.Errorf("seed %d round %d: remote %d differs:\n%s", n, round, i+1, strings.Join(diff, "\n"))
			}
		}
		if t.Failed() {
			break
		}
	}
	for _, st := range s.Status() {
		if st.Backlog+st.InFlight+st.Failing > 0 || st.State != Live || st.Lag > 0 {
			t.Errorf("seed %d: not at rest: %+v", n, st)
		}
	}
	close(w.out)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st := s.Status(); len(st) > 0 {
		t.Errorf("status after the end: %v", st)
	}
	return []*simulation{one, two}
}

// await waits for a barrier, and confirms deletions that the guard holds back.
func (h history) await(t *testing.T, s *Scheduler, id uint64) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for range 1000 {
		err := s.Wait(ctx, id)
		if err == nil {
			return
		}
		if h.limits == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "halted") {
			t.Fatalf("barrier %d: %v", id, err)
		}
		if err := s.ConfirmDeletes(""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("barrier %d: confirmed and halted without end", id)
}

// keep makes sure that the source is not empty: that would stop the remotes.
func (w *world) keep() { w.write("kept"); w.event("kept", coalesce.Content, "") }
