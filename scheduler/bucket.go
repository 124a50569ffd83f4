package scheduler

import (
	"maps"
	"slices"
	"strings"

	"github.com/fansync/fansync/coalesce"
)

// purpose sets batches of one form apart, the first to go first.
type purpose uint8

const (
	// counting: removals that may take an unknown number of files with them;
	// nothing is deleted until they were counted.
	counting purpose = iota
	// clearing: removals that lose nothing, because what was there has moved.
	clearing
	// plain: all else.
	plain
)

// placed is an entry and the item that is sent for it.
type placed struct {
	entry coalesce.Entry
	item  Item
	form  Form // without regard to older names
	// deletes says that what the remote has at or below it may have to go.
	deletes bool
	size    int64 // of the file at the source, bytes
}

// kind sets batches apart; from and to are those of a Move form.
type kind struct {
	form     Form
	purpose  purpose
	from, to string
}

// bucket collects what goes into one batch.
type bucket struct {
	kind
	items   map[string]Item
	placed  []placed
	weight  int64 // of what moves, see MoveMin
	since   int64
	deletes int64
	born    int64
	bytes   int64
}

func (b *bucket) add(p placed) {
	b.put(p.item)
	b.note(p)
}

// note is add when the item is there, or another that stands for it.
func (b *bucket) note(p placed) {
	if len(b.placed) == 0 || p.entry.Since < b.since {
		b.since = p.entry.Since
	}
	b.placed = append(b.placed, p)
	b.bytes += p.size
	switch {
	case p.entry.Has(coalesce.Ghost): // no remote has it, and none will
	case p.item.Missing:
		b.deletes += int64(p.entry.Deletes)
	case p.entry.Has(coalesce.Born):
		b.born++
	}
}

// entries are what the bucket took from the dirty set.
func (b *bucket) entries() []coalesce.Entry {
	all := make([]coalesce.Entry, len(b.placed))
	for i, p := range b.placed {
		all[i] = p.entry
	}
	return all
}

// deleters are the paths of the entries for whose sake something may have to be
// deleted.
func (b *bucket) deleters() map[string]bool {
	paths := map[string]bool{}
	for _, p := range b.placed {
		if p.deletes {
			paths[p.entry.Path] = true
		}
	}
	return paths
}

func (b *bucket) put(it Item) {
	if old, ok := b.items[it.Path]; ok {
		it.Children = it.Children || old.Children
		it.Missing = it.Missing && old.Missing
	}
	b.items[it.Path] = it
}

// implies reports whether a run of the bucket sets the attributes of dir.
func (b *bucket) implies(dir string) bool {
	for p := range b.items {
		if p == dir || coalesce.Under(p, dir) {
			return true
		}
	}
	return false
}

// listOf is the bucket's items in order, without those that lie below a
// missing path or, in the deep forms, below any other.
func listOf(b *bucket) []Item {
	items := slices.SortedFunc(maps.Values(b.items), func(x, y Item) int { return strings.Compare(x.Path, y.Path) })
	covers := map[string]bool{}
	for _, it := range items {
		if it.Missing || b.form.Deep() {
			covers[it.Path] = true
		}
	}
	if len(covers) == 0 {
		return items
	}
	return slices.DeleteFunc(items, func(it Item) bool {
		for p := it.Path; p != ""; {
			if p = coalesce.Parent(p); covers[p] {
				return true
			}
		}
		return false
	})
}

func newBucket(k kind) *bucket { return &bucket{kind: k, items: map[string]Item{}} }
