package watcher

import "slices"

// maxUnwatched bounds Stats.UnwatchedPaths.
const maxUnwatched = 20

// block notes that id cannot be watched, and how many directories are below it.
func (t *inoTree) block(id inoID, below uint64) {
	t.unblock(id)
	t.blind[id] = below
	t.unwatched += 1 + below
}

// unblock takes back block.
func (t *inoTree) unblock(id inoID) {
	if below, ok := t.blind[id]; ok {
		delete(t.blind, id)
		t.unwatched -= 1 + below
	}
}

// blindPaths are the first paths, in byte order, of the directories that cannot
// be watched; each stands for all below it.
func (t *inoTree) blindPaths() (paths []string) {
	for id := range t.blind {
		path, ok := t.path(id)
		if !ok || len(paths) == maxUnwatched && path >= paths[maxUnwatched-1] {
			continue
		}
		i, _ := slices.BinarySearch(paths, path)
		if paths = slices.Insert(paths, i, path); len(paths) > maxUnwatched {
			paths = paths[:maxUnwatched]
		}
	}
	return paths
}

// nameUnwatched brings Stats.UnwatchedPaths up to date. The caller holds mu.
func (b *ino) nameUnwatched() {
	paths := b.tree.blindPaths()
	b.r.w.count.blind.Store(&paths)
}
