package watcher

import (
	"fmt"
	"os"
	"strings"
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
		w, err := New(Config{Root: root, Backend: b})
		ok(t, err)
		id := w.Barrier()
		p := run(t, w)
		p.until(func(e Event) bool { return e.Barrier == id })
		p.close()
		w.Barrier() // after the end: no answer, no harm
		w.Close()
	})
}

// Each new directory is filled at once; nothing may be lost.
func TestNestedDirectoriesFilledAtOnce(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		const n = 1500
		go func() { // two writers
			for i := range n {
				mkdir(t, p.path(fmt.Sprintf("x%d/b/c", i)))
				write(t, p.path(fmt.Sprintf("x%d/b/c/f", i)), "1")
			}
			write(t, p.path("done"), "1")
		}()
		for i := range n {
			mkdir(t, p.path(fmt.Sprintf("y%d/b/c", i)))
			write(t, p.path(fmt.Sprintf("y%d/b/c/f", i)), "1")
		}
		ev := p.until(func(e Event) bool { return e.Path == "done" })
		all := kinds(append(ev, p.sync()...))
		missing := 0
		for i := range n {
			for _, path := range []string{fmt.Sprintf("x%d/b/c/f", i), fmt.Sprintf("y%d/b/c/f", i)} {
				if all[path] == 0 {
					missing++
				}
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d files lost", missing, 2*n)
		}
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

func TestMovedOutDirectoryGivesItsWatchesBack(t *testing.T) {
	root := tempRoot(t, "disk")
	mkdir(t, root+"/d/a/b")
	p := watch(t, Config{Root: root, Backend: BackendInotify})
	p.sync()
	if n := p.w.Stats().Watches; n != 4 {
		t.Fatal("watches at first:", n)
	}
	rename(t, p.path("d"), p.path("../d"))
	want(t, p.sync(), "d", Removed|Moved|Dir)
	eventually(t, func() bool { return p.w.Stats().Watches == 1 })
	write(t, p.path("../d/a/f"), "1")
	if ev := p.sync(); len(ev) > 0 {
		t.Error("told of what is outside:", ev)
	}
}

// The kernel tells that a directory was deleted when its last user lets go:
// its name may be another's by then.
func TestSelfDeleteComesLate(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		p := watch(t, Config{Root: root, Backend: b})
		held, err := os.Open(p.path("d"))
		ok(t, err)
		remove(t, p.path("d"))
		mkdir(t, p.path("d"))
		write(t, p.path("d/f"), "1")
		want(t, p.sync(), "d/f", Created)
		ok(t, held.Close())
		p.sync()
		write(t, p.path("d/g"), "1")
		want(t, p.sync(), "d/g", Created|Closed)
	})
}

// ext4 gives the number of a deleted inode to the next one made.
func TestInodeNumberGivenAgain(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		reused := 0
		var last uint64
		for i := range 50 {
			in, out := p.path(fmt.Sprint("in", i)), p.path(fmt.Sprint("../out", i))
			mkdir(t, in)
			write(t, in+"/f", "1")
			want(t, p.sync(), fmt.Sprint("in", i, "/f"), Created)
			var st unix.Stat_t
			ok(t, unix.Lstat(in, &st))
			if st.Ino == last {
				reused++
			}
			remove(t, in)
			p.sync()
			mkdir(t, out)
			write(t, out+"/f", "1")
			if ev := p.sync(); len(ev) > 0 {
				t.Fatal("outside taken for inside:", ev)
			}
			ok(t, unix.Lstat(out, &st))
			last = st.Ino
			remove(t, out)
		}
		t.Log("inode numbers used again:", reused)
	})
}

func TestDeletedDirectoryHeldOpen(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		write(t, root+"/d/f", "1")
		mkdir(t, root+"/d (deleted)")
		p := watch(t, Config{Root: root, Backend: b})
		held, err := os.Open(p.path("d"))
		ok(t, err)
		defer held.Close()
		remove(t, p.path("d"))
		write(t, p.path("d (deleted)/g"), "1")
		ev := p.sync()
		want(t, ev, "d", Removed|Dir)
		want(t, ev, "d (deleted)/g", Created|Closed)
		wantNone(t, ev, "d (deleted)/f")
	})
}

func TestReadingMakesNoEvents(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		write(t, root+"/d/f", "1")
		p := watch(t, Config{Root: root, Backend: b})
		_, err := os.ReadFile(p.path("d/f"))
		ok(t, err)
		_, err = os.ReadDir(p.path("d"))
		ok(t, err)
		_, err = os.Lstat(p.path("d/f"))
		ok(t, err)
		if ev := p.sync(); len(ev) > 0 {
			t.Error(ev)
		}
	})
}

func TestIdleTakesNoProcessorTime(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		if b == BackendFanotify && !strings.HasPrefix(root, "/dev/shm") {
			t.Skip("others write to this filesystem too")
		}
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
