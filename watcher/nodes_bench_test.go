package watcher

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// benchWidth is how many directories each directory of the tree has; with three
// levels these are 20 + 400 + 8,000.
const benchWidth = 20

// benchTree calls add for each directory of the tree with the number of its
// parent, 0 being the root, which is not among them. Numbers grow by one.
func benchTree(add func(parent int, name string)) {
	var parents []int
	next := 1
	level := []int{0}
	for range 3 {
		parents, level = level, nil
		for _, p := range parents {
			for i := range benchWidth {
				add(p, fmt.Sprintf("directory-%02d", i))
				level = append(level, next)
				next++
			}
		}
	}
}

func benchKey(n int) []byte {
	return binary.LittleEndian.AppendUint64([]byte("handle: "), uint64(n))
}

// BenchmarkLookup finds the path of every 16th of 8,420 directories, by fanotify's
// handle and by inotify's watch. The map holds whole paths, which is as fast
// until a directory is renamed, see BenchmarkMove.
func BenchmarkLookup(b *testing.B) {
	b.Run("fanotify/ours", func(b *testing.B) {
		var c counters
		nodes := newFanNodes(string(benchKey(0)), 1<<20, &c)
		all := []*fanNode{nodes.root}
		benchTree(func(parent int, name string) {
			n := nodes.at(benchKey(len(all)))
			nodes.place(n, all[parent], name)
			all = append(all, n)
		})
		keys := benchKeys(len(all))
		lookUp(b, keys, func(key []byte) string {
			n := nodes.at(key)
			if nodes.check(n, nothingIgnored) != nil || !n.in {
				return ""
			}
			return n.path
		})
	})
	b.Run("fanotify/map", func(b *testing.B) {
		paths := benchPaths()
		by := make(map[string]string, len(paths))
		for i, p := range paths {
			by[string(benchKey(i))] = p
		}
		lookUp(b, benchKeys(len(paths)), func(key []byte) string { return by[string(key)] })
	})
	b.Run("inotify/ours", func(b *testing.B) {
		tree := benchInoTree()
		lookUp(b, benchWatches(tree.wds.n), func(wd int32) string {
			path, _ := tree.path(tree.watched(wd))
			return path
		})
	})
	b.Run("inotify/map", func(b *testing.B) {
		paths := benchPaths()
		by := make(map[int32]string, len(paths))
		for i, p := range paths {
			by[benchWatch(i)] = p
		}
		lookUp(b, benchWatches(len(paths)), func(wd int32) string { return by[wd] })
	})
}

// BenchmarkRecord makes the Event of a record of one known directory, as most
// are of few.
func BenchmarkRecord(b *testing.B) {
	b.ReportAllocs()
	back, s, p := benchRecord()
	for b.Loop() {
		back.handle(s, p)
		back.r.out.events = back.r.out.events[:0]
	}
}

// benchRecord is a backend with the tree of benchTree, and a record for it.
func benchRecord() (*ino, *slot, payload) {
	b := newIno(&resolver{w: &Watcher{reader: &reader{group: -1}}})
	b.tree = benchInoTree()
	dir := b.tree.find("directory-07/directory-11/directory-13")
	s := &slot{wd: b.tree.node(dir).wd, mask: unix.IN_CLOSE_WRITE, time: 1}
	return b, s, payload{partName: []byte("a file's name.txt")}
}

var movedNames = [2]string{"moved-0", "moved-1"}

// BenchmarkMove renames one of the 20 topmost directories, with 420 below it,
// and then finds the paths of 20 of these. Looking at the filesystem, which
// both must do, is left out.
func BenchmarkMove(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		tree := benchInoTree()
		n := tree.find("directory-07")
		for i := 0; b.Loop(); i++ {
			if !tree.link(n, inoRoot, movedNames[i%2]) {
				b.Fatal("refused")
			}
			for kid := tree.node(n).kids; kid != 0; kid = tree.node(kid).next {
				if path, ok := tree.path(kid); !ok || path[0] != 'm' {
					b.Fatal("wrong path", path)
				}
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		by := map[int32]string{}
		var kids []int32
		for i, p := range benchPaths() {
			by[int32(i)] = p
			if strings.HasPrefix(p, "directory-07/") && strings.Count(p, "/") == 1 {
				kids = append(kids, int32(i))
			}
		}
		old := "directory-07"
		for i := 0; b.Loop(); i++ {
			name := movedNames[i%2]
			for wd, p := range by {
				if p == old || strings.HasPrefix(p, old+"/") {
					by[wd] = name + p[len(old):]
				}
			}
			old = name
			for _, wd := range kids {
				if path := by[wd]; path[0] != 'm' {
					b.Fatal("wrong path", path)
				}
			}
		}
	})
}

// lookUp times find for all keys together. They are known: the first time, when
// ours puts the paths together, is not counted.
func lookUp[K any](b *testing.B, keys []K, find func(K) string) {
	b.Helper()
	b.ReportAllocs()
	all := func() {
		for _, k := range keys {
			if find(k) == "" {
				b.Fatal("not found")
			}
		}
	}
	all()
	for b.Loop() {
		all()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(keys)), "ns/lookup")
}

func nothingIgnored(string, bool) bool { return false }

// benchPaths are the paths of the tree by number.
func benchPaths() []string {
	paths := []string{""}
	benchTree(func(parent int, name string) { paths = append(paths, join(paths[parent], name)) })
	return paths
}

func benchInoTree() *inoTree {
	tree := newInoTree(func(int32) {})
	tree.bind(inoRoot, benchWatch(0))
	all := []inoID{inoRoot}
	benchTree(func(parent int, name string) {
		n := tree.add()
		tree.bind(n, benchWatch(len(all)))
		tree.link(n, all[parent], name)
		all = append(all, n)
	})
	return tree
}

// benchKeys are every 16th of n handles, but the root's.
func benchKeys(n int) (keys [][]byte) {
	for i := 16; i < n; i += 16 {
		keys = append(keys, benchKey(i))
	}
	return keys
}

// benchWatch is the watch of a directory by number; the kernel's begin with 1.
func benchWatch(n int) int32 { return int32(n + 1) }

func benchWatches(n int) (wds []int32) {
	for i := 16; i < n; i += 16 {
		wds = append(wds, benchWatch(i))
	}
	return wds
}
