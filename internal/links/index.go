package links

import (
	"log/slog"
	"maps"

	"github.com/fansync/fansync/coalesce"
)

// maxNames bounds the index: some 100 bytes a name beside the paths' own.
const maxNames = 1_000_000

// Index knows the names of the files with several links below a root.
type Index struct {
	root  string
	skip  func(path string, isDir bool) bool
	log   *slog.Logger
	max   int
	names names
	inUse bool
	// outside counts the names of a file that the last walk did not find: they
	// are excluded or not below the root.
	outside map[inode]uint32
	recent  recent
	// full: there are more names than max; freed counts those that left since.
	full   bool
	freed  int
	unread bool // the last walk met directories it could not read
	logged bool
	walks  int
}

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
}

// New returns an Index of the tree at root, a path. What skip excludes is never
// told; nil excludes nothing. A nil log discards.
func New(root string, skip func(path string, isDir bool) bool, log *slog.Logger) *Index {
	if skip == nil {
		skip = func(string, bool) bool { return false }
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Index{root: root, skip: skip, log: log, max: maxNames, names: newNames()}
}

// Stats is how things stand.
func (x *Index) Stats() Stats {
	return Stats{InUse: x.inUse, Names: x.names.len(), Walks: x.walks, Incomplete: x.full || x.unread}
}

// Expand returns the entries and one more for each other name of a file they
// changed, sorted by path and merged as a coalesce.Set merges. The entries are
// sorted and free of overlaps, as in a Change. With an error, which means that
// the root could not be looked at, they come back as they were.
func (x *Index) Expand(entries []coalesce.Entry) ([]coalesce.Entry, error) {
	if !x.concerned(entries) {
		return entries, nil
	}
	t, err := openTree(x.root)
	if err != nil {
		return entries, err
	}
	defer t.close()
	if x.full && x.freed > x.max/4 {
		x.build(t, nil)
	}
	walks := x.walks
	ts := touches{}
	for _, e := range entries {
		x.visit(t, e, ts)
	}
	if short, lost := x.short(t, ts); short && x.walks == walks && !x.full {
		x.build(t, lost)
	}
	return x.tell(t, entries, ts), nil
}

// concerned reports whether any entry needs a look.
func (x *Index) concerned(entries []coalesce.Entry) bool {
	for _, e := range entries {
		if x.inUse || changes(e) || e.Has(coalesce.Subtree) {
			return true
		}
	}
	return false
}

// changes reports whether the entry is news of what is in a file.
func changes(e coalesce.Entry) bool {
	return e.Any(coalesce.Content|coalesce.Attr) && !e.Any(coalesce.Dir|coalesce.Ghost|coalesce.Gone|coalesce.Subtree)
}

// visit brings the index up to date with one entry and notes what it touched.
func (x *Index) visit(t *tree, e coalesce.Entry, ts touches) {
	if !x.inUse && !changes(e) {
		// Files may have been linked into a directory of unknown history.
		if !e.Has(coalesce.Subtree) || e.Path == "" || len(x.walk(t, e.Path, nil)) == 0 {
			return
		}
		x.build(t, nil)
	}
	if e.Path == "" {
		if e.Has(coalesce.Subtree) {
			x.build(t, nil)
		}
		return
	}
	a, err := t.stat(e.Path)
	if err != nil && !vanished(err) {
		x.log.Warn("cannot look at a changed path for other names", "root", x.root, "path", e.Path, "error", err)
		return
	}
	x.depart(e, a, ts)
	switch {
	case a.dir():
		if e.Has(coalesce.Subtree) {
			x.arrive(t, e, ts)
		}
	case a.linked() && !x.skip(e.Path, false):
		if !x.inUse {
			x.build(t, nil)
		}
		x.register(link{e.Path, a.file})
		x.recall(t, a.file)
		if e.Any(coalesce.Content | coalesce.Attr) {
			ts.add(a.file, e, proofOf(e))
		}
	case a.regular() && x.inUse:
		x.single(a.file, e.Path)
	}
}

// single takes a file with no other name out of the index.
func (x *Index) single(f inode, path string) {
	x.drop(path)
	delete(x.outside, f)
	x.recent.note(f, path)
}

// recall registers the name a file had while it had no other.
func (x *Index) recall(t *tree, f inode) {
	path, ok := x.recent.path(f)
	if !ok || x.skip(path, false) {
		return
	}
	if a, err := t.stat(path); err == nil && a.file == f {
		x.register(link{path, f})
	}
}

// proofOf is what an entry of a file itself proves. A name that came or went
// counts as Content whether or not the file was written; the attributes may
// have been set to hide a write.
func proofOf(e coalesce.Entry) proof {
	if e.Has(coalesce.Name) && !e.Any(coalesce.Attr|coalesce.Wrote) {
		return ifWritten
	}
	return sure
}

// depart forgets the names at and below the entry's path that are no more. The
// files they named may have been changed before, under these names or under
// some to which they were moved and that are gone too.
func (x *Index) depart(e coalesce.Entry, a attrs, ts touches) {
	if f, ok := x.names.file(e.Path); ok && (f != a.file || !a.linked()) {
		x.drop(e.Path)
		ts.add(f, e, proofOf(e))
	}
	if a.dir() && !e.Has(coalesce.Subtree) {
		return
	}
	// A directory's entry takes the flags of what it swallowed.
	p := ifWritten
	if e.Any(coalesce.Wrote | coalesce.Attr) {
		p = sure
	}
	for _, l := range x.names.under(e.Path) {
		x.drop(l.path)
		ts.add(l.file, e, p)
	}
}

// arrive registers the names below a directory whose history is not known.
func (x *Index) arrive(t *tree, e coalesce.Entry, ts touches) {
	if x.skip(e.Path, true) {
		return
	}
	for _, f := range x.walk(t, e.Path, nil) {
		x.register(f.link)
		ts.add(f.link.file, e, ifChanged)
	}
}

// build walks the whole tree for the names, and for the names of the files that
// are lost.
func (x *Index) build(t *tree, lost map[inode]bool) {
	x.names = newNames()
	x.outside = map[inode]uint32{}
	x.full, x.unread, x.freed = false, false, 0
	x.inUse = true
	x.walks++
	for _, f := range x.walk(t, "", lost) {
		x.register(f.link)
		left, seen := x.outside[f.link.file]
		if !seen {
			left = f.nlink
		}
		x.outside[f.link.file] = max(left, 1) - 1
	}
	maps.DeleteFunc(x.outside, func(_ inode, left uint32) bool { return left == 0 })
	x.log.Info("indexed hard links", "root", x.root, "names", x.names.len())
}

func (x *Index) walk(t *tree, dir string, want map[inode]bool) []found {
	w := walker{tree: t, skip: x.skip, want: want, most: x.max}
	w.run(dir)
	if w.dropped > 0 {
		x.overflow()
	}
	if w.unread > 0 {
		x.unread = true
		x.log.Warn("hard links in unreadable directories are not known", "root", x.root, "below", dir, "directories", w.unread, "error", w.err)
	}
	return w.found
}

func (x *Index) register(l link) {
	f, known := x.names.file(l.path)
	switch {
	case known && f == l.file:
	case !known && x.names.len() >= x.max:
		x.overflow()
	default:
		x.names.set(l)
	}
}

func (x *Index) drop(path string) {
	if x.names.drop(path) && x.full {
		x.freed++
	}
}

func (x *Index) overflow() {
	x.full = true
	if !x.logged {
		x.logged = true
		x.log.Warn("too many hard links to know them all: after a write through one name, other names may stay old at the remotes until the next full comparison", "root", x.root, "limit", x.max)
	}
}

// short reports whether a file that was changed has names that are neither in
// the index nor known to be outside. Of the lost files no name is known: there
// may be one left.
func (x *Index) short(t *tree, ts touches) (short bool, lost map[inode]bool) {
	lost = map[inode]bool{}
	for f, touch := range ts {
		live, a := x.live(t, f)
		switch {
		case len(live) == 0:
			if touch.lost {
				lost[f] = true
			}
		case uint32(len(live))+x.outside[f] < a.nlink && touch.proves(a, t.times(f)):
			short = true
		}
	}
	return short || len(lost) > 0, lost
}

// live are the file's names that still are, and what it is now. Those that are
// no more are forgotten.
func (x *Index) live(t *tree, f inode) (paths []string, now attrs) {
	for _, path := range x.names.of(f) {
		a, err := t.stat(path)
		if err == nil && a.file == f {
			paths = append(paths, path)
			now = a
		} else if err == nil || vanished(err) {
			x.drop(path)
		}
	}
	return paths, now
}

// tell adds an entry for each other name that still is one.
func (x *Index) tell(t *tree, entries []coalesce.Entry, ts touches) []coalesce.Entry {
	var set *coalesce.Set
	for f, touch := range ts {
		live, a := x.live(t, f)
		if len(live) == 0 {
			continue
		}
		if !a.linked() {
			x.single(f, live[0])
		}
		if !touch.proves(a, t.times(f)) {
			continue
		}
		for _, path := range live {
			if set == nil {
				set = coalesce.NewSet()
				for _, e := range entries {
					set.Add(e)
				}
			}
			e := touch.entry
			e.Path = path
			if x.told(set, e) {
				continue
			}
			set.Add(e)
		}
	}
	if set == nil {
		return entries
	}
	all := make([]coalesce.Entry, 0, set.Len())
	set.Ascend(func(e coalesce.Entry) bool {
		all = append(all, e)
		return true
	})
	return all
}

// told reports whether the entries say enough of the path already.
func (x *Index) told(set *coalesce.Set, e coalesce.Entry) bool {
	if set.Covered(e.Path) {
		return true
	}
	known, ok := set.Get(e.Path)
	return ok && (known.Has(coalesce.Content) || known.Has(coalesce.Attr) && !e.Has(coalesce.Content))
}
