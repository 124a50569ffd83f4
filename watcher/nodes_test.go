package watcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
)

func none(string, bool) bool { return false }

func TestFanNodes(t *testing.T) {
	var c counters
	n := newFanNodes("root", 100, &c)
	at := func(key, parent, name string) *fanNode {
		k := n.at([]byte(key))
		n.place(k, n.at([]byte(parent)), name)
		return k
	}
	a := at("A", "root", "a")
	b := at("B", "A", "b")
	f := at("C", "B", "c")
	path := func(k *fanNode) string {
		t.Helper()
		if u := n.check(k, none); u != nil {
			return "unknown " + u.key
		}
		if !k.in {
			return "outside"
		}
		return k.path
	}
	expect := func(k *fanNode, want string) {
		t.Helper()
		if got := path(k); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	expect(f, "a/b/c")
	expect(n.root, "")
	// A rename makes one node stale; the paths below follow its new place.
	n.renamed([]byte("A"), true, true)
	expect(f, "unknown A")
	n.place(a, n.root, "z")
	expect(f, "z/b/c")
	expect(b, "z/b")
	// Moved out, with all below.
	n.renamed([]byte("A"), true, false)
	n.exclude(a)
	expect(f, "outside")
	// Something unknown that comes from outside may have held what was
	// outside.
	n.renamed([]byte("X"), false, true)
	expect(f, "unknown A")
	n.place(a, n.root, "q")
	expect(f, "q/b/c")
	// Renames outside, or of files, change nothing.
	age := n.age
	n.renamed([]byte("Y"), false, false)
	n.renamed([]byte("root"), true, true)
	if n.age != age {
		t.Error("a rename outside made paths stale")
	}
	n.forget([]byte("C"))
	if n.by["C"] != nil || len(n.by) != 3 {
		t.Error("deleted directory kept")
	}
	n.forget([]byte("root"))
	expect(n.root, "")
	// What is ignored, is with all below.
	n.clear()
	a, b = at("A", "root", "skip"), at("B", "A", "b")
	calls := 0
	ign := func(p string, isDir bool) bool { calls++; return isDir && p == "skip" }
	for range 3 {
		if n.check(b, ign) != nil || !b.ignored || !a.ignored {
			t.Error("not ignored below an ignored directory")
		}
	}
	if calls != 1 {
		t.Error("asked", calls, "times")
	}
	n.reserve(1000)
	if len(n.by) != 1 || c.nodes.Load() != 1 {
		t.Error("full cache not cleared")
	}
}

func TestSubvolumeHandles(t *testing.T) {
	for key, is := range map[string]bool{
		"14000000 4d000000 0001000000000000 0500000000000000 00000000": true,
		"14000000 4d000000 0101000000000000 0500000000000000 00000000": false,
		"08000000 01000000 0001000000000000":                           false,
		"":                                                             false,
	} {
		if isSubvolume(unhex(t, key)) != is {
			t.Errorf("%s: want %v", key, is)
		}
	}
}

// modelTree is inoTree's slow twin: every watch with its path.
type modelTree map[int32]string

func (m modelTree) under(path string) (wds []int32) {
	for wd, p := range m {
		if p == path || strings.HasPrefix(p, path+"/") {
			wds = append(wds, wd)
		}
	}
	slices.Sort(wds)
	return wds
}

func TestInoTreeBehavesAsItsModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var unwatched []int32
		tree := newInoTree(func(wd int32) { unwatched = append(unwatched, wd) })
		tree.bind(inoRoot, 1)
		m := modelTree{1: ""}
		next, most := int32(2), 0
		pick := func() inoID {
			wds := m.under("")
			for wd := range m {
				wds = append(wds, wd)
			}
			slices.Sort(wds)
			return tree.watched(wds[rnd.IntN(len(wds))])
		}
		for range 100 {
			parent, nm := pick(), string(rune('a'+rnd.IntN(4)))
			at := join(m[tree.node(parent).wd], nm)
			unwatched = nil
			var gone []int32
			switch rnd.IntN(4) {
			case 0, 1: // a new directory
				gone = m.under(at)
				n := tree.add()
				tree.bind(n, next)
				if !tree.link(n, parent, nm) {
					t.Fatal("new node refused")
				}
				for _, wd := range gone {
					delete(m, wd)
				}
				m[next] = at
				next++
			case 2: // a rename
				n := pick()
				old := m[tree.node(n).wd]
				loop := old == "" || at == old || strings.HasPrefix(at, old+"/")
				if at == old {
					continue
				}
				moved := m.under(old)
				if !loop {
					for _, wd := range m.under(at) {
						if !slices.Contains(moved, wd) {
							gone = append(gone, wd)
						}
					}
				}
				if tree.link(n, parent, nm) == loop {
					t.Fatalf("seed %d: link %q to %q", seed, old, at)
				}
				if loop {
					continue
				}
				// The parent may have been below what was replaced.
				for _, wd := range gone {
					delete(m, wd)
				}
				for _, wd := range moved {
					m[wd] = at + strings.TrimPrefix(m[wd], old)
				}
			case 3:
				n := pick()
				if n == inoRoot {
					continue
				}
				gone = m.under(m[tree.node(n).wd])
				for _, wd := range gone {
					delete(m, wd)
				}
				tree.drop(n)
			}
			slices.Sort(unwatched)
			if !slices.Equal(gone, unwatched) {
				t.Fatalf("seed %d: watches given back: %v, want %v", seed, unwatched, gone)
			}
			if got, want := dump(tree), dumpModel(m); got != want {
				t.Fatalf("seed %d:\n%s\nwant\n%s", seed, got, want)
			}
			// A new directory is there before the one it replaces is not.
			if most = max(most, len(m)); int(tree.top) > most+1 || tree.places.n != len(m)-1 {
				t.Fatalf("seed %d: %d nodes, %d of them placed, for at most %d directories, now %d", seed, tree.top, tree.places.n, most, len(m))
			}
		}
	}
}

func dump(t *inoTree) string {
	var lines []string
	for _, n := range append(slices.Collect(t.all), inoRoot) {
		wd := t.node(n).wd
		if t.watched(wd) != n {
			lines = append(lines, fmt.Sprintf("%d not found", wd))
		}
		path, ok := t.path(n)
		if !ok || t.find(path) != n {
			path += " (unlinked)"
		}
		lines = append(lines, fmt.Sprintf("%s %d", path, wd))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func dumpModel(m modelTree) string {
	var lines []string
	for wd, path := range m {
		lines = append(lines, fmt.Sprintf("%s %d", path, wd))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func TestIgnoredDirectoriesTakeNoWatches(t *testing.T) {
	root := tempRoot(t, "disk")
	mkdir(t, root+"/skip/a/b/c")
	mkdir(t, root+"/keep/skip/x")
	p := watch(t, Config{Root: root, Backend: BackendInotify, Ignore: func(path string, isDir bool) bool {
		return isDir && strings.HasSuffix(path, "skip")
	}})
	p.sync()
	if n := p.w.Stats().Watches; n != 2 {
		t.Error("watches:", n)
	}
}

func TestEventStrings(t *testing.T) {
	if got := (Created | Moved | Dir | Subtree | Children).String(); got != "created|moved|dir|subtree|children" {
		t.Error(got)
	}
	if got := Children.String(); got != "children" {
		t.Error(got)
	}
	for k, name := range kindNames {
		if Kind(1<<k).String() != name {
			t.Error(name)
		}
	}
}
