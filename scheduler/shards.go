package scheduler

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fansync/fansync/coalesce"
)

const (
	// shardEntry is what an entry of the source weighs, as bytes that take as
	// long to send as it takes to compare it and to begin a file.
	shardEntry = 16 << 10
	// shardMin is the least that a shard should weigh, 16,384 entries or 256 MiB:
	// below that a second connection takes longer than it saves. With a daemon on
	// the same two cores, two rsyncs took 0.48 of the time of one for 60,000 new
	// files, four 0.46; when the daemon had them all, 0.98 and 1.01. Finding the
	// shards took 1.4 µs an entry.
	shardMin = 256 << 20
	// shardParts is into how many parts of a shard's weight the tree is cut, so
	// that the shards can be made equal.
	shardParts = 4
	// maxParts bounds the directories that are listed for all shards together.
	maxParts = 20_000
	// branchMin is the least weight for which a directory is remembered by itself.
	// It grows when there are more than maxBranches.
	branchMin   = 64 * shardEntry
	maxBranches = 20_000
)

// Shard is a part of a full run: directories with everything below them.
type Shard struct {
	// Items are sorted by path.
	Items []Item
	// Weight is about how much of the run it is.
	Weight int64
	// Entries counts files and directories.
	Entries int64
}

// branch is a directory of the source with what it weighs.
type branch struct {
	path   string
	weight int64 // with everything below it
	// entries counts those below it, and itself.
	entries int64
	subs    []*branch
	// whole says that subs are all its directories: it can be cut.
	whole bool
}

// cut divides a full run of the tree below root among at most n shards. border
// are the directories above the shards, whose direct entries are compared before
// the shards begin: that deletes what the source has not, and makes the
// directories of the shards. It returns nothing if one run does as well.
func (root *branch) cut(n int, least int64) (border []Item, shards []Shard) {
	n = int(min(int64(n), root.weight/max(least, 1)))
	if n < 2 {
		return nil, nil
	}
	part := root.weight / int64(n*shardParts)
	parts := []*branch{root}
	for {
		i := -1
		for j, b := range parts {
			if b.whole && len(b.subs) > 0 && b.weight > part && len(parts)+len(b.subs) <= maxParts && (i < 0 || b.weight > parts[i].weight) {
				i = j
			}
		}
		if i < 0 {
			break
		}
		b := parts[i]
		border = append(border, Item{Path: b.path, Children: true})
		parts = append(slices.Delete(parts, i, i+1), b.subs...)
	}
	if len(parts) < 2 || len(border) == 0 {
		return nil, nil
	}
	slices.SortFunc(parts, func(x, y *branch) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), strings.Compare(x.path, y.path))
	})
	shards = make([]Shard, min(n, len(parts)))
	for _, b := range parts {
		lightest := 0
		for i := range shards {
			if shards[i].Weight < shards[lightest].Weight {
				lightest = i
			}
		}
		s := &shards[lightest]
		s.Items = append(s.Items, Item{Path: b.path})
		s.Weight += b.weight
		s.Entries += b.entries
	}
	byPath := func(x, y Item) int { return strings.Compare(x.Path, y.Path) }
	for i := range shards {
		slices.SortFunc(shards[i].Items, byPath)
	}
	slices.SortFunc(border, byPath)
	return border, shards
}

// Twice counts the entries that the lists of the shards have beside those of the
// border: their directories, and those above them.
func (s Shard) Twice() int64 {
	seen := map[string]bool{}
	for _, it := range s.Items {
		for p := it.Path; !seen[p]; p = coalesce.Parent(p) {
			seen[p] = true
		}
	}
	return int64(len(seen))
}
