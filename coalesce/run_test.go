package coalesce

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/watcher"
)

// stage is a Run in a bubble, with what a test needs to drive it.
type stage struct {
	in    chan []watcher.Event
	out   chan Change
	start time.Time
	done  chan struct{}
}

func startStage(cfg Config) *stage {
	s := &stage{in: make(chan []watcher.Event), out: make(chan Change), start: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		Run(cfg, s.in, s.out, s.now)
	}()
	return s
}

func (s *stage) now() int64 { return int64(time.Since(s.start)) }

// at waits until d after the start.
func (s *stage) at(d time.Duration) {
	time.Sleep(d - time.Since(s.start)) // the bubble's time: no waiting, no guessing
}

func (s *stage) send(kind watcher.Kind, paths ...string) {
	var events []watcher.Event
	for _, p := range paths {
		events = append(events, watcher.Event{Path: p, Kind: kind, Time: s.now()})
	}
	s.in <- events
}

// stop closes the input and returns what was left.
func (s *stage) stop() []Change {
	close(s.in)
	var rest []Change
	for ch := range s.out {
		rest = append(rest, ch)
	}
	<-s.done
	return rest
}

func paths(ch Change) []string {
	var p []string
	for _, e := range ch.Entries {
		p = append(p, e.Path)
	}
	return p
}

// expect receives the next Change, which must come at d and hold these paths.
func (s *stage) expect(t *testing.T, d time.Duration, want ...string) Change {
	t.Helper()
	ch := <-s.out
	if got := time.Duration(s.now()); got != d {
		t.Errorf("change at %v, want %v", got, d)
	}
	if d := cmp.Diff(want, paths(ch)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	return ch
}

const ms = time.Millisecond

func TestRunWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.send(watcher.Attrib, "b")
		s.at(4 * ms)
		s.send(watcher.Attrib, "a")
		s.expect(t, 5*ms, "a", "b")
		s.at(time.Minute)
		s.send(watcher.Attrib, "c")
		s.expect(t, time.Minute+5*ms, "c")
		if rest := s.stop(); rest != nil {
			t.Errorf("left: %v", rest)
		}
	})
}

func TestRunQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.send(watcher.Modified, "f")
		s.at(30 * ms)
		s.send(watcher.Modified, "f")
		s.send(watcher.Attrib, "g")
		s.expect(t, 35*ms, "g")
		s.expect(t, 80*ms, "f")
		s.send(watcher.Modified, "f")
		s.at(90 * ms)
		s.send(watcher.Closed, "f")
		s.expect(t, 95*ms, "f")
		s.stop()
	})
}

func TestRunBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{MaxDelay: 200 * ms})
		for d := time.Duration(0); d < 200*ms; d += 40 * ms {
			s.at(d)
			s.send(watcher.Modified, "f")
		}
		s.expect(t, 200*ms, "f")
		s.stop()
	})
}

// A receiver that stays away stops neither the reading nor the merging, and
// finds one old Change and one with all that came since.
func TestRunBlockedReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.send(watcher.Attrib, "first")
		s.at(10 * ms)
		for i := range 1000 {
			s.at(time.Duration(10+i) * ms)
			s.send(watcher.Attrib, "a", "b")
		}
		s.send(watcher.Created|watcher.Dir, "d")
		s.send(watcher.Removed|watcher.Dir, "d")
		s.at(5 * time.Second)
		s.expect(t, 5*time.Second, "first")
		synctest.Wait()
		ch := s.expect(t, 5*time.Second, "a", "b", "d")
		if a := ch.Entries[0]; a.Since != int64(10*ms) || a.Last != int64(1009*ms) {
			t.Errorf("a was not merged: %+v", a)
		}
		if d := ch.Entries[2]; !d.Has(Ghost) {
			t.Errorf("d is no ghost: %v", d.Flags)
		}
		s.stop()
	})
}

// Events that never pause do not put off the flush.
func TestRunSteadyStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		flushed := 0
		go func() {
			for ch := range s.out {
				flushed++
				if waited := s.now() - ch.Entries[0].Since; waited > int64(5*ms) {
					t.Errorf("waited %v", time.Duration(waited))
				}
			}
		}()
		for range 100 {
			s.send(watcher.Attrib, "f")
			time.Sleep(ms)
		}
		close(s.in)
		<-s.done
		synctest.Wait()
		if flushed < 10 {
			t.Errorf("flushed %d times in 100ms", flushed)
		}
	})
}

func TestRunBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.send(watcher.Modified, "f")
		s.in <- []watcher.Event{{Kind: watcher.Barrier, Barrier: 3, Time: s.now()}}
		ch := s.expect(t, 0, "f")
		if d := cmp.Diff([]uint64{3}, ch.Barriers); d != "" {
			t.Error(d)
		}
		s.stop()
	})
}

// The end of the input forces out what waits for a window, a writer or a
// receiver, in order, and then the end of the output.
func TestRunCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.send(watcher.Attrib, "offered")
		s.at(10 * ms)
		s.send(watcher.Attrib, "a")
		s.send(watcher.Modified, "w")
		s.in <- []watcher.Event{{Kind: watcher.Gone, Time: s.now()}}
		rest := s.stop()
		if len(rest) != 2 {
			t.Fatalf("%d changes left, want 2: %v", len(rest), rest)
		}
		if d := cmp.Diff([][]string{{"offered"}, {"a", "w"}}, [][]string{paths(rest[0]), paths(rest[1])}); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
		if !rest[1].Gone {
			t.Error("the root's end was lost")
		}
	})
}

func TestRunCloseEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStage(Config{})
		s.in <- nil
		if rest := s.stop(); rest != nil {
			t.Errorf("changes out of nothing: %v", rest)
		}
	})
}
