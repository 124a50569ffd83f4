package scheduler

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// A lone change goes at once, and so does the next one.
func TestPaceAtRest(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		for _, name := range []string{"a", "b", "c", "d"} {
			b.write(name)
			begin := time.Now()
			b.send(changed(name))
			b.expect(0, "flat ["+name+"]").ok()
			if took := time.Since(begin); took != 0 {
				t.Errorf("%s was sent after %v", name, took)
			}
			pass(10 * time.Millisecond)
		}
	})
}

// In a burst batches grow, for longer and longer, but not without bound; and
// its end is noticed.
func TestPaceInABurst(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		var paths []string
		for i := range 50 {
			paths = append(paths, string(rune('A'+i)))
		}
		b.write(paths...)
		entries := func() (all []coalesce.Entry) {
			for _, p := range paths {
				all = append(all, changed(p))
			}
			return all
		}
		begin := time.Now()
		var at []time.Duration
		for time.Since(begin) < 2*time.Second {
			b.send(entries()...)
			select {
			case c := <-b.senders[0].calls:
				at = append(at, time.Since(begin))
				c.ok()
			default:
			}
			pass(2 * time.Millisecond)
		}
		for i := range at {
			if i > 0 && at[i]-at[i-1] > time.Duration(gapMax)+10*time.Millisecond {
				t.Errorf("flights at %v", at)
			}
		}
		if len(at) < 5 || len(at) > 9 {
			t.Errorf("%d flights in two seconds of news: at %v", len(at), at)
		}
		begin = time.Now()
		b.next(0).ok()
		if took := time.Since(begin); took > time.Duration(pauseMax) {
			t.Errorf("the last was sent %v after the end", took)
		}
	})
}

// A second flight joins a young one only if the Sender is ready for it.
func TestPaceOfPairs(t *testing.T) {
	for _, ready := range []int{0, 1} {
		inBubble(t, 1, func(c *Config) { c.Remotes[0].Ready = func() (int, bool) { return ready, false } }, func(b *bench) {
			b.live()
			pass(time.Minute)
			b.write("a", "b")
			b.send(changed("a"))
			first := b.expect(0, "flat [a]")
			begin := time.Now()
			b.send(changed("b"))
			b.expect(0, "flat [b]").ok()
			want := time.Duration(pairAfter)
			if ready > 0 {
				want = 0
			}
			if took := time.Since(begin); took != want {
				t.Errorf("with %d ready the second was sent after %v", ready, took)
			}
			first.ok()
		})
	}
}

// A Sender that is about to be ready is waited for, but not by a barrier.
func TestPaceOfASenderSoonReady(t *testing.T) {
	var ready atomic.Int64
	tune := func(c *Config) {
		c.Remotes[0].Ready = func() (int, bool) {
			n := int(ready.Load())
			return n, n == 0
		}
	}
	inBubble(t, 1, tune, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("a", "b", "c")
		b.send(changed("a"))
		b.quiet(0, 30*time.Millisecond)
		b.send(changed("b"))
		b.quiet(0, 30*time.Millisecond)
		ready.Store(1)
		begin := time.Now()
		b.expect(0, "flat [a b]").ok()
		if took := time.Since(begin); took > time.Duration(readyLook) {
			t.Errorf("sent %v after the Sender was ready", took)
		}
		ready.Store(0)
		b.send(changed("c"))
		b.quiet(0, 30*time.Millisecond)
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		b.expect(0, "flat [c]").ok()
	})
}

// A trickle that does not end does not take a run for each change.
func TestPaceOfATrickle(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("a")
		flights := func(d time.Duration) (n int) {
			for begin := time.Now(); time.Since(begin) < d; pass(5 * time.Millisecond) {
				b.send(changed("a"))
				select {
				case c := <-b.senders[0].calls:
					n++
					c.ok()
				default:
				}
			}
			return n
		}
		if n := flights(400 * time.Millisecond); n < 75 {
			t.Errorf("%d flights for the first 80 changes", n)
		}
		pass(10 * time.Second)
		flights(2 * time.Second)
		if n := flights(2 * time.Second); n < 90 || n > 110 {
			t.Errorf("%d flights in two seconds of a long trickle", n)
		}
	})
}
