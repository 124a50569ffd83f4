package watcher

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The bits of one record, and of one path, have no order: only a look at the
// path tells what is there.
func TestPitfall01BitsHaveNoOrder(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		s := onStage(t, root, b)
		ev := s.merged(func() {
			write(t, s.path("r"), "1")
			rename(t, s.path("r"), s.path("s"))
			write(t, s.path("r"), "2")
		})
		want(t, ev, "r", Created|Removed|Moved|Modified|Closed)
		want(t, ev, "s", Created|Moved)
	})
}

// A name that is made again after it was renamed away is told again behind the
// rename, so that one who follows renames finds it too.
func TestPitfall02RenamedThenMadeAgain(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		s := onStage(t, root, b)
		ev := s.merged(func() {
			write(t, s.path("r"), "1")
			rename(t, s.path("r"), s.path("s"))
			write(t, s.path("r"), "2")
		})
		moved := slices.IndexFunc(ev, func(e Event) bool { return e.Path == "s" && e.From == "r" })
		if moved < 0 || !slices.ContainsFunc(ev[moved:], func(e Event) bool { return e.Path == "r" && e.Has(Created) }) {
			t.Error("r is not told after its rename:", ev)
		}
	})
}

// Created and removed together may end either way.
func TestPitfall03CreatedAndRemovedBothEndings(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		write(t, root+"/back", "1")
		s := onStage(t, root, b)
		ev := s.merged(func() {
			write(t, s.path("gone"), "1")
			remove(t, s.path("gone"))
			remove(t, s.path("back"))
			write(t, s.path("back"), "2")
		})
		want(t, ev, "gone", Created|Removed)
		want(t, ev, "back", Created|Removed)
	})
}

// Each unlink and each link also makes a record without any name. inotify has
// no such records.
func TestPitfall04NamelessRecords(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		write(t, root+"/f", "1")
		s := onStage(t, root, b)
		ev := s.live(func() {
			ok(t, os.Link(s.path("f"), s.path("g")))
			remove(t, s.path("f"))
		})
		want(t, ev, "f", Removed)
		want(t, ev, "g", Created)
		if n := s.w.Stats().Nameless; (n > 0) != (b == BackendFanotify) {
			t.Error("nameless records:", n)
		}
	})
}

// The queue belongs to the group, whatever the filesystem.
func TestPitfall05OverflowHasNoInfo(t *testing.T) {
	eachPlace(t, []string{"tmpfs"}, func(t *testing.T, root string, b Backend) {
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
	t.Run("records behind it count", func(t *testing.T) {
		var c counters
		d := fanDecoder{ring: newRing(minSlots), count: &c}
		d.decode(unhex(t, fanGolden["overflow"].in+fanGolden["create"].in), 1)
		if got := drainText(d.ring); len(got) != 2 || got[1] != fanGolden["create"].out {
			t.Fatal(got)
		}
	})
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

// A receiver that stalls fills the ring, never the kernel's queue, which would
// slow down all who write. The queue belongs to the group, whatever the
// filesystem.
func TestPitfall06StalledReceiver(t *testing.T) {
	eachPlace(t, []string{"tmpfs"}, func(t *testing.T, root string, b Backend) {
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
		eventually(t, func() bool {
			waiting, err := unix.IoctlGetInt(p.w.reader.group, unix.TIOCINQ)
			ok(t, err)
			return waiting == 0
		})
		if p.w.Stats().RingDropped == 0 {
			t.Fatal("nothing dropped; the test shows nothing")
		}
		id := p.w.Barrier()
		events := p.until(func(e Event) bool { return e.Barrier == id })
		if !slices.ContainsFunc(events, func(e Event) bool { return e.Has(Rescan) && e.Reason == RingFull }) {
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

// What a mask without writes would lose.
func TestPitfall07SeenOnlyAsModified(t *testing.T) {
	scripts(t, "truncate", "mtime-only", "hold-open")
}

// The wait before each read lets the kernel fold the writes to an open file:
// fanotify by name, inotify only what follows each other.
func TestPitfall08WritesAreFolded(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		s := onStage(t, root, b)
		const writes = 20_000
		ev := s.live(func() {
			files := make([]*os.File, 1)
			if b == BackendFanotify {
				files = make([]*os.File, 2)
			}
			for i := range files {
				f, err := os.Create(s.path(fmt.Sprint("f", i)))
				ok(t, err)
				defer f.Close()
				files[i] = f
			}
			for i := range writes {
				_, err := files[i%len(files)].WriteString("x")
				ok(t, err)
			}
		})
		want(t, ev, "f0", Created|Modified|Closed)
		if n := s.w.Stats().Read; n > writes/4 {
			t.Errorf("%d writes came as %d records", writes, n)
		}
	})
}

// Stores through a mapping show when it is unmapped, though the descriptor was
// closed before. Those of a mapping that stays are told of by nobody: only the
// periodic comparison of the tree finds them. An overlay tells when the
// descriptor is closed, and of later stores never.
func TestPitfall09MappedStores(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		write(t, root+"/f", strings.Repeat("x", 4096))
		s := onStage(t, root, b)
		fd, err := unix.Open(s.path("f"), unix.O_RDWR|unix.O_CLOEXEC, 0)
		ok(t, err)
		m, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		ok(t, err)
		if fs, _ := fsName(root); fs == "overlay" {
			m[0]++
			ev := s.live(func() { ok(t, errors.Join(unix.Munmap(m), unix.Close(fd))) })
			want(t, ev, "f", Closed)
			return
		}
		ok(t, unix.Close(fd))
		m[0]++
		ok(t, unix.Msync(m, unix.MS_SYNC))
		t.Log("before it is unmapped:", s.sync())
		m[1]++
		want(t, s.live(func() { ok(t, unix.Munmap(m)) }), "f", Closed)
	})
}

// A file made without a name is written under the name of its inode, even when
// it has got a real one: its directory must be compared.
func TestPitfall10FileWithoutAName(t *testing.T) { scripts(t, "tmpfile", "names-like-tmpfile") }

// A write through one name of a file is told for that name only.
func TestPitfall11HardLinks(t *testing.T) {
	scripts(t, "hard-link")
	t.Run("explained by any name", func(t *testing.T) {
		eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
			mkdir(t, root+"/d1")
			mkdir(t, root+"/d2")
			write(t, root+"/d1/f", "1")
			ok(t, os.Link(root+"/d1/f", root+"/d2/h"))
			s := onStage(t, root, b)
			ev := s.live(func() { ok(t, appendTo(s.path("d2/h"), "2")) })
			want(t, ev, "d2/h", Modified|Closed)
			wantNone(t, ev, "d1/f")
		})
	})
}

// The file that another is moved over has no record of its own.
func TestPitfall12RenameOverAFile(t *testing.T) { scripts(t, "move-over-file") }

// The two halves of an exchange cross.
func TestPitfall13Exchange(t *testing.T) { scripts(t, "exchange-files", "exchange-dirs") }
