package coalesce

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/watcher"
)

// BenchmarkRemoval takes in what rm -rf of 200 directories with 50 changed
// files each tells, in its order, and flushes: 10,000 files become 200 entries.
// The map keeps every path, then sorts, and leaves out what lies below a
// directory that went.
func BenchmarkRemoval(b *testing.B) {
	const dirs, files = 200, 50
	var events []watcher.Event
	add := func(path string, k watcher.Kind) {
		events = append(events, watcher.Event{Path: path, Kind: k, Time: int64(len(events) + 1)})
	}
	for d := range dirs {
		for f := range files {
			add(fmt.Sprintf("tree/dir-%03d/file-%02d.dat", d, f), watcher.Modified|watcher.Closed)
		}
	}
	for d := range dirs {
		for f := range files {
			add(fmt.Sprintf("tree/dir-%03d/file-%02d.dat", d, f), watcher.Removed)
		}
		add(fmt.Sprintf("tree/dir-%03d", d), watcher.Removed|watcher.Dir)
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		c := NewCoalescer(Config{})
		for b.Loop() {
			for _, ev := range events {
				c.Add(ev, ev.Time)
			}
			if n := len(c.Flush(int64(len(events)), true).Entries); n != dirs {
				b.Fatalf("%d entries, want %d", n, dirs)
			}
		}
		perEvent(b, len(events))
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := map[string]Entry{}
			for _, ev := range events {
				e := newEntry(ev, ev.Time)
				if x, ok := m[ev.Path]; ok {
					e = merge(x, e)
				}
				m[ev.Path] = e
			}
			if n := len(topmost(m)); n != dirs {
				b.Fatalf("%d entries, want %d", n, dirs)
			}
		}
		perEvent(b, len(events))
	})
}

// topmost sorts the entries and drops those below a directory that went.
func topmost(m map[string]Entry) []Entry {
	all := make([]Entry, 0, len(m))
	for _, e := range m {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	kept := all[:0]
	for _, e := range all {
		if n := len(kept); n > 0 && gone(kept[n-1]) && Under(e.Path, kept[n-1].Path) {
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

func perEvent(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
}
