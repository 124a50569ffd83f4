package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/coalesce"
)

func TestRemotesDoNotWaitForEachOther(t *testing.T) {
	inBubble(t, 2, nil, func(b *bench) {
		stuck := b.expect(0, "full [] max 0")
		b.expect(1, "full [] max 0").ok()
		for i := range 20 {
			p := fmt.Sprint("f", i)
			b.write(p)
			b.send(changed(p))
			b.next(1).ok()
		}
		if st := b.status(1); st.State != Live || st.Lag != 0 {
			t.Errorf("status: %+v", st)
		}
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		defer cancel()
		err := b.s.Wait(ctx, 1)
		if err == nil || !strings.HasPrefix(err.Error(), `remote "r0" is starting`) {
			t.Errorf("Wait: %v", err)
		}
		stuck.ok()
		for b.status(0).Lag > 0 {
			b.next(0).ok()
		}
	})
}

func TestBlockedRemotesDoNotStarveAHealthyOne(t *testing.T) {
	inBubble(t, 21, nil, func(b *bench) {
		// The pool is full of blocked sends; the healthy remote waits for them
		// to be parked, no longer.
		begin := time.Now()
		healthy := b.next(20)
		if wait := time.Since(begin); wait > 21*parkAfter {
			t.Errorf("the first run began after %v", wait)
		}
		healthy.ok()
		time.Sleep(10 * parkAfter)
		for i := range 10 {
			p := fmt.Sprint("f", i)
			b.write(p)
			begin := time.Now()
			b.send(changed(p))
			b.next(20).ok()
			if wait := time.Since(begin); wait > 0 {
				t.Errorf("run %d began after %v", i, wait)
			}
		}
	})
}

func TestStopLetsFlightsEnd(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f", "g")
		b.send(changed("f"))
		c := b.expect(0, "flat [f]")
		b.in <- coalesce.Change{Entries: []coalesce.Entry{changed("g")}, Barriers: []uint64{1}}
		close(b.in)
		b.in = nil
		synctest.Wait()
		if st := b.status(0); st.InFlight != 1 {
			t.Errorf("status while stopping: %+v", st)
		}
		waited := make(chan error)
		go func() { waited <- b.s.Wait(context.Background(), 1) }()
		time.Sleep(5 * time.Second)
		c.ok()
		<-b.ended
		if err := <-waited; err == nil || err.Error() != `remote "r0" has stopped` {
			t.Errorf("Wait: %v", err)
		}
		if st := b.s.Status(); len(st) != 0 {
			t.Errorf("status after the end: %v", st)
		}
		b.s.Suspend("late")
		b.s.Resume(true, "late")
		if err := b.s.ConfirmDeletes(""); err != nil {
			t.Error(err)
		}
	})
}

func TestStopEndsFlightsAfterGrace(t *testing.T) {
	for _, x := range []struct{ grace, want time.Duration }{{0, 10 * time.Second}, {3 * time.Second, 3 * time.Second}, {-1, 0}} {
		inBubble(t, 2, func(c *Config) { c.Grace = x.grace }, func(b *bench) {
			b.next(0)
			b.next(1)
			begin := time.Now()
			close(b.in)
			b.in = nil
			<-b.ended
			if took := time.Since(begin); took != x.want {
				t.Errorf("grace %v: took %v", x.grace, took)
			}
		})
	}
}

func TestCancelWaitsForSenders(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Remotes[0].Sender.(*manual).deaf = true }, func(b *bench) {
		c := b.next(0)
		b.cancel()
		synctest.Wait()
		if c.ctx.Err() == nil {
			t.Error("the sender was not told")
		}
		if st := b.s.Status(); len(st) != 1 { // answers while the sender lingers
			t.Errorf("status: %v", st)
		}
		close(b.in)
		b.in = nil
		time.Sleep(time.Minute)
		select {
		case <-b.ended:
			t.Error("Run returned before the sender did")
		default:
		}
		c.result <- Result{Class: Canceled}
		<-b.ended
	})
}

func TestBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := testPool(t)
		defer pool.Close()
		s, err := New(Config{Source: dirSource(t.TempDir()), Pool: pool, Now: clock, Remotes: []RemoteConfig{{Name: "r", Sender: newManual()}}})
		if err != nil {
			t.Fatal(err)
		}
		if st := s.Status(); len(st) != 0 {
			t.Errorf("status: %v", st)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx, 1); err == nil {
			t.Error("Wait is content")
		}
	})
}

func TestPause(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.s.Pause("indexing")
		b.write("f")
		b.send(changed("f"))
		b.quiet(0, time.Hour)
		b.s.Resume(false, "")
		b.expect(0, "flat [f]").ok()
	})
}

// panicking is a Sender with a bug.
type panicking struct{ *manual }

func (p panicking) Send(ctx context.Context, b Batch, f func(Progress)) Result {
	if p.manual.Send(ctx, b, f).Class == Permanent {
		panic("bug")
	}
	return Result{Class: Canceled} // without being asked to
}

func TestSenderThatMisbehavesBacksOff(t *testing.T) {
	misbehave := func(c *Config) { c.Remotes[0].Sender = panicking{c.Remotes[0].Sender.(*manual)} }
	inBubble(t, 1, misbehave, func(b *bench) {
		for _, class := range []Class{Permanent, OK} {
			b.next(0).end(Result{Class: class})
			if st := b.status(0); st.State != Retrying || st.NextTry.IsZero() {
				t.Errorf("status: %+v", st)
			}
		}
	})
}

func TestInboxIsBounded(t *testing.T) {
	b := newInbox(100)
	entries := make([]coalesce.Entry, 7)
	for seq := uint64(1); seq <= 10_000; seq++ {
		c := coalesce.Change{Entries: entries, Rescans: []coalesce.Rescan{{Path: "d"}}}
		if seq == 500 {
			c.Barriers = []uint64{9}
		}
		b.put(numbered{seq, c})
		n := 0
		for _, c := range b.changes {
			n += len(c.change.Entries)
		}
		if n > 100 || len(b.changes) > 101 {
			t.Fatalf("holds %d paths in %d changes", n, len(b.changes))
		}
	}
	changes, dropped, _, _ := b.take()
	if dropped != 1 || changes[0].seq != 500 || len(changes[0].change.Barriers) != 1 || len(changes[0].change.Entries) > 0 {
		t.Errorf("dropped from %d on, kept %v", dropped, changes[0])
	}
	for range 1000 {
		b.put(numbered{1, coalesce.Change{}})
	}
	if len(b.changes) > 100 {
		t.Errorf("%d empty changes", len(b.changes))
	}
	b.finish()
	b.put(numbered{2, coalesce.Change{Entries: entries}})
	if changes, _, _, _ := b.take(); len(changes) > 0 {
		t.Error("took a change after the end")
	}
	if b.do(func() {}) {
		t.Error("took a command after the end")
	}
}

func TestConfigIsChecked(t *testing.T) {
	pool := &Pool{}
	for _, c := range []Config{
		{},
		{Source: dirSource(""), Pool: pool, Now: clock, Remotes: []RemoteConfig{{Name: "a"}}},
		{Source: dirSource(""), Pool: pool, Now: clock, Remotes: []RemoteConfig{{Name: "a", Sender: newManual()}, {Name: "a", Sender: newManual()}}},
	} {
		if s, err := New(c); err == nil {
			t.Errorf("made %v", s)
		}
	}
	if _, err := dirSource("/nowhere").OpenDir(true); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
