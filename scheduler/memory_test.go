package scheduler

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/fansync/fansync/coalesce"
)

// liveHeap is what the heap holds after a collection, bytes.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// longPath is the i-th of many paths of 120 bytes, 50 to a directory.
func longPath(i int) string {
	d := i / 50
	return fmt.Sprintf("data/customers/customer-%06d/projects/project-%06d/%040d/report-of-the-month-%013d.json", d/400, d%400/10, d, i)
}

// TestMemoryBesideADeadRemote lets a million paths become dirty while a remote
// does not answer, or never ends what it began. It holds at most its cap of
// them: 150 MB with the default of 500,000, and in proportion with less.
func TestMemoryBesideADeadRemote(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a million paths")
	}
	const perPath = 150_000_000 / 500_000
	million, defaultCap := 1_000_000, 0
	if raceDetector {
		million, defaultCap = 100_000, 50_000
	}
	for _, x := range []struct {
		name            string
		paths, maxDirty int // 0: the default
		answers         bool
		state           State
	}{
		{"does not answer", million, defaultCap, true, Stale},
		{"does not end", 100_000, 50_000, false, CatchingUp},
		{"small", 100_000, 10_000, true, Stale},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 1, func(c *Config) {
				c.Remotes[0].MaxDirty = x.maxDirty
				c.BackoffMin, c.BackoffMax = 1<<60, 1<<60
			}, func(b *bench) {
				maxDirty := b.s.remotes[0].conf.MaxDirty
				b.live()
				b.write("f")
				b.send(changed("f"))
				c := b.next(0)
				if x.answers {
					c.end(Result{Class: Transient, Message: "no route to host"})
				}
				base, most, drops, last := liveHeap(), int64(0), 0, 0
				const chunk = 1000
				for i := 0; i < x.paths; i += chunk {
					es := make([]coalesce.Entry, chunk)
					for j := range es {
						es[j] = changed(longPath(i + j))
					}
					b.send(es...)
					n := b.s.remotes[0].dirty.Len()
					if n > maxDirty {
						t.Fatalf("%d paths are dirty, at most %d may be", n, maxDirty)
					}
					if n < last {
						drops++
					}
					last = n
					// A collection takes long: look when there is most, and at the end.
					if n+chunk > maxDirty || i+chunk >= x.paths {
						most = max(most, liveHeap()-base)
					}
				}
				st := b.status(0)
				t.Logf("%s: %d of %d paths kept, dropped %d times, %.1f MB at most, %.0f bytes a path of the cap",
					st.State, st.Backlog, x.paths, drops, float64(most)/1e6, float64(most)/float64(maxDirty))
				if most > perPath*int64(maxDirty) {
					t.Errorf("%d bytes for %d paths, at most %d may be", most, maxDirty, perPath*maxDirty)
				}
				if st.State != x.state || drops == 0 {
					t.Errorf("not dropped: %+v", st)
				}
			})
		})
	}
}
