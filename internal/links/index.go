package links

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// maxNames bounds the index: some 100 bytes a name beside the paths' own.
	maxNames = 1_000_000
	// recentFiles bounds the files with a single name that are remembered.
	recentFiles = 1 << 16
)

// Index knows the names of the files with several links below a root.
type Index struct {
	cfg   Config
	max   int
	names names
	inUse bool
	// outside counts the names of a file that the last walk did not find: they
	// are excluded or not below the root.
	outside map[inode]uint32
	// recent is where files with a single name were last seen. When such a file
	// gets a second name, the kernel tells of that one only; without the first
	// the whole tree would have to be searched for it.
	recent fifo[inode, string]
	// full: there are more names than max; freed counts those that left since.
	full   bool
	freed  int
	unread bool // the last walk met directories it could not read
	logged bool
	walks  int
	doubts
	rest             time.Time // when the next search in the background may begin
	searches, hidden int
	stats            atomic.Pointer[Stats]
}

// New returns an Index.
func New(cfg Config) *Index {
	x := &Index{
		cfg: cfg.withDefaults(), max: maxNames, names: newNames(),
		recent: newFIFO[inode, string](recentFiles), doubts: newDoubts(cfg.Blind && !cfg.NoSearch),
	}
	x.doubts.blindAt = x.cfg.BlindAt
	x.publish()
	return x
}

// Expand returns the entries and one more for each other name of a file they
// changed, sorted by path and merged as a coalesce.Set merges. The entries are
// sorted and free of overlaps, as in a Change. With an error, which means that
// the root could not be looked at, they come back as they were.
func (x *Index) Expand(entries []coalesce.Entry) ([]coalesce.Entry, error) {
	defer x.publish()
	x.observe(entries)
	if !x.concerned(entries) {
		x.judgeAll(entries)
		return entries, nil
	}
	t, err := openTree(x.cfg.Root)
	if err != nil {
		x.judgeAll(entries)
		return entries, err
	}
	defer t.close()
	walks := x.walks
	ts := touches{}
	for _, e := range entries {
		a, missing := x.visit(t, e, ts)
		x.judge(e, a, missing)
		x.remember(e, a, t.looks)
	}
	if x.walks == walks && (x.full && x.freed > x.max/4 || !x.full && x.short(t, ts)) {
		x.build(t, ts)
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
// It returns what is at the path, nothing if there was no need to look, and
// whether a look found it missing.
func (x *Index) visit(t *tree, e coalesce.Entry, ts touches) (a attrs, missing bool) {
	if !x.inUse && !changes(e) {
		// Files may have been linked into a directory of unknown history.
		if !e.Has(coalesce.Subtree) || e.Path == "" || len(x.walk(t, e.Path, nil)) == 0 {
			return attrs{}, false
		}
		x.build(t, nil)
	}
	if e.Path == "" {
		if e.Has(coalesce.Subtree) {
			x.build(t, nil)
		}
		return attrs{}, false
	}
	a, err := t.stat(e.Path)
	if err != nil && !vanished(err) {
		x.cfg.Log.Warn("cannot look at a changed path for other names", "root", x.cfg.Root, "path", e.Path, "error", err)
		return attrs{}, false
	}
	x.depart(e, a, ts)
	switch {
	case a.dir():
		if e.Has(coalesce.Subtree) {
			x.arrive(t, e, ts)
		}
	case a.linked() && !x.cfg.Skip(e.Path, false):
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
	return a, err != nil
}

// single takes a file with no other name out of the index.
func (x *Index) single(f inode, path string) {
	x.drop(path)
	delete(x.outside, f)
	x.recent.put(f, path)
}

// recall registers the name a file had while it had no other.
func (x *Index) recall(t *tree, f inode) {
	path, ok := x.recent.get(f)
	if !ok || x.cfg.Skip(path, false) {
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
	if x.cfg.Skip(e.Path, true) {
		return
	}
	for _, f := range x.walk(t, e.Path, nil) {
		x.register(f.link)
		ts.add(f.link.file, e, ifChanged)
	}
}

// build walks the whole tree for the names. Of the touched files it finds the
// last name too: the others may be gone since they were touched.
func (x *Index) build(t *tree, ts touches) {
	x.names = newNames()
	x.outside = map[inode]uint32{}
	x.full, x.unread, x.freed = false, false, 0
	x.inUse = true
	x.walks++
	for _, f := range x.walk(t, "", ts) {
		x.register(f.link)
		left, seen := x.outside[f.link.file]
		if !seen {
			left = f.nlink
		}
		x.outside[f.link.file] = max(left, 1) - 1
	}
	maps.DeleteFunc(x.outside, func(_ inode, left uint32) bool { return left == 0 })
	x.cfg.Log.Info("indexed hard links", "root", x.cfg.Root, "names", x.names.len())
}

// walk finds the names below dir of files with several links, and of the
// touched ones.
func (x *Index) walk(t *tree, dir string, ts touches) []found {
	w := walker{tree: t, skip: x.cfg.Skip, most: x.max}
	w.keep = func(a attrs) bool {
		_, touched := ts[a.file]
		return a.nlink > 1 || touched
	}
	w.run(dir)
	if w.dropped > 0 {
		x.overflow()
	}
	if w.unread > 0 {
		x.unread = true
		x.cfg.Log.Warn("hard links in unreadable directories are not known", "root", x.cfg.Root, "below", dir, "directories", w.unread, "error", w.err)
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
		x.cfg.Log.Warn("too many hard links to know them all: after a write through one name, other names may stay old at the remotes until the next full comparison", "root", x.cfg.Root, "limit", x.max)
	}
}

// short reports whether a file that was changed has names that are neither in
// the index nor known to be outside. Of a lost file no name is known: there may
// be one left.
func (x *Index) short(t *tree, ts touches) bool {
	short := false
	for f, touch := range ts {
		live, a := x.live(t, f)
		switch {
		case len(live) == 0:
			short = short || touch.lost
		case uint32(len(live))+x.outside[f] < a.nlink && touch.proves(a, t.times(f)):
			short = true
		}
	}
	return short
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
			if x.covered(set, e) {
				continue
			}
			set.Add(e)
			x.remember(e, a, t.looks)
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

// covered reports whether the entries say enough of the path already.
func (x *Index) covered(set *coalesce.Set, e coalesce.Entry) bool {
	if set.Covered(e.Path) {
		return true
	}
	known, ok := set.Get(e.Path)
	return ok && (known.Has(coalesce.Content) || known.Has(coalesce.Attr) && !e.Has(coalesce.Content))
}
