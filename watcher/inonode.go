package watcher

import "hash/maphash"

// inoID is a directory's place in the slab of an inoTree; 0 is none.
type inoID int32

// inoRoot is the root's.
const inoRoot inoID = 1

// inoRef is an inoID that can be kept while the tree changes.
type inoRef struct {
	id  inoID
	gen uint32
}

// inoNode is a directory watched by inotify, or one that should be. It has no
// pointers: there are many, and each counts.
//
// Where a directory is, is never taken from the names in records: a name
// that came leads to opening it, watching what was opened, and linking the
// node of the watch descriptor the kernel gave, which is the same for the same
// directory. A name that went only unlinks.
type inoNode struct {
	wd int32 // 0: not watched
	// parent is 0 for the root, and for what is not linked.
	parent inoID
	// kids is the first directory in this one, next and prev are the others in
	// the parent, in no order. In a node not in use, next is another such.
	kids, next, prev inoID
	name             nameRef
	// gen is odd while the node is in use, and grows by each use.
	gen uint32
	// seen is the number of the last walk that met the directory.
	seen uint32
	// listed says that it was listed after it was watched, so that all its
	// entries are known or will come as records.
	listed bool
}

// inoChunk is how many nodes are allocated at once.
const inoChunk = 1024

// inoTree is the tree of watched directories.
type inoTree struct {
	chunks []*[inoChunk]inoNode
	// top is the highest node ever in use, free one that is not now.
	top, free inoID
	names     nameArena
	seed      maphash.Seed
	// wds finds nodes by watch, places by parent and name.
	wds, places inoTable
	// blind are the directories that could not be watched for want of a
	// watch, with the number of directories below each. Nothing below them is
	// in the tree.
	blind map[inoID]uint64
	// unwatched is the sum of these and those below them.
	unwatched uint64
	// age grows when a directory that may have others below it changes place,
	// changes when any leaves its own or a watch ends: what was found out about
	// a directory without the lock may be wrong then.
	age, changes uint64
	recent       [recentPaths]recentPath
	// unwatch gives a watch back.
	unwatch func(wd int32)
}

func newInoTree(unwatch func(int32)) *inoTree {
	t := &inoTree{blind: map[inoID]uint64{}, seed: maphash.MakeSeed(), age: 1, unwatch: unwatch}
	t.wds.hash = func(id inoID) uint64 { return uint64(t.node(id).wd) }
	t.places.hash = func(id inoID) uint64 {
		n := t.node(id)
		return placeHash(n.parent, maphash.Bytes(t.seed, t.names.get(n.name)))
	}
	t.wds.resize(minTable)
	t.places.resize(minTable)
	t.add()
	return t
}

func placeHash(parent inoID, name uint64) uint64 { return name + uint64(parent)*0xd6e8feb86659fd93 }

// node is valid for good, as storage.
func (t *inoTree) node(id inoID) *inoNode { return &t.chunks[id/inoChunk][id%inoChunk] }

// ref is for keeping id.
func (t *inoTree) ref(id inoID) inoRef { return inoRef{id, t.node(id).gen} }

// at is the node that r was made for, 0 if it was dropped.
func (t *inoTree) at(r inoRef) inoID {
	if r.id == 0 || t.node(r.id).gen != r.gen {
		return 0
	}
	return r.id
}

// add makes a node that is neither linked nor watched. It must be linked or
// dropped.
func (t *inoTree) add() inoID {
	id := t.free
	if id != 0 {
		t.free = t.node(id).next
	} else {
		t.top++
		id = t.top
		if int(id/inoChunk) == len(t.chunks) {
			t.chunks = append(t.chunks, new([inoChunk]inoNode))
		}
	}
	n := t.node(id)
	*n = inoNode{gen: n.gen + 1}
	return id
}

// watched finds the directory of a watch, 0 if there is none.
func (t *inoTree) watched(wd int32) inoID {
	for i := t.wds.first(uint64(wd)); ; i = t.wds.after(i) {
		if id := t.wds.slots[i]; id == 0 || t.node(id).wd == wd {
			return id
		}
	}
}

// kid finds the directory at (parent, name), 0 if there is none.
func (t *inoTree) kid(parent inoID, name string) inoID {
	for i := t.places.first(placeHash(parent, maphash.String(t.seed, name))); ; i = t.places.after(i) {
		if id := t.places.slots[i]; id == 0 || t.isAt(id, parent, name) {
			return id
		}
	}
}

func (t *inoTree) isAt(id, parent inoID, name string) bool {
	n := t.node(id)
	return n.parent == parent && string(t.names.get(n.name)) == name
}

// link puts id at (parent, name), wherever it was, and drops what was there.
// It reports false, and does nothing, if id is at or above parent: that
// happens where the tree is mounted inside itself.
func (t *inoTree) link(id, parent inoID, name string) bool {
	n := t.node(id)
	if n.parent != 0 && t.isAt(id, parent, name) {
		return true
	}
	for p := parent; p != 0; p = t.node(p).parent {
		if p == id {
			return false
		}
	}
	t.unlink(id)
	if old := t.kid(parent, name); old != 0 {
		t.drop(old)
	}
	p := t.node(parent)
	n.parent, n.name, n.next, n.prev = parent, t.names.put(name), p.kids, 0
	if p.kids != 0 {
		t.node(p.kids).prev = id
	}
	p.kids = id
	t.places.insert(id)
	t.placed(id)
	return true
}

// unlink takes id, with all below it, out of its directory. The watches stay.
func (t *inoTree) unlink(id inoID) {
	n := t.node(id)
	if n.parent == 0 {
		return
	}
	t.places.remove(id)
	if n.prev != 0 {
		t.node(n.prev).next = n.next
	} else {
		t.node(n.parent).kids = n.next
	}
	if n.next != 0 {
		t.node(n.next).prev = n.prev
	}
	t.names.giveUp(n.name)
	n.parent, n.name, n.next, n.prev = 0, 0, 0, 0
	t.changes++
	t.placed(id)
	if t.names.wasteful() {
		t.repack()
	}
}

// repack puts all names into a new arena.
func (t *inoTree) repack() {
	old := t.names
	t.names = nameArena{}
	for id := inoRoot; id <= t.top; id++ {
		if n := t.node(id); n.parent != 0 {
			n.name = t.names.put(string(old.get(n.name)))
		}
	}
}

// drop unlinks id, which is not the root, and gives back its watch and those
// below it. None of these nodes is valid after.
func (t *inoTree) drop(id inoID) {
	t.unlink(id)
	for at := id; at != 0; {
		n := t.node(at)
		if n.kids != 0 {
			at = n.kids
			continue
		}
		up := n.parent
		t.unlink(at)
		t.unblock(at)
		if wd := n.wd; wd != 0 {
			t.unbind(at)
			t.unwatch(wd)
		}
		t.changes++
		n.gen++
		n.next, t.free = t.free, at
		at = up
	}
}

// bind makes id the directory of a watch descriptor, which no other has.
func (t *inoTree) bind(id inoID, wd int32) {
	n := t.node(id)
	if n.wd == wd {
		return
	}
	t.unbind(id)
	n.wd = wd
	t.wds.insert(id)
}

// unbind takes the watch descriptor from id, which does not end the watch.
func (t *inoTree) unbind(id inoID) {
	if n := t.node(id); n.wd != 0 {
		t.changes++
		t.wds.remove(id)
		n.wd = 0
	}
}

// find goes down to the directory at path, 0 if it is not in the tree.
func (t *inoTree) find(path string) inoID {
	id := inoRoot
	for id != 0 && path != "" {
		var name string
		name, path = splitFirst(path)
		id = t.kid(id, name)
	}
	return id
}

// all yields every node but the root. What is yielded may be dropped.
func (t *inoTree) all(yield func(inoID) bool) {
	for id := inoRoot + 1; id <= t.top; id++ {
		if t.node(id).gen%2 == 1 && !yield(id) {
			return
		}
	}
}

// splitFirst cuts a path behind its first name.
func splitFirst(path string) (name, rest string) {
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}

// splitLast cuts a path before its last name.
func splitLast(path string) (dir, name string) {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return "", path
}
