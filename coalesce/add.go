package coalesce

// Add merges e into the set as the newest news of its path:
//
//   - Below a Subtree entry it is folded into that entry.
//   - A path already in the set keeps one entry, see merge. If e's events
//     began before those of the entry in the set, e is late and added as
//     AddOlder does.
//   - A Subtree entry swallows everything below its path.
//   - So does the removal of a directory (Gone and Dir): what was below went
//     with it.
func (s *Set) Add(e Entry) { s.add(e, false) }

// AddOlder merges e into the set as news from before all that the set has
// heard of the path: an entry that was taken out for a batch and comes back
// because the batch failed. The batch may have carried the path, so nothing of
// it stays Born. It swallows what stands below only if it becomes a Subtree,
// for a removal may be older than what stands there.
func (s *Set) AddOlder(e Entry) { s.add(e, true) }

func (s *Set) add(e Entry, older bool) {
	if a := s.above(e.Path); a != nil {
		s.put(a, fold(s.entry(a), e))
		return
	}
	it := s.find(e.Path)
	older = older || it != nil && e.Since < it.since
	removal := !older && gone(e) && e.Has(Dir)
	if older {
		e = unborn(e)
	}
	switch {
	case it != nil && older:
		e = merge(e, unborn(s.entry(it)))
	case it != nil:
		e = merge(s.entry(it), e)
	}
	if e.Has(Subtree) || removal {
		s.takeUnder(e.Path, func(b Entry) { e = fold(e, b) })
	}
	s.put(it, e)
}
