package coalesce

import "github.com/fansync/fansync/internal/sorted"

const (
	// itemBytes is what an item costs besides its path's bytes: 48 for the
	// item, 14 for its share of nodes that are half to two thirds full, the
	// rest for what the allocator rounds up, the path's end included.
	itemBytes = 72
	// fromBytes is what an old path costs besides its bytes.
	fromBytes = 80
	// pruneChunk is how many items are collected before they are deleted: the
	// tree must not change while it is walked.
	pruneChunk = 64
)

// free is what emptied sets of all remotes keep for the next fill, together
// some 2 MB.
var free = sorted.NewPool[*item]()

// item is an Entry as the tree holds it: without From, which few entries have
// and which would take it to the allocator's next size. The tree holds
// pointers: nodes filled in tree order stay half empty, and with the items
// themselves in them a million would cost 30 MB more. It also lets a merge
// change the item where it is.
type item struct {
	path        string
	since, last int64
	seq         uint64
	deletes     uint32
	flags       Flags
	from        bool // froms has the path
}

func less(a, b *item) bool { return a.path < b.path }

// Set is a set of dirty paths in byte order. Adding merges. It is not safe
// for concurrent use, and must not be changed by the function that one of its
// Ascend methods calls.
type Set struct {
	tree sorted.Tree[*item]
	// froms holds the old paths of renames by new path.
	froms map[string]string
	// subtrees counts the Subtree entries: without any, nothing is covered,
	// and finding that out must cost nothing.
	subtrees int
	bytes    int
	// probe is the key of a look-up, and chunk what takeUnder collects; they
	// are here so that neither allocates.
	probe item
	chunk []*item
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{tree: sorted.New(less, free)}
}

// Len is the number of entries.
func (s *Set) Len() int { return s.tree.Len() }

// Bytes is roughly how much memory the entries take.
func (s *Set) Bytes() int { return s.bytes }

// Get returns the entry of exactly this path.
func (s *Set) Get(path string) (Entry, bool) {
	it := s.find(path)
	if it == nil {
		return Entry{}, false
	}
	return s.entry(it), true
}

// Remove takes the entry of exactly this path out of the set.
func (s *Set) Remove(path string) (Entry, bool) {
	it := s.find(path)
	if it == nil {
		return Entry{}, false
	}
	e := s.entry(it)
	s.drop(it)
	return e, true
}

// PruneUnder removes everything strictly below path and returns how many
// entries that were.
func (s *Set) PruneUnder(path string) int {
	n := 0
	s.takeUnder(path, func(Entry) { n++ })
	return n
}

// Covered reports whether a Subtree entry stands at path or above it.
func (s *Set) Covered(path string) bool {
	if s.subtrees == 0 {
		return false
	}
	if it := s.find(path); it != nil && it.flags&Subtree != 0 {
		return true
	}
	return s.above(path) != nil
}

// Ascend calls f for every entry in order of path until f returns false.
func (s *Set) Ascend(f func(Entry) bool) {
	s.tree.Ascend(func(it *item) bool { return f(s.entry(it)) })
}

// AscendFrom is Ascend beginning with the first entry not before path.
func (s *Set) AscendFrom(path string, f func(Entry) bool) {
	s.tree.AscendFrom(&item{path: path}, func(it *item) bool { return f(s.entry(it)) })
}

// AscendUnder is Ascend over the entries strictly below dir.
func (s *Set) AscendUnder(dir string, f func(Entry) bool) {
	s.ascendUnder(dir, func(it *item) bool { return f(s.entry(it)) })
}

// Clear empties the set.
func (s *Set) Clear() {
	s.tree.Clear()
	s.froms = nil
	s.subtrees = 0
	s.bytes = 0
}

// drain empties the set into a slice.
func (s *Set) drain() []Entry {
	if s.Len() == 0 {
		return nil
	}
	all := make([]Entry, 0, s.Len())
	s.Ascend(func(e Entry) bool {
		all = append(all, e)
		return true
	})
	s.Clear()
	return all
}

// ascendUnder walks the range "dir/" to "dir0", '0' being the byte after '/'.
func (s *Set) ascendUnder(dir string, f func(*item) bool) {
	if dir == "" {
		s.tree.AscendFrom(&item{path: "\x00"}, f)
		return
	}
	s.tree.AscendRange(&item{path: dir + "/"}, &item{path: dir + "0"}, f)
}

// takeUnder removes everything strictly below dir and shows it to f in order.
// It works in pieces, so that taking a million needs no second million.
func (s *Set) takeUnder(dir string, f func(Entry)) {
	if dir == "" {
		s.takeAll(f)
		return
	}
	for {
		s.ascendUnder(dir, func(it *item) bool {
			s.chunk = append(s.chunk, it)
			return len(s.chunk) < pruneChunk
		})
		for _, it := range s.chunk {
			e := s.entry(it)
			s.drop(it)
			f(e)
		}
		n := len(s.chunk)
		clear(s.chunk)
		s.chunk = s.chunk[:0]
		if n < pruneChunk {
			return
		}
	}
}

// takeAll is takeUnder the root, which empties the tree at one blow.
func (s *Set) takeAll(f func(Entry)) {
	s.AscendUnder("", func(e Entry) bool {
		f(e)
		return true
	})
	root := s.find("")
	e, ok := s.Get("")
	s.Clear()
	if ok {
		s.tree.Set(root)
		s.fill(root, e)
	}
}

// find returns the item of exactly this path, or nil.
func (s *Set) find(path string) *item {
	s.probe.path = path
	it, _ := s.tree.Get(&s.probe)
	return it
}

// above returns the Subtree item strictly above path, or nil; there is at most
// one.
func (s *Set) above(path string) *item {
	if s.subtrees == 0 {
		return nil
	}
	for path != "" {
		path = Parent(path)
		if it := s.find(path); it != nil && it.flags&Subtree != 0 {
			return it
		}
	}
	return nil
}

// put stores e in it, the item of its path, or in a new one if it is nil.
func (s *Set) put(it *item, e Entry) {
	if it == nil {
		it = &item{}
		s.fill(it, e)
		s.tree.Set(it)
		return
	}
	s.forget(it)
	s.fill(it, e)
}

// fill writes e into an item and into the accounts.
func (s *Set) fill(it *item, e Entry) {
	*it = item{
		path: e.Path, since: e.Since, last: e.Last, seq: e.Seq,
		deletes: e.Deletes, flags: e.Flags, from: e.From != "",
	}
	s.bytes += len(e.Path) + itemBytes
	if e.Has(Subtree) {
		s.subtrees++
	}
	if it.from {
		if s.froms == nil {
			s.froms = make(map[string]string)
		}
		s.froms[e.Path] = e.From
		s.bytes += len(e.From) + fromBytes
	}
}

// forget takes an item out of the accounts.
func (s *Set) forget(it *item) {
	s.bytes -= len(it.path) + itemBytes
	if it.flags&Subtree != 0 {
		s.subtrees--
	}
	if it.from {
		s.bytes -= len(s.froms[it.path]) + fromBytes
		delete(s.froms, it.path)
	}
}

// drop takes an item out of the tree and the accounts.
func (s *Set) drop(it *item) {
	s.tree.Delete(it)
	s.forget(it)
}

func (s *Set) entry(it *item) Entry {
	e := Entry{
		Path: it.path, Flags: it.flags, Deletes: it.deletes,
		Since: it.since, Last: it.last, Seq: it.seq,
	}
	if it.from {
		e.From = s.froms[it.path]
	}
	return e
}
