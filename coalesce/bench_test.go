package coalesce

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/watcher"
)

var benchSizes = []int{1_000, 100_000, 1_000_000}

func benchPaths(b *testing.B, n int, order string) []string {
	b.Helper()
	if testing.Short() && n > 100_000 {
		b.Skip("large")
	}
	paths := bigPaths(n)
	if order == "random" {
		rand.New(rand.NewSource(1)).Shuffle(n, func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	}
	return paths
}

// BenchmarkAdd fills a set with n new paths, time per path.
func BenchmarkAdd(b *testing.B) {
	for _, n := range benchSizes {
		for _, order := range []string{"tree", "random"} {
			b.Run(fmt.Sprintf("set/%s/%d", order, n), func(b *testing.B) {
				paths := benchPaths(b, n, order)
				s := NewSet()
				for i := 0; b.Loop(); i++ {
					if i%n == 0 {
						s.Clear()
					}
					s.Add(Entry{Path: paths[i%n], Flags: Content, Since: 1, Last: 1})
				}
			})
			b.Run(fmt.Sprintf("map/%s/%d", order, n), func(b *testing.B) {
				paths := benchPaths(b, n, order)
				m := map[string]Entry{}
				for i := 0; b.Loop(); i++ {
					if i%n == 0 {
						clear(m)
					}
					m[paths[i%n]] = Entry{Path: paths[i%n], Flags: Content, Since: 1, Last: 1}
				}
			})
		}
	}
}

// BenchmarkMerge adds to paths that a set of n has.
func BenchmarkMerge(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("set/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "random")
			s := NewSet()
			for _, p := range paths {
				s.Add(Entry{Path: p, Flags: Content})
			}
			for i := 0; b.Loop(); i++ {
				s.Add(Entry{Path: paths[i%n], Flags: Attr, Since: 1, Last: int64(i)})
			}
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "random")
			m := map[string]Entry{}
			for _, p := range paths {
				m[p] = Entry{Path: p, Flags: Content}
			}
			for i := 0; b.Loop(); i++ {
				p := paths[i%n]
				m[p] = merge(m[p], Entry{Path: p, Flags: Attr, Since: 1, Last: int64(i)})
			}
		})
	}
}

// BenchmarkPrune takes a directory of 50 out of n and puts it back.
func BenchmarkPrune(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("set/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "tree")
			s := NewSet()
			for _, p := range paths {
				s.Add(Entry{Path: p, Flags: Content})
			}
			dir := Parent(paths[n/2])
			var back []Entry
			for b.Loop() {
				back = back[:0]
				s.AscendUnder(dir, func(e Entry) bool { back = append(back, e); return true })
				s.PruneUnder(dir)
				for _, e := range back {
					s.Add(e)
				}
			}
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "tree")
			m := map[string]Entry{}
			for _, p := range paths {
				m[p] = Entry{Path: p, Flags: Content}
			}
			dir := Parent(paths[n/2])
			var back []Entry
			for b.Loop() {
				back = back[:0]
				for p, e := range m {
					if Under(p, dir) {
						back = append(back, e)
						delete(m, p)
					}
				}
				for _, e := range back {
					m[e.Path] = e
				}
			}
		})
	}
}

// BenchmarkFlush is a whole cycle of n events: add, and flush in order.
func BenchmarkFlush(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("coalescer/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "random")
			c := NewCoalescer(Config{})
			for b.Loop() {
				for i, p := range paths {
					c.Add(watcher.Event{Path: p, Kind: watcher.Modified | watcher.Closed, Time: int64(i)}, int64(i))
				}
				if got := len(c.Flush(int64(n), true).Entries); got != n {
					b.Fatalf("flushed %d of %d", got, n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(b.N), "ns/event")
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			paths := benchPaths(b, n, "random")
			for b.Loop() {
				m := map[string]Entry{}
				for i, p := range paths {
					m[p] = merge(m[p], Entry{Path: p, Flags: Content, Last: int64(i)})
				}
				all := make([]Entry, 0, len(m))
				for _, e := range m {
					all = append(all, e)
				}
				slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(b.N), "ns/event")
		})
	}
}

// BenchmarkHold is an event on one of many files that are being written.
func BenchmarkHold(b *testing.B) {
	const n = 10_000
	paths := bigPaths(n)
	c := NewCoalescer(Config{})
	now := int64(0)
	write := func(i int) {
		now = int64(i) * 1000
		c.Add(watcher.Event{Path: paths[i%n], Kind: watcher.Modified, Time: now}, now)
	}
	for i := range n {
		write(i)
	}
	for i := n; b.Loop(); i++ {
		write(i)
		if at, ok := c.Next(); ok && at <= now {
			c.Flush(now, false)
		}
	}
}
