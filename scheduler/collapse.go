package scheduler

import (
	"slices"

	"github.com/fansync/fansync/coalesce"
)

// crowdMin and crowdShare decide when a directory's listed entries become the
// one-level form: at least crowdMin of them, and at least one in crowdShare of
// all it holds.
//
// Measured by bench/micro BenchmarkForms as CPU time of both sides, with rsync
// 3.5.0 from tmpfs to tmpfs, a list against the one-level form: in a directory
// of 10,000 files all of which are dirty, 270 ms against 229; of each 2 files
// one, 134 against 143; of each 4 one, 74 against 104; of each 16 one, 23
// against 67. Of 1,000 files: 32.5 against 25.2, 20.1 against 20.2, 12.4 against
// 15.7, 7.4 against 12.3. Of 100 files, where a run's own 6 ms hide the rest, 8.7
// against 8.2 and 7.1 against 6.8. The recursive form of a directory without
// others costs as much as the one-level form.
const (
	crowdMin   = 32
	crowdShare = 2
)

// collapse replaces the items of a crowded directory by its one-level form.
func (r *remote) collapse(b *bucket, look *looker) {
	crowds := map[string][]string{}
	for p, it := range b.items {
		if p != "" && !it.Children {
			dir := coalesce.Parent(p)
			crowds[dir] = append(crowds[dir], p)
		}
	}
	for _, p := range b.placed {
		if p.entry.Has(coalesce.Exact) {
			delete(crowds, coalesce.Parent(p.entry.Path))
		}
	}
	for dir, crowd := range crowds {
		n := len(crowd)
		if n < r.cfg.crowdMin || r.blocked(dir) || r.losesWaiting(dir) || r.hasTrouble(dir, false) {
			continue
		}
		size, err := look.crowd(dir, n*crowdShare+1)
		if err != nil || size > n*crowdShare {
			continue
		}
		for _, p := range crowd {
			if !b.items[p].Children { // it may have been collapsed meanwhile
				delete(b.items, p)
			}
		}
		b.items[dir] = Item{Path: dir, Children: true}
	}
}

// losesWaiting reports whether a removal waits directly below dir, for its
// count, for more of its kind or for what moved away: the one-level form would
// delete it before.
func (r *remote) losesWaiting(dir string) bool {
	found := false
	r.dirty.AscendUnder(dir, func(e coalesce.Entry) bool {
		found = e.Any(coalesce.Gone|coalesce.Uncounted) && !e.Has(coalesce.Ghost) && coalesce.Parent(e.Path) == dir
		return !found
	})
	return found
}

// hasTrouble reports whether a path directly below dir has failed, or with deep
// one at or anywhere below it: dir's wide form would take it along.
func (r *remote) hasTrouble(dir string, deep bool) bool {
	takes := func(path string) bool {
		return coalesce.Parent(path) == dir || deep && (path == dir || coalesce.Under(path, dir))
	}
	for path := range r.troubles.by {
		if takes(path) {
			return true
		}
	}
	for _, group := range r.suspects {
		if slices.ContainsFunc(group, func(e coalesce.Entry) bool { return takes(e.Path) }) {
			return true
		}
	}
	return false
}
