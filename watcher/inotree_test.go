package watcher

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A directory may take 100 bytes and its name, once all is armed. WATCHER_DIRS is
// how many there are.
func TestMemoryOfADirectory(t *testing.T) {
	dir := tempRoot(t, "shm")
	n := envNumber(t, "WATCHER_DIRS", 20_000)
	if limit := readLimit(); limit > 0 {
		n = min(n, int(limit/2))
	}
	empty, full := dir+"/empty", dir+"/full"
	mkdir(t, empty)
	mkdir(t, full)
	names := manyDirs(t, full, n, 1)
	heap := func(root string, watches int) uint64 {
		p := watch(t, Config{Root: root, Backend: BackendInotify, RingSlots: minSlots})
		p.sync()
		if got := p.w.Stats().Watches; got != uint64(watches) {
			t.Fatalf("%d watches, want %d", got, watches)
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.close()
		return m.HeapAlloc
	}
	before := heap(empty, 1)
	after := heap(full, n+1)
	each := (float64(after) - float64(before) - float64(names)) / float64(n)
	t.Logf("%d directories: %.1f bytes each and the name", n, each)
	if each > 100 {
		t.Errorf("a directory takes %.1f bytes and its name", each)
	}
}

// The path is all that a record of a known directory's file is to allocate.
func TestAllocationsOfARecord(t *testing.T) {
	b, s, p := benchRecord()
	if n := testing.AllocsPerRun(1000, func() {
		b.handle(s, p)
		b.r.out.events = b.r.out.events[:0]
	}); n != 1 {
		t.Error("allocations:", n)
	}
}

// A rename gives up a name for another one; both are gone from memory in time.
func TestNamesGivenUpAreForgotten(t *testing.T) {
	tree := newInoTree(func(int32) {})
	var still []inoID
	name := func(i int) string { return fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%240)) }
	for i := range 300 {
		n := tree.add()
		tree.link(n, inoRoot, "still-"+name(i))
		still = append(still, n)
	}
	moving := tree.add()
	for i := range 20_000 {
		if !tree.link(moving, still[i%300], name(i)) {
			t.Fatal("refused")
		}
		if path, ok := tree.path(moving); !ok || path != "still-"+name(i%300)+"/"+name(i) {
			t.Fatalf("rename %d leads to %q", i, path)
		}
		if len(tree.names.chunks) > 6 {
			t.Fatalf("%d chunks of names after %d renames", len(tree.names.chunks), i)
		}
	}
	for i, n := range still {
		if want := "still-" + name(i); tree.find(want) != n {
			t.Errorf("%q is lost", want)
		}
	}
}

// What was kept of a dropped directory must not lead to the one that has its
// place in memory now.
func TestRefOfADroppedDirectory(t *testing.T) {
	tree := newInoTree(func(int32) {})
	old := tree.add()
	tree.link(old, inoRoot, "old")
	ref := tree.ref(old)
	if tree.at(ref) != old {
		t.Fatal("known directory not found")
	}
	tree.drop(old)
	if tree.at(ref) != 0 {
		t.Error("dropped directory found")
	}
	if now := tree.add(); now != old {
		t.Errorf("node %d made, where %d was free", now, old)
	}
	if tree.at(ref) != 0 {
		t.Error("another directory found")
	}
}

// The kernel counts watches up, so that those in use stand in runs.
func TestWatchesAreFoundLikeInAMap(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		tree := newInoTree(func(int32) {})
		model := map[int32]inoID{}
		var wds []int32
		next := int32(1)
		for step := range 6000 {
			// It grows for a while, and then it shrinks.
			if len(wds) == 0 || rnd.IntN(4000) > step {
				n := tree.add()
				next += 1 + int32(rnd.IntN(2)*rnd.IntN(40))
				tree.bind(n, next)
				model[next] = n
				wds = append(wds, next)
			} else {
				i := rnd.IntN(len(wds))
				tree.drop(model[wds[i]])
				delete(model, wds[i])
				wds = slices.Delete(wds, i, i+1)
			}
			if step%500 != 0 && step != 5999 {
				continue
			}
			for wd := range next + 2 {
				if got := tree.watched(wd); got != model[wd] {
					t.Fatalf("seed %d, step %d: watch %d leads to %d, want %d", seed, step, wd, got, model[wd])
				}
			}
			if slots := len(tree.wds.slots); tree.wds.n != len(model) || slots > minTable && slots > 8*tree.wds.n {
				t.Fatalf("seed %d: %d watches in %d slots, want %d", seed, tree.wds.n, slots, len(model))
			}
		}
	}
}

// Directories come, go and change places while they are armed: in the end each
// is known where it is, and there are no more.
func TestDirectoriesMovedWhileArming(t *testing.T) {
	for _, where := range []string{"disk", "shm"} {
		t.Run(where, func(t *testing.T) {
			for seed := range uint64(15) {
				moveWhileArming(t, tempRoot(t, where), seed)
			}
		})
	}
}

func moveWhileArming(t *testing.T, root string, seed uint64) {
	t.Helper()
	const parents, kids = 12, 30
	for i := range parents {
		for k := range kids {
			mkdir(t, fmt.Sprintf("%s/p%d/k%d/sub", root, i, k))
		}
	}
	var over atomic.Bool
	moved := make(chan struct{})
	begun := make(chan struct{})
	go func() {
		rnd := rand.New(rand.NewPCG(seed, 9))
		place := func() string {
			return fmt.Sprintf("%s/p%d/k%d", root, rnd.IntN(parents), rnd.IntN(kids+5))
		}
		for i := 0; !over.Load(); i++ {
			// Often there is nothing, or something is in the way.
			switch rnd.IntN(4) {
			case 0:
				_ = os.Remove(place() + "/sub")
			case 1:
				_ = os.Mkdir(place()+"/sub", 0o755)
			default:
				_ = os.Rename(place(), place())
			}
			if i == 20 {
				close(begun)
			}
		}
		close(moved)
	}()
	<-begun
	p := watch(t, Config{Root: root, Backend: BackendInotify})
	over.Store(true)
	<-moved
	p.sync()
	dirs := 0
	var files []string
	ok(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs++
			files = append(files, strings.TrimPrefix(path+"/file", root+"/"))
		}
		return err
	}))
	eventually(t, func() bool { return p.w.Stats().Watches == uint64(dirs) })
	for _, f := range files {
		write(t, root+"/"+f, "1")
	}
	events := kinds(p.sync())
	for _, f := range files {
		if !events[f].has(Created) {
			t.Errorf("seed %d: nothing is told of %q", seed, f)
		}
	}
	p.close()
}

// The list of what is not watched is cut short, and kept up to date.
func TestUnwatchedPaths(t *testing.T) {
	root := tempRoot(t, "disk")
	for i := range 30 {
		mkdir(t, fmt.Sprintf("%s/d%02d/sub", root, i))
	}
	var seam atomic.Int64
	seam.Store(1)
	p := watch(t, Config{Root: root, Backend: BackendInotify, maxWatches: &seam, Repoll: time.Millisecond})
	p.sync()
	var want []string
	for i := range maxUnwatched {
		want = append(want, fmt.Sprintf("d%02d", i))
	}
	if s := p.w.Stats(); s.UnwatchedDirs != 60 || !slices.Equal(s.UnwatchedPaths, want) {
		t.Errorf("%d directories: %q", s.UnwatchedDirs, s.UnwatchedPaths)
	}
	rename(t, root+"/d00", root+"/z")
	want = append(want[1:], "d20")
	eventually(t, func() bool {
		select {
		case <-p.w.Events():
		default:
		}
		return slices.Equal(p.w.Stats().UnwatchedPaths, want)
	})
	seam.Store(100)
	eventually(t, func() bool {
		select {
		case <-p.w.Events():
		default:
		}
		s := p.w.Stats()
		return s.UnwatchedDirs == 0 && len(s.UnwatchedPaths) == 0
	})
}
