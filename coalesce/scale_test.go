package coalesce

import (
	"fmt"
	"math/rand"
	"runtime"
	"testing"
)

// bigPaths makes n paths of 64 bytes in the mean, about 50 to a directory, in
// the order of the tree.
func bigPaths(n int) []string {
	paths := make([]string, n)
	for i := range paths {
		d := i / 50
		paths[i] = fmt.Sprintf("data/customer-%04d/project-%04d/2026-%02d/report-%08d%s.json", d/400, d%400/10, d%10, i, "-abcdefghijklm"[:i%14])
	}
	return paths
}

// liveHeap is what the heap holds after a collection.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A million dirty paths must fit into 150 MB, their paths included, in
// whatever order they come.
func TestMillionEntriesMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a million entries")
	}
	const n, limit = 1_000_000, 150 << 20
	for _, order := range []string{"tree", "random"} {
		t.Run(order, func(t *testing.T) {
			base := liveHeap()
			paths := bigPaths(n)
			mean := 0
			for _, p := range paths {
				mean += len(p)
			}
			if order == "random" {
				rand.New(rand.NewSource(1)).Shuffle(n, func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
			}
			s := NewSet()
			for i, p := range paths {
				s.Add(Entry{Path: p, Flags: Content, Since: int64(i), Last: int64(i)})
			}
			clear(paths)
			paths = nil
			used := liveHeap() - base
			t.Logf("%d entries, mean path %d bytes: heap %.1f MB, %.1f bytes an entry; Bytes() says %.1f MB",
				s.Len(), mean/n, float64(used)/1e6, float64(used)/n, float64(s.Bytes())/1e6)
			if used > limit {
				t.Errorf("heap grew by %d bytes, limit %d", used, limit)
			}
			if b := uint64(s.Bytes()); b < used*3/4 || b > used*5/4 {
				t.Errorf("Bytes() = %d is far from %d", b, used)
			}
			runtime.KeepAlive(s)
		})
	}
}
