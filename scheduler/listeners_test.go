package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// Synced tells what has arrived, when it has, and a full run as the root.
func TestSyncedTellsWhatHasArrived(t *testing.T) {
	var told []string
	listen := func(c *Config) {
		c.Events.Synced = func(remote string, entries []coalesce.Entry) {
			for _, e := range entries {
				told = append(told, fmt.Sprintf("%s %q %v", remote, e.Path, e.Has(coalesce.Subtree)))
			}
		}
	}
	inBubble(t, 1, listen, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("f", "g")
		b.send(changed("f"), changed("g"))
		c := b.expect(0, "flat [f g]")
		if len(told) != 1 || told[0] != `r0 "" true` {
			t.Errorf("before it has arrived: %q", told)
		}
		c.end(Result{Class: Partial, Failed: []PathError{{Path: "g", Message: "no"}}})
		b.expect(0, "flat [g]").end(Result{Class: Transient})
		b.expect(0, "flat [g]").ok()
		if want := []string{`r0 "" true`, `r0 "f" false`, `r0 "g" false`}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// Full is no doubt: a barrier does not wait for it.
func TestFullKeepsNoBarrier(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.s.Full("it is time")
		c := b.expect(0, "full [] max 0")
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
		c.ok()
		b.quiet(0, time.Hour)
	})
}

// Hurry tries at once what rests after a failure: the remote, and a path.
func TestHurry(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.BackoffMin, c.BackoffMax = time.Hour, time.Hour }, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("f")
		b.send(changed("f"))
		b.expect(0, "flat [f]").end(Result{Class: Transient, Message: "away"})
		if st := b.status(0); st.Attempts != 1 {
			t.Errorf("status: %+v", st)
		}
		b.quiet(0, time.Minute)
		b.s.Hurry()
		c := b.next(0)
		for range 9 {
			c.end(Result{Class: Partial, Failed: []PathError{{Path: "f", Message: "no"}}})
			c = b.next(0)
		}
		c.end(Result{Class: Partial, Failed: []PathError{{Path: "f", Message: "no"}}})
		b.quiet(0, time.Minute)
		b.s.Hurry()
		began := time.Now()
		b.next(0).ok()
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("it waited %v", waited)
		}
		if st := b.status(0); st.Attempts != 0 || st.Failing != 0 {
			t.Errorf("status: %+v", st)
		}
	})
}

// With Listed no list is shortened to directories, which would delete by form.
func TestListedKeepsNames(t *testing.T) {
	for _, listed := range []bool{false, true} {
		inBubble(t, 1, func(c *Config) { c.Listed = listed }, func(b *bench) {
			b.live()
			pass(time.Minute)
			var entries []coalesce.Entry
			for i := range 100 {
				name := fmt.Sprintf("d/%03d", i)
				if i%2 == 0 {
					b.write(name)
					entries = append(entries, changed(name))
				} else {
					entries = append(entries, gone(name))
				}
			}
			b.send(entries...)
			var names []string
			for n := 0; n < 100; {
				c := b.next(0)
				names = append(names, c.String())
				n += len(c.batch.Items)
				if slices.ContainsFunc(c.batch.Items, func(it Item) bool { return it.Children }) {
					n = 100
				}
				c.ok()
			}
			if wide := strings.Contains(strings.Join(names, " "), "[d/]"); wide == listed {
				t.Errorf("listed %v: %.200q", listed, names)
			}
		})
	}
}
