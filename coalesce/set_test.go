package coalesce

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// stepSet does one random thing to a set and its model and compares them.
func stepSet(t failer, pick chooser, s *Set, m modelSet) {
	t.Helper()
	path := somePath(pick)
	switch pick(12) {
	case 0:
		got, ok := s.Remove(path)
		want, wantOK := m.remove(path)
		if got != want || ok != wantOK {
			t.Fatalf("Remove(%q) = %+v %v, want %+v %v", path, got, ok, want, wantOK)
		}
	case 1:
		want := m.under(path)
		for _, e := range want {
			delete(m, e.Path)
		}
		if got := s.PruneUnder(path); got != len(want) {
			t.Fatalf("PruneUnder(%q) = %d, want %d", path, got, len(want))
		}
	case 2:
		if pick(4) == 0 {
			s.Clear()
			clear(m)
		}
	case 3, 4:
		e := someEntry(pick)
		s.AddOlder(e)
		m.add(e, true)
	default:
		e := someEntry(pick)
		s.Add(e)
		m.add(e, false)
	}
	compareSets(t, s, m, path)
}

func compareSets(t failer, s *Set, m modelSet, path string) {
	t.Helper()
	want := m.all()
	if d := cmp.Diff(want, collect(s.Ascend)); d != "" {
		t.Fatalf("Ascend: -want +got\n%s", d)
	}
	if s.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", s.Len(), len(want))
	}
	from := slices.DeleteFunc(m.all(), func(e Entry) bool { return e.Path < path })
	if d := cmp.Diff(from, collect(func(f func(Entry) bool) { s.AscendFrom(path, f) }), cmpEmpty); d != "" {
		t.Fatalf("AscendFrom(%q): -want +got\n%s", path, d)
	}
	if d := cmp.Diff(m.under(path), collect(func(f func(Entry) bool) { s.AscendUnder(path, f) })); d != "" {
		t.Fatalf("AscendUnder(%q): -want +got\n%s", path, d)
	}
	if got, want := s.Covered(path), m.covered(path); got != want {
		t.Fatalf("Covered(%q) = %v, want %v", path, got, want)
	}
	size := 0
	for _, e := range want {
		size += len(e.Path) + itemBytes
		if e.From != "" {
			size += len(e.From) + fromBytes
		}
		if got, ok := s.Get(e.Path); !ok || got != e {
			t.Fatalf("Get(%q) = %+v %v, want %+v", e.Path, got, ok, e)
		}
		if above := slices.ContainsFunc(want, func(a Entry) bool { return a.Has(Subtree) && Under(e.Path, a.Path) }); above {
			t.Fatalf("%q stands below a subtree", e.Path)
		}
	}
	if s.Bytes() != size {
		t.Fatalf("Bytes() = %d, want %d", s.Bytes(), size)
	}
}

var cmpEmpty = cmp.Transformer("empty", func(e []Entry) []Entry { return append([]Entry{}, e...) })

func collect(walk func(func(Entry) bool)) []Entry {
	var all []Entry
	walk(func(e Entry) bool {
		all = append(all, e)
		return true
	})
	return all
}

func TestSetAgainstModel(t *testing.T) {
	check(t, func(t *rapid.T, pick chooser) {
		s, m := NewSet(), modelSet{}
		for range pick(60) {
			stepSet(t, pick, s, m)
		}
	})
}

func FuzzSet(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		pick, more := bytesChooser(data)
		s, m := NewSet(), modelSet{}
		for more() {
			stepSet(t, pick, s, m)
		}
	})
}

// The counts, the times and the united flags of a merge do not depend on the
// order in which news came.
func TestMergeCommutes(t *testing.T) {
	const ordered = Born | Ghost | Gone | Dir | Subtree | Moved
	check(t, func(t *rapid.T, pick chooser) {
		a, b := someEntry(pick), someEntry(pick)
		b.Path = a.Path
		ab, ba := merge(a, b), merge(b, a)
		for _, e := range []*Entry{&ab, &ba} {
			e.Flags &^= ordered
			e.From = ""
		}
		if ab != ba {
			t.Fatalf("%+v and %+v: %+v in one order, %+v in the other", a, b, ab, ba)
		}
	})
}

// Iterations stop when they are told to, also in a set larger than a node.
func TestAscendStops(t *testing.T) {
	s := NewSet()
	for _, p := range bigPaths(1000) {
		s.Add(Entry{Path: p, Flags: Content})
	}
	dir := Parent(bigPaths(1)[0])
	for name, walk := range map[string]func(func(Entry) bool){
		"Ascend":      s.Ascend,
		"AscendFrom":  func(f func(Entry) bool) { s.AscendFrom("d", f) },
		"AscendUnder": func(f func(Entry) bool) { s.AscendUnder(dir, f) },
	} {
		n := 0
		walk(func(Entry) bool {
			n++
			return n < 3
		})
		if n != 3 {
			t.Errorf("%s went on to %d entries after 3", name, n)
		}
	}
}

// Pruning takes more than one chunk.
func TestPruneLarge(t *testing.T) {
	s := NewSet()
	paths := bigPaths(20000)
	for _, p := range paths {
		s.Add(Entry{Path: p, Flags: Content})
	}
	for _, dir := range []string{Parent(paths[0]), Parent(Parent(paths[0])), ""} {
		want := len(collect(func(f func(Entry) bool) { s.AscendUnder(dir, f) }))
		left := s.Len() - want
		if got := s.PruneUnder(dir); got != want || s.Len() != left {
			t.Errorf("PruneUnder(%q) = %d and left %d, want %d and %d", dir, got, s.Len(), want, left)
		}
	}
	if s.Bytes() != 0 {
		t.Errorf("an empty set claims %d bytes", s.Bytes())
	}
}
