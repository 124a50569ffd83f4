package watcher

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBarrierFollowsWhatWasDoneBefore(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		for i := range 300 {
			dir := fmt.Sprint("d", i)
			mkdir(t, p.path(dir))
			write(t, p.path(dir+"/f"), "1")
			want(t, p.sync(), dir+"/f", Created)
		}
	})
}

func TestBarriersFromManyGoroutinesAreAllAnswered(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		var g sync.WaitGroup
		const n, each = 8, 200
		for range n {
			g.Go(func() {
				for range each {
					p.w.Barrier()
				}
			})
		}
		seen := map[uint64]bool{}
		p.until(func(e Event) bool {
			if e.Has(Barrier) && e.Barrier <= n*each {
				seen[e.Barrier] = true
			}
			return len(seen) == n*each
		})
		g.Wait()
	})
}

func TestBarrierAskedBeforeRunIsAnswered(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		w := newWatcher(t, Config{Root: root, Backend: b})
		id := w.Barrier()
		p := run(t, w)
		p.until(func(e Event) bool { return e.Barrier == id })
		p.close()
		w.Barrier() // after the end: no answer, no harm
		w.Close()
	})
}

func TestFreshTreeOfManyFilesIsReportedAsOne(t *testing.T) {
	root := tempRoot(t, "shm")
	var g gate
	p := watch(t, Config{Root: root, Backend: BackendInotify, hold: g.hold})
	g.during(func() {
		mkdir(t, p.path("big/sub"))
		for i := range maxFound + 10 {
			ok(t, unix.Mknod(p.path(fmt.Sprint("big/sub/", i)), unix.S_IFREG|0o600, 0))
		}
	})
	ev := p.sync()
	want(t, ev, "big/sub", Created|Dir|Subtree)
	if len(ev) > 100 {
		t.Errorf("%d events", len(ev))
	}
}

// Filesystems that others write to would not be idle.
func TestIdleTakesNoProcessorTime(t *testing.T) {
	eachPlace(t, []string{"ext4", "tmpfs"}, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		p.sync()
		used := func() time.Duration {
			var ru syscall.Rusage
			ok(t, syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
			return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		}
		before := used()
		select {
		case ev := <-p.w.Events():
			t.Skip("not idle:", ev)
		case <-time.After(1500 * time.Millisecond):
		}
		if d := used() - before; d > 150*time.Millisecond {
			t.Errorf("%v in 1.5s", d)
		}
	})
}

// A receiver that waits for Ready before it receives must not wait for ever.
func TestReadyComesThoughNobodyReceives(t *testing.T) {
	root := tempRoot(t, "shm")
	for i := range 200 {
		mkdir(t, fmt.Sprintf("%s/%d/a", root, i))
	}
	p := launch(t, Config{Root: root, Backend: BackendInotify, RingSlots: 64})
	for i := range 2 * batches * maxBatch {
		ok(t, unix.Mknod(p.path(fmt.Sprint("f", i)), unix.S_IFREG|0o600, 0))
	}
	p.awaitReady()
	p.sync()
}
