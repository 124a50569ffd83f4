package scheduler

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/fansync/fansync/coalesce"
)

// flight is one batch on its way, with what it took from the dirty set.
type flight struct {
	batch   Batch
	entries []coalesce.Entry          // taken; requeued as they are if the batch fails
	after   map[string]coalesce.Entry // directories to be made dirty when it has ended, see retouch
	full    *owed                     // what a Full batch stands for
	preview bool                      // MaxDelete is 0 to count the deletions first
	cleared bool                      // its removals lose nothing: what they name has moved
	deletes int64                     // removals the entries are known to hold
	born    int64                     // entries no remote had before
	made    int64                     // entries that the run made at the remote, as rsync told
	// deleters are the paths of the entries that may want deletions.
	deleters map[string]bool
	// bases are the paths at the remote that the run takes data from, sorted.
	bases   []string
	cancel  context.CancelFunc
	big     bool     // its items are large files, or were
	bytes   int64    // size of the listed files
	bigSize int64    // the size from which a file is large, when it was built
	shards  int      // how many a full run may be divided into
	search  []Item   // items below which large files are to be looked for
	left    []string // what it leaves out for being large; of the sender until it ends
	cut     bool     // ended early for what waits
	heir    string   // the removal for which it was ended; "": none
	begun   int64    // when it was built, as Config.Now gives it
	end     int64    // when it ended; 0 while it is in the air
	wall    int64    // when it ended, as Config.Wall gives it
}

// find is the index of the first item whose path is not below path.
func (f *flight) find(path string) int {
	return sort.Search(len(f.batch.Items), func(i int) bool { return f.batch.Items[i].Path >= path })
}

// item is the batch's item at exactly path.
func (f *flight) item(path string) (Item, bool) {
	if i := f.find(path); i < len(f.batch.Items) && f.batch.Items[i].Path == path {
		return f.batch.Items[i], true
	}
	return Item{}, false
}

// below reports whether an item lies strictly below dir.
func (f *flight) below(dir string) bool {
	if dir == "" {
		return len(f.batch.Items) > 0
	}
	i := f.find(dir + "/")
	return i < len(f.batch.Items) && strings.HasPrefix(f.batch.Items[i].Path, dir+"/")
}

// covers reports whether the flight may read the source's path and put it at
// the remote, or delete it there.
func (f *flight) covers(path string) bool {
	if f.batch.Form == Full {
		return true
	}
	if _, ok := f.item(path); ok {
		return true
	}
	if it, ok := f.item(coalesce.Parent(path)); ok && it.Children && path != "" {
		return true
	}
	for p := path; p != ""; {
		p = coalesce.Parent(p)
		if it, ok := f.item(p); ok && (f.batch.Form.Deep() || it.Missing) {
			return true
		}
	}
	return false
}

// conflicts reports whether sending path now could meet the flight: the same
// path, an ancestor or a descendant of what it sends or takes data from. An ancestor counts because every run also
// sets the attributes of the directories above its paths.
func (f *flight) conflicts(path string) bool {
	if f.batch.Form == Full || path == "" || f.below(path) || f.basesBelow(path) {
		return true
	}
	for p := path; ; p = coalesce.Parent(p) {
		if _, ok := f.item(p); ok || f.base(p) {
			return true
		}
		if p == "" {
			return false
		}
	}
}

// base reports whether the run takes data from path at the remote.
func (f *flight) base(path string) bool {
	_, ok := slices.BinarySearch(f.bases, path)
	return ok
}

// basesBelow reports whether it takes some from below dir.
func (f *flight) basesBelow(dir string) bool {
	i, _ := slices.BinarySearch(f.bases, dir+"/")
	return i < len(f.bases) && strings.HasPrefix(f.bases[i], dir+"/")
}

// wide reports whether the flight may send or delete paths that its list does
// not name.
func (f *flight) wide() bool {
	return f.batch.Form.Deep() || slices.ContainsFunc(f.batch.Items, func(it Item) bool { return it.Children })
}

// meets reports whether the entry's event may tell of a change that the flight
// has sent a part of.
func (f *flight) meets(e coalesce.Entry) bool {
	return f.covers(e.Path) || e.Any(coalesce.Subtree|coalesce.Children) && f.below(e.Path)
}

// touches reports whether the flight may have taken path e.Path to the remote,
// if only as a directory above its own paths.
func (f *flight) touches(e coalesce.Entry) bool {
	return f.covers(e.Path) || f.below(e.Path)
}

// removed reports whether the flight was to delete path.
func (f *flight) removed(path string) bool {
	it, ok := f.item(path)
	return ok && it.Missing
}

// oldest gives the time of the oldest event and the smallest number.
func oldest(entries []coalesce.Entry) (since int64, seq uint64) {
	for i, e := range entries {
		if i == 0 || e.Since < since {
			since = e.Since
		}
		if i == 0 || e.Seq < seq {
			seq = e.Seq
		}
	}
	return since, seq
}
