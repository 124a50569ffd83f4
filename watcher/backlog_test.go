package watcher

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// heard is what a receiver was told between two Events that others must not
// pass: for each path all bits, the removals below it, and the first time.
type heard struct {
	fence Event
	kinds map[string]Kind
	below map[string]uint32
	since map[string]int64
}

func newHeard(fence Event) heard {
	return heard{fence: fence, kinds: map[string]Kind{}, below: map[string]uint32{}, since: map[string]int64{}}
}

// hear splits Events at those that others must not pass.
func hear(events []Event) []heard {
	all := []heard{newHeard(Event{})}
	for _, ev := range events {
		if fences(ev) {
			all = append(all, newHeard(ev))
			continue
		}
		h := all[len(all)-1]
		if _, known := h.since[ev.Path]; !known {
			h.since[ev.Path] = ev.Time
		}
		h.kinds[ev.Path] |= ev.Kind
		h.below[ev.Path] += ev.Below
	}
	return all
}

// A backlog tells what a plain queue of all Events tells, and nothing passes
// an Event that it must stay behind.
func TestBacklogTellsWhatAQueueTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b backlog
		var all, taken []Event
		add := func(ev Event) {
			all = append(all, ev)
			b.add(ev)
		}
		steps := rapid.IntRange(1, 12).Draw(t, "steps")
		for i := range steps {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				taken = append(taken, b.take(rapid.IntRange(0, 2*indexFrom).Draw(t, "take"))...)
			case 1:
				// Enough of them for an index.
				for k := range rapid.IntRange(1, 2*indexFrom).Draw(t, "many") {
					add(Event{Path: fmt.Sprint("many/", k%3000), Kind: Created, Time: int64(i)})
				}
			case 2:
				kind := rapid.SampledFrom([]Kind{Barrier, Removed | Dir, Created | Moved, Rescan | Dir, Subtree | Created | Dir}).Draw(t, "fence")
				add(Event{Path: fmt.Sprint("fence", i), Kind: kind, Time: int64(i)})
			default:
				path := rapid.SampledFrom([]string{"a", "b", "many/1", "many/2999"}).Draw(t, "path")
				kind := rapid.SampledFrom([]Kind{Created, Modified, Closed, Attrib, Removed}).Draw(t, "kind")
				add(Event{Path: path, Kind: kind, Below: uint32(i), Time: int64(i)})
			}
		}
		taken = append(taken, b.take(b.len())...)
		if b.len() != 0 || len(b.events) != 0 || len(taken)+int(b.merged) != len(all) {
			t.Fatalf("%d of %d Events taken, %d merged, %d left", len(taken), len(all), b.merged, b.len())
		}
		want, got := hear(all), hear(taken)
		if len(want) != len(got) {
			t.Fatalf("%d fences, want %d", len(got)-1, len(want)-1)
		}
		for i := range want {
			if diff := cmp.Diff(want[i], got[i], cmp.AllowUnexported(heard{})); diff != "" {
				t.Fatalf("after fence %d (-want +got):\n%.2000s", i, diff)
			}
		}
	})
}

func TestBacklogFoldsNeighbours(t *testing.T) {
	var b backlog
	for _, ev := range []Event{
		{Path: "d", Kind: Removed | Dir, Below: 2, Time: 7}, {Path: "d", Kind: Created | Dir, Below: 1, Time: 3},
		{Path: "d", Kind: Created | Moved | Dir, From: "e", Time: 8}, {Path: "d", Kind: Attrib | Dir, Time: 9},
		{Path: "d", Kind: Hidden, Time: 9}, {Path: "d", Kind: Modified, Time: 9},
		{Kind: Rescan | Dir, Reason: RingFull}, {Kind: Rescan | Dir, Reason: QueueOverflow}, {Kind: Rescan | Dir, Reason: QueueOverflow},
	} {
		b.add(ev)
	}
	var got []string
	for _, ev := range b.take(b.len()) {
		got = append(got, fmt.Sprintf("%s %v %d %d %s", ev.Path, ev.Kind, ev.Below, ev.Time, ev.Reason))
	}
	want := []string{
		"d created|removed|dir 3 3 ", "d created|moved|dir 0 8 ", "d attrib|dir 0 9 ", "d hidden 0 9 ", "d modified 0 9 ",
		" dir|rescan 0 0 event ring full", " dir|rescan 0 0 kernel queue overflow",
	}
	if diff := cmp.Diff(want, got); diff != "" || b.merged != 2 {
		t.Errorf("%d merged (-want +got):\n%s", b.merged, diff)
	}
}

func TestBacklogLimitsItsIndex(t *testing.T) {
	var b backlog
	for i := range 100 * maxBatch {
		b.add(Event{Path: fmt.Sprint(i), Kind: Created})
		if b.len() > 2*indexFrom {
			b.take(indexFrom)
		}
		if len(b.last) > 4*indexFrom || len(b.events) > 4*indexFrom {
			t.Fatalf("after %d Events: %d in the index, %d kept, %d wait", i, len(b.last), len(b.events), b.len())
		}
	}
}

// A receiver that stalls while the same files are written again and again
// finds each file once, and nothing was lost for want of room.
func TestStalledReceiverFindsEachFileOnce(t *testing.T) {
	for _, backend := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(backend), func(t *testing.T) {
			root := tempRoot(t, "shm")
			need(t, backend, root)
			const files, rounds = 4 * indexFrom, 20
			p := watch(t, Config{Root: root, Backend: backend, MaxBacklog: 2 * files})
			var seen uint64
			for range rounds {
				for i := range files {
					ok(t, unix.Mknod(p.path(fmt.Sprint(i)), unix.S_IFREG|0o600, 0))
					ok(t, unix.Unlink(p.path(fmt.Sprint(i))))
					// The kernel's queue is kept from overflowing.
					if i%2048 == 0 {
						eventually(t, func() bool { s := p.w.Stats().Read; grown := s > seen; seen = s; return grown })
					}
				}
			}
			events := p.sync()
			if i := slices.IndexFunc(events, func(e Event) bool { return e.Has(Rescan) }); i >= 0 {
				t.Fatalf("%v: %s", events[i], events[i].Reason)
			}
			// The batches that lay in the channel before are told again.
			if most := 2*files + (batches+1)*maxBatch; len(events) > most {
				t.Errorf("%d Events of %d files, want at most %d", len(events), files, most)
			}
			if s := p.w.Stats(); s.Merged == 0 || s.Backlog != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}
