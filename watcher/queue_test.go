package watcher

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gate keeps a reader from draining while it is shut, so that everything
// stays in the kernel's queue and is merged there.
type gate struct{ mu sync.Mutex }

func (g *gate) hold()           { g.mu.Lock(); defer g.mu.Unlock() }
func (g *gate) during(f func()) { g.mu.Lock(); defer g.mu.Unlock(); f() }

func TestBitsOfOneRecordHaveNoOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		var g gate
		p := watch(t, Config{Root: root, Backend: b, hold: g.hold})
		g.during(func() {
			write(t, p.path("r"), "1")
			rename(t, p.path("r"), p.path("s"))
			write(t, p.path("r"), "2")
		})
		ev := p.sync()
		want(t, ev, "r", Created|Removed|Moved|Modified|Closed)
		want(t, ev, "s", Created|Moved)
	})
}

func TestCreatedAndRemovedBothEndingsAreTold(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		write(t, root+"/back", "1")
		var g gate
		p := watch(t, Config{Root: root, Backend: b, hold: g.hold})
		g.during(func() {
			write(t, p.path("gone"), "1")
			remove(t, p.path("gone"))
			remove(t, p.path("back"))
			write(t, p.path("back"), "2")
		})
		ev := p.sync()
		want(t, ev, "gone", Created|Removed)
		want(t, ev, "back", Created|Removed)
	})
}

// The kernel folds the third rename into the first record, so that the last
// one read names a place that is left again.
func TestMergedDirectoryRenamesEndWhereTheDirectoryIs(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/a/sub")
		var g gate
		p := watch(t, Config{Root: root, Backend: b, hold: g.hold})
		write(t, p.path("a/sub/known"), "1")
		p.sync()
		g.during(func() {
			rename(t, p.path("a"), p.path("b"))
			rename(t, p.path("b"), p.path("a"))
			rename(t, p.path("a"), p.path("b"))
		})
		want(t, p.sync(), "b", Created|Moved|Dir|Subtree)
		write(t, p.path("b/sub/f"), "2")
		want(t, p.sync(), "b/sub/f", Created|Modified|Closed)
	})
}

func TestDirectoryRenamedWhileEventsWait(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/a/sub")
		var g gate
		p := watch(t, Config{Root: root, Backend: b, hold: g.hold})
		g.during(func() {
			write(t, p.path("a/sub/f"), "1")
			rename(t, p.path("a"), p.path("b"))
			write(t, p.path("b/sub/g"), "1")
		})
		ev := p.sync()
		// f may be told of under the old or the new name; b covers both.
		want(t, ev, "b", Created|Moved|Dir|Subtree)
		want(t, ev, "b/sub/g", Created)
	})
}

// Each unlink and each link also makes a record without any name.
func TestNamelessRecordsAreSkipped(t *testing.T) {
	root := tempRoot(t, "disk")
	need(t, BackendFanotify, root)
	write(t, root+"/f", "1")
	p := watch(t, Config{Root: root, Backend: BackendFanotify})
	ok(t, os.Link(p.path("f"), p.path("g")))
	remove(t, p.path("f"))
	ev := p.sync()
	want(t, ev, "f", Removed)
	want(t, ev, "g", Created)
	if p.w.Stats().Nameless == 0 {
		t.Error("no nameless records; the test shows nothing")
	}
}

// queueLimit is the system's limit for the backend.
func queueLimit(t *testing.T, b Backend) int {
	path := "/proc/sys/fs/fanotify/max_queued_events"
	if b == BackendInotify {
		path = "/proc/sys/fs/inotify/max_queued_events"
	}
	raw, err := os.ReadFile(path)
	ok(t, err)
	var n int
	_, err = fmt.Sscan(string(raw), &n)
	ok(t, err)
	if n > 100_000 {
		t.Skip("the system's queue is too long to fill:", n)
	}
	return n
}

func TestQueueOverflowEndsInRescan(t *testing.T) {
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			root := tempRoot(t, "shm")
			need(t, b, root)
			limit := queueLimit(t, b)
			var g gate
			p := watch(t, Config{Root: root, Backend: b, hold: g.hold, boundedQueue: true})
			g.during(func() {
				for i := range limit + 100 {
					ok(t, unix.Mknod(p.path(fmt.Sprint(i)), unix.S_IFREG|0o600, 0))
				}
				mkdir(t, p.path("late/deep"))
			})
			var rescan bool
			for _, e := range p.sync() {
				rescan = rescan || e.Has(Rescan) && e.Path == "" && e.Reason == QueueOverflow
			}
			if !rescan || p.w.Stats().Rescans[QueueOverflow] == 0 {
				t.Fatal("no rescan; stats:", p.w.Stats())
			}
			// What was made while records were lost is watched all the same.
			write(t, p.path("late/deep/f"), "1")
			want(t, p.sync(), "late/deep/f", Created|Closed)
		})
	}
}

// After the overflow record others follow; they count.
func TestRecordsBehindAnOverflowCount(t *testing.T) {
	w := testWatcher(t, BackendFanotify)
	d := fanDecoder{ring: w.ring, count: &w.count}
	d.decode(unhex(t, fanGolden["overflow"].in+fanGolden["create"].in), 1)
	if got := drainText(w.ring); len(got) != 2 || got[1] != fanGolden["create"].out {
		t.Fatal(got)
	}
}

// testWatcher is a Watcher that is not run.
func testWatcher(t *testing.T, b Backend) *Watcher {
	root := tempRoot(t, "disk")
	need(t, b, root)
	w, err := New(Config{Root: root, Backend: b})
	ok(t, err)
	t.Cleanup(w.Close)
	return w
}

func TestStalledReceiverFillsTheRingNotTheKernelQueue(t *testing.T) {
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			root := tempRoot(t, "shm")
			need(t, b, root)
			p := watch(t, Config{Root: root, Backend: b, RingSlots: 64, MaxBacklog: maxBatch})
			const n = 3 * batches * maxBatch
			// Nobody receives, yet all records are read. A busy machine may not
			// let the reader run for long, so the writer stays within the
			// kernel's queue.
			for i := range uint64(n) {
				ok(t, unix.Mknod(p.path(fmt.Sprint(i)), unix.S_IFREG|0o600, 0))
				if i%4096 == 0 {
					eventually(t, func() bool { return p.w.Stats().Read > i })
				}
			}
			mkdir(t, p.path("late/deep"))
			eventually(t, func() bool { return p.w.Stats().Read > n })
			if p.w.Stats().RingDropped == 0 {
				t.Fatal("nothing dropped; the test shows nothing")
			}
			id := p.w.Barrier()
			var lastRescan, barrier int
			events := p.until(func(e Event) bool { return e.Barrier == id })
			for i, e := range events {
				if e.Has(Rescan) && e.Reason == RingFull {
					lastRescan = i + 1
				}
			}
			barrier = len(events)
			if lastRescan == 0 || lastRescan > barrier {
				t.Fatal("no rescan before the barrier; stats:", p.w.Stats())
			}
			// What others write on this filesystem may fill so small a ring
			// again, so it is tried until nothing was lost.
			for try := 0; ; try++ {
				name := fmt.Sprint("late/deep/f", try)
				write(t, p.path(name), "1")
				events := p.sync()
				lost := slices.ContainsFunc(events, func(e Event) bool { return e.Has(Rescan) })
				if !lost || try == 1000 {
					want(t, events, name, Created|Closed)
					break
				}
			}
		})
	}
}

// eventually waits for a condition with a deadline.
func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("condition never came true\n", stacks())
		}
	}
}

func TestRenameHalvesInDifferentReads(t *testing.T) {
	root := tempRoot(t, "disk")
	for i := range 200 {
		mkdir(t, fmt.Sprintf("%s/a%d/sub", root, i))
	}
	var g gate
	w, err := New(Config{Root: root, Backend: BackendInotify, hold: g.hold})
	ok(t, err)
	// Holds one to three records, so pairs are torn.
	w.reader.buf = w.reader.buf[:maxRecord+72]
	p := run(t, w)
	p.awaitReady()
	g.during(func() {
		for i := range 200 {
			rename(t, p.path(fmt.Sprint("a", i)), p.path(fmt.Sprint("b", i)))
		}
	})
	from := map[string]string{}
	for _, e := range p.sync() {
		if e.From != "" {
			from[e.Path] = e.From
		}
	}
	for i := range 200 {
		if got := from[fmt.Sprint("b", i)]; got != fmt.Sprint("a", i) {
			t.Fatalf("b%d from %q", i, got)
		}
		write(t, p.path(fmt.Sprintf("b%d/sub/f", i)), "1")
	}
	ev := p.sync()
	for i := range 200 {
		want(t, ev, fmt.Sprintf("b%d/sub/f", i), Created)
	}
}
