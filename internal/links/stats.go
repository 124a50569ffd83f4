package links

// Stats tells of an Index.
type Stats struct {
	// InUse: a file with several links has changed, so the index is kept.
	InUse bool
	// Names is how many names it holds.
	Names int
	// Walks counts the walks over the whole tree.
	Walks int
	// Incomplete: not all names are known, because there are too many or a
	// directory could not be read.
	Incomplete bool
	// Searches counts the searches for files that were changed under names that
	// are gone, Hidden the files that they found.
	Searches, Hidden int
}

// Stats is how things stood after the last Change. Any goroutine may call it.
func (x *Index) Stats() Stats { return *x.stats.Load() }

func (x *Index) publish() {
	x.stats.Store(&Stats{
		InUse: x.inUse, Names: x.names.len(), Walks: x.walks, Incomplete: x.full || x.unread,
		Searches: x.searches, Hidden: x.hidden,
	})
}
