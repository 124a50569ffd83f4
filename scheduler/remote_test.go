package scheduler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/coalesce"
)

func TestChangeDuringFlightGoesAgainAsRacy(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f", "g")
		b.send(changed("f"))
		first := b.expect(0, "flat [f]")
		b.send(changed("f"))
		first.ok()
		second := b.expect(0, "racy [f]")
		if st := b.status(0); st.InFlight != 1 || st.Lag != 0 && st.Backlog != 0 {
			t.Errorf("status: %+v", st)
		}
		second.ok()
		time.Sleep(racySlack / 2)
		b.send(changed("f"))
		b.expect(0, "racy [f]").ok()
		time.Sleep(racySlack * 2)
		b.send(changed("f"), changed("g"))
		b.expect(0, "flat [f g]").ok()
		b.quiet(0, time.Hour)
	})
}

func TestSecondFlightIsDisjoint(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("d/f", "e/f", "e/g")
		b.send(changed("d/f"))
		first := b.expect(0, "flat [d/f]")
		b.send(coalesce.Entry{Path: "d", Flags: coalesce.Attr | coalesce.Dir}, changed("e/f"))
		second := b.expect(0, "flat [e/f]")
		b.send(changed("e/g"))
		b.quiet(0, time.Minute) // two at most
		second.ok()
		b.expect(0, "flat [e/g]").ok()
		// d has waited long: nothing more goes below it, but all else does.
		b.write("d/g", "z")
		b.send(changed("d/g"), changed("z"))
		b.expect(0, "flat [z]").ok()
		b.quiet(0, time.Minute)
		first.ok()
		b.expect(0, "flat [d d/g]").ok()
	})
}

// A run that began before a name came into a directory ends by setting the
// directory's old time.
func TestDirectoryIsTouchedAgainAfterOverlap(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("d/big", "d/new")
		b.send(changed("d/big"))
		big := b.expect(0, "flat [d/big]")
		e := changed("d/new")
		e.Flags |= coalesce.Name
		b.in <- coalesce.Change{Entries: []coalesce.Entry{e}, Barriers: []uint64{1}}
		b.expect(0, "flat [d/new]").ok()
		big.ok()
		again := b.expect(0, "flat [d]")
		if b.s.holding["r0"] != 0 {
			t.Error("the barrier was answered before the directory was right")
		}
		again.ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestFailingPathIsHeld(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("bad", "good")
		b.send(changed("bad"), changed("good"))
		failed := Result{Class: Partial, Failed: []PathError{{Path: "bad", Message: "denied"}}}
		b.expect(0, "flat [bad good]").end(failed)
		for _, wait := range []time.Duration{1, 2, 4, 8} {
			b.quiet(0, wait*time.Second-1)
			b.expect(0, "flat [bad]").end(failed)
		}
		st := b.status(0)
		if st.Failing != 1 || st.Failures[0].Message != "denied" || st.Failures[0].Attempts != 5 || st.State != Live {
			t.Errorf("status: %+v", st)
		}
		b.in <- coalesce.Change{Barriers: []uint64{1}} // tries at once
		b.expect(0, "flat [bad]").ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
		if st := b.status(0); st.Failing != 0 || st.Lag != 0 {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestUnnamedFailureIsBisected(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		var all []coalesce.Entry
		for i := range 64 {
			p := fmt.Sprintf("d/%02d", i)
			b.write(p)
			all = append(all, changed(p))
		}
		sent := map[string]bool{}
		b.send(all...)
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		runs := 0
		for ; len(sent) < 63 && runs < 100; runs++ {
			c := b.next(0)
			poison := false
			for _, it := range c.batch.Items {
				poison = poison || it.Path == "d/37" || it.Path == "d" && it.Children
			}
			if poison {
				c.end(Result{Class: Partial, Message: "some files could not be transferred"})
				continue
			}
			for _, it := range c.batch.Items {
				sent[it.Path] = true
			}
			c.ok()
		}
		if runs > 20 || sent["d/37"] {
			t.Errorf("%d runs to send %d", runs, len(sent))
		}
		b.expect(0, "flat [d/37]").ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestTransientFailureBacksOff(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f", "g")
		b.send(changed("f"))
		last, longest := time.Now(), time.Duration(0)
		b.next(0).end(Result{Class: Transient, Message: "refused"})
		for range 15 {
			c := b.next(0)
			wait := time.Since(last)
			if wait < 500*time.Millisecond || wait > time.Minute {
				t.Errorf("tried again after %v", wait)
			}
			longest, last = max(longest, wait), time.Now()
			c.end(Result{Class: Transient, Message: "refused"})
			if st := b.status(0); st.State != Retrying || st.Reason != "refused" || st.NextTry.IsZero() {
				t.Errorf("status: %+v", st)
			}
		}
		if longest < 20*time.Second {
			t.Errorf("the longest wait was %v", longest)
		}
		b.send(changed("g"))
		b.expect(0, "flat [f g]").ok()
		if st := b.status(0); st.State != Live || st.Lag != 0 {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestPermanentFailureHaltsAndMends(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.expect(0, "full [] max 0").end(Result{Class: Permanent, Message: "unknown module"})
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		synctest.Wait()
		err := b.s.Wait(b.t.Context(), 1)
		if err == nil || err.Error() != `remote "r0" is halted: unknown module` {
			t.Errorf("Wait: %v", err)
		}
		begin := time.Now()
		c := b.next(0)
		if wait := time.Since(begin); wait < 4*time.Second {
			t.Errorf("tried again after %v", wait)
		}
		c.ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestTooManyDirtyPathsAreForgotten(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Remotes[0].MaxDirty = 10 }, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f")
		b.send(changed("f"))
		b.next(0).end(Result{Class: Transient, Message: "down"})
		for i := range 50 {
			p := fmt.Sprint("p", i)
			b.write(p)
			b.send(changed(p))
		}
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		st := b.status(0)
		if st.State != Stale || st.Backlog > 10 {
			t.Errorf("status: %+v", st)
		}
		b.expect(0, "full [] max 0").ok()
		for b.status(0).Backlog > 0 || b.status(0).InFlight > 0 {
			b.next(0).ok()
		}
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

func TestSuspendAndResume(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f")
		b.send(changed("f"))
		c := b.expect(0, "flat [f]")
		b.s.Suspend("unmounted")
		synctest.Wait()
		if c.ctx.Err() == nil {
			t.Error("the flight goes on")
		}
		b.quiet(0, time.Hour)
		if st := b.status(0); st.State != Halted || st.Reason != "unmounted" || st.Backlog != 1 {
			t.Errorf("status: %+v", st)
		}
		b.s.Resume(false, "")
		b.expect(0, "flat [f]").ok()
		b.s.Suspend("again")
		b.s.Resume(true, "mounted again")
		b.expect(0, "full [] max 0").ok()
		b.quiet(0, time.Hour)
	})
}

func TestCollapse(t *testing.T) {
	entries := func(b *bench, dir string, n int) []coalesce.Entry {
		var es []coalesce.Entry
		for i := range n {
			p := fmt.Sprintf("%s/%03d", dir, i)
			b.write(p)
			es = append(es, changed(p))
		}
		return es
	}
	for _, x := range []struct {
		name            string
		changed, others int
		flag            coalesce.Flags
		want            bool
	}{
		{"crowd", crowdMin, crowdMin * (crowdShare - 1), 0, true},
		{"too few", crowdMin - 1, 0, 0, false},
		{"too thin", crowdMin, crowdMin*(crowdShare-1) + 1, 0, false},
		{"one failed before", crowdMin, 0, coalesce.Exact, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 1, nil, func(b *bench) {
				b.live()
				time.Sleep(time.Minute)
				es := entries(b, "d", x.changed)
				es[3].Flags |= x.flag
				for i := range x.others {
					b.write(fmt.Sprint("d/other", i))
				}
				b.send(es...)
				c := b.next(0)
				if got := c.String() == "flat [d/]"; got != x.want {
					t.Errorf("sent %.80s", c)
				}
				c.ok()
				b.quiet(0, time.Hour)
			})
		})
	}
	t.Run("one in another", func(t *testing.T) {
		for range 10 { // the order of directories is a map's
			inBubble(t, 1, nil, func(b *bench) {
				b.live()
				time.Sleep(time.Minute)
				es := append(entries(b, "d", crowdMin), entries(b, "d/sub", crowdMin)...)
				b.send(append(es, changed("d/sub"))...)
				b.expect(0, "flat [d/ d/sub/]").ok()
			})
		}
	})
	t.Run("waiting removal", func(t *testing.T) {
		inBubble(t, 1, nil, func(b *bench) {
			b.live()
			time.Sleep(time.Minute)
			es := append(entries(b, "d", crowdMin), gone("d/x"))
			b.send(es...)
			if c := b.next(0); strings.Contains(c.String(), "d/]") {
				t.Errorf("sent %v before the removal settled", c)
			} else {
				c.ok()
			}
			b.expect(0, "flat [-d/x]").ok()
		})
	})
}

func TestPickGoesRound(t *testing.T) {
	r := newRemote(Config{Now: clock}.withDefaults(), RemoteConfig{MaxDirty: 1 << 20, Parallel: 1}, nil)
	for i := range 50_000 {
		r.dirty.Add(coalesce.Entry{Path: fmt.Sprintf("p%06d", i), Flags: coalesce.Content, Since: 1, Seq: 1})
	}
	first := r.pick(10)
	if len(first) != maxPick || first[0].Path != "p000000" {
		t.Fatalf("picked %d from %q", len(first), first[0].Path)
	}
	for _, e := range first {
		r.dirty.Add(e) // the busy part is dirty again
	}
	seen := map[string]bool{}
	for range 3 {
		for _, e := range r.pick(10) {
			seen[e.Path] = true
		}
	}
	if len(seen) != 50_000 {
		t.Errorf("three picks saw %d paths", len(seen))
	}
	long := strings.Repeat("x", 4000)
	for i := range 1000 {
		r.dirty.Add(coalesce.Entry{Path: fmt.Sprint(long, i), Seq: 1})
	}
	if n := len(r.pick(10)); n < 200 || n > 300 {
		t.Errorf("a list of %d paths of 4,000 bytes", n)
	}
}

func TestUntrustedRootRests(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.source.set(errors.New("another directory"))
		b.send(changed("f"))
		b.quiet(0, time.Hour)
		if st := b.status(0); st.State != Halted || st.Reason != "another directory" {
			t.Errorf("status: %+v", st)
		}
		b.source.set(nil)
		b.write("f")
		b.expect(0, "flat [f]").ok()
		// An emptied root deletes nothing.
		for _, n := range []string{"f", "keep"} {
			if err := os.Remove(filepath.Join(b.root, n)); err != nil {
				t.Fatal(err)
			}
		}
		b.send(gone("f"), gone("keep"))
		b.quiet(0, time.Hour)
		if err := b.s.ConfirmDeletes("r0"); err != nil {
			t.Error(err)
		}
		b.expect(0, "flat [-f -keep]").ok()
	})
}
