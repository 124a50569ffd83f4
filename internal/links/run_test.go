package links

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// stage is a running Index.
type stage struct {
	t   *testing.T
	x   *Index
	in  chan coalesce.Change
	out chan coalesce.Change
	// cancel ends the context that it runs under.
	cancel context.CancelFunc
}

func start(t *testing.T, cfg Config) *stage {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{t, New(cfg), make(chan coalesce.Change), make(chan coalesce.Change), cancel}
	go s.x.Run(ctx, s.in, s.out)
	t.Cleanup(cancel)
	return s
}

// next is the Change that comes out next.
func (s *stage) next() coalesce.Change {
	s.t.Helper()
	select {
	case ch, ok := <-s.out:
		if !ok {
			s.t.Fatal("the stage has ended")
		}
		return ch
	case <-time.After(20 * time.Second):
		s.t.Fatal("nothing comes")
	}
	return coalesce.Change{}
}

// end closes the stage; nothing more may come.
func (s *stage) end() {
	s.t.Helper()
	close(s.in)
	for ch := range s.out {
		s.t.Errorf("at the end came %+v", ch)
	}
}

func entriesOf(entries ...coalesce.Entry) coalesce.Change { return coalesce.Change{Entries: entries} }

// TestFlushAsks: what is hidden comes before the barrier, whichever Change made
// it suspicious; what is not hidden need not wait.
func TestFlushAsks(t *testing.T) {
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprint(together), func(t *testing.T) {
			root := t.TempDir()
			plant(t, root, "d/a")
			s := start(t, Config{Root: root, Blind: true, Settle: time.Hour})
			e := hide(t, root, "d/a", grow)
			first := entriesOf(e)
			if together {
				first.Barriers = []uint64{5}
			}
			s.in <- first
			if got := s.next(); len(got.Entries) != 1 || len(got.Barriers) > 0 {
				t.Errorf("%+v", got)
			}
			if !together {
				s.in <- coalesce.Change{Barriers: []uint64{5}}
			}
			got := s.next()
			holds(t, lines(got.Entries), "d/a content|attr|racy|wrote")
			if !slices.Equal(got.Barriers, []uint64{5}) {
				t.Errorf("%+v", got)
			}
			// Without suspicion a barrier passes.
			s.in <- coalesce.Change{Entries: []coalesce.Entry{changed("d/a", content)}, Barriers: []uint64{6}}
			if got := s.next(); len(got.Entries) != 1 || !slices.Equal(got.Barriers, []uint64{6}) {
				t.Errorf("%+v", got)
			}
			s.end()
		})
	}
}

// TestBackground: without a flush the file comes later, as a Change of its own.
func TestBackground(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "d/a", "d/b")
	s := start(t, Config{Root: root, Blind: true, Settle: time.Millisecond, Pause: time.Millisecond})
	for _, path := range []string{"d/a", "d/b"} {
		s.in <- entriesOf(hide(t, root, path, grow))
		if got := s.next(); len(got.Entries) != 1 {
			t.Errorf("%+v", got)
		}
		holds(t, lines(s.next().Entries), path+" content|attr|racy|wrote")
	}
	if st := s.x.Stats(); st.Searches != 2 {
		t.Errorf("%+v", st)
	}
	s.end()
}

// TestHiddenIsSuspected: with a backend that knows of it.
func TestHiddenIsSuspected(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a")
	s := start(t, Config{Root: root})
	e := hide(t, root, "a", grow)
	s.in <- coalesce.Change{Entries: []coalesce.Entry{e}, Barriers: []uint64{1}}
	if got := s.next(); len(got.Entries) != 1 || len(got.Barriers) != 1 {
		t.Errorf("%+v", got)
	}
	s.in <- coalesce.Change{Hidden: e.Since, Barriers: []uint64{2}}
	got := s.next()
	holds(t, lines(got.Entries), "a content|attr|racy|wrote")
	if got.Hidden != 0 {
		t.Errorf("%+v", got)
	}
	s.end()
}

func TestNoSearch(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a")
	s := start(t, Config{Root: root, Blind: true, NoSearch: true, Settle: time.Nanosecond, Pause: time.Nanosecond})
	e := hide(t, root, "a", grow)
	s.in <- coalesce.Change{Entries: []coalesce.Entry{e}, Hidden: watcher.Now(), Barriers: []uint64{1}}
	got := s.next()
	expect(t, lines(got.Entries), fmt.Sprintf("link %v", e.Flags))
	if len(got.Barriers) != 1 || s.x.Stats().Searches != 0 {
		t.Errorf("%+v, %+v", got, s.x.Stats())
	}
	s.end()
}

// slowTree has a directory that a search looks at only after release.
func slowTree(t *testing.T) (root string, cfg Config, searching <-chan struct{}, release func()) {
	root = t.TempDir()
	plant(t, root, "a", "slow/b")
	reached, gate := make(chan struct{}, 100), make(chan struct{})
	cfg = Config{Root: root, Blind: true, Settle: time.Millisecond, Pause: time.Millisecond, Skip: func(path string, _ bool) bool {
		if path == "slow" {
			reached <- struct{}{}
			<-gate
		}
		return false
	}}
	return root, cfg, reached, func() { close(gate) }
}

// TestSearchHoldsNothingUp: Changes pass while a search goes on.
func TestSearchHoldsNothingUp(t *testing.T) {
	root, cfg, searching, release := slowTree(t)
	s := start(t, cfg)
	s.in <- entriesOf(hide(t, root, "a", grow))
	s.next()
	<-searching
	for range 3 {
		s.in <- entriesOf(changed("other", name|gone))
		expect(t, lines(s.next().Entries), "other name|gone")
	}
	release()
	holds(t, lines(s.next().Entries), "a content|attr|racy|wrote")
	s.end()
}

// TestFlushDuringASearch: a barrier waits for the search under way, and for
// another one if there is a suspicion since.
func TestFlushDuringASearch(t *testing.T) {
	for _, more := range []bool{false, true} {
		t.Run(fmt.Sprint(more), func(t *testing.T) {
			root, cfg, searching, release := slowTree(t)
			s := start(t, cfg)
			s.in <- entriesOf(hide(t, root, "a", grow))
			s.next()
			<-searching
			ch := coalesce.Change{Barriers: []uint64{3}}
			if more {
				ch.Entries = append(ch.Entries, hide(t, root, "slow/b", grow))
			}
			s.in <- ch
			if more {
				if got := s.next(); len(got.Entries) != 1 || len(got.Barriers) > 0 {
					t.Errorf("%+v", got)
				}
			}
			release()
			var told []string
			for {
				got := s.next()
				told = append(told, lines(got.Entries)...)
				if len(got.Barriers) > 0 {
					break
				}
			}
			holds(t, told, "a content|attr|racy|wrote")
			if more {
				holds(t, told, "slow/b content|attr|racy|wrote")
				if st := s.x.Stats(); st.Searches != 2 {
					t.Errorf("%+v", st)
				}
			}
			s.end()
		})
	}
}

// TestFlushesUnderSuspicion: one barrier's search does not wait for what comes
// after it.
func TestFlushesUnderSuspicion(t *testing.T) {
	root, cfg, searching, release := slowTree(t)
	s := start(t, cfg)
	for i := range uint64(3) {
		ch := entriesOf(hide(t, root, "a", grow))
		ch.Barriers = []uint64{i + 1}
		s.in <- ch
		s.next()
	}
	<-searching
	release()
	var order []uint64
	for len(order) < 3 {
		order = append(order, s.next().Barriers...)
	}
	if !slices.Equal(order, []uint64{1, 2, 3}) || s.x.Stats().Searches != 2 {
		t.Errorf("barriers %v, %+v", order, s.x.Stats())
	}
	s.end()
}

// TestEndDuringASearch: the stage ends, and its search with it.
func TestEndDuringASearch(t *testing.T) {
	root, cfg, searching, release := slowTree(t)
	s := start(t, cfg)
	s.in <- entriesOf(hide(t, root, "a", grow))
	s.next()
	<-searching
	close(s.in)
	release()
	for ch := range s.out {
		t.Errorf("at the end came %+v", ch)
	}
}

// TestBarrierOfASearchThatIsStopped: it is not claimed to hold.
func TestBarrierOfASearchThatIsStopped(t *testing.T) {
	root, cfg, searching, release := slowTree(t)
	s := start(t, cfg)
	s.in <- coalesce.Change{Entries: []coalesce.Entry{hide(t, root, "a", grow)}, Barriers: []uint64{3}}
	if got := s.next(); len(got.Entries) != 1 || len(got.Barriers) != 0 {
		t.Errorf("%+v", got)
	}
	<-searching
	s.cancel()
	release()
	s.end()
}

// TestRootGoneMeanwhile: Changes pass although nothing can be looked at.
func TestRootGoneMeanwhile(t *testing.T) {
	root := t.TempDir() + "/root"
	plant(t, root, "a")
	s := start(t, Config{Root: root, Blind: true})
	must(t, os.RemoveAll(root))
	s.in <- coalesce.Change{Entries: []coalesce.Entry{changed("a", content)}, Barriers: []uint64{1}}
	if got := s.next(); len(got.Barriers) != 1 {
		t.Errorf("%+v", got)
	}
	s.end()
}
