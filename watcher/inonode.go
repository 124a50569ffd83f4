package watcher

// inoNode is a directory watched by inotify, or one that should be.
//
// Where a directory is, is never taken from the names in records: a name
// that came leads to opening it, watching what was opened, and linking the
// node of the watch descriptor the kernel gave, which is the same for the same
// directory. A name that went only unlinks.
type inoNode struct {
	wd     int32 // 0: not watched
	parent *inoNode
	name   string
	kids   map[string]*inoNode
	// seen is the number of the last walk that met the directory.
	seen uint64
	// listed says that it was listed after it was watched, so that all its
	// entries are known or will come as records.
	listed bool
	// below is the number of directories below one that could not be watched.
	below uint64

	// path stands while age is the tree's; in says it is inside the root.
	age  uint64
	in   bool
	path string
}

// inoTree is the tree of watched directories.
type inoTree struct {
	root *inoNode
	wds  map[int32]*inoNode
	// blind are the directories that could not be watched for want of a
	// watch. Nothing below them is in the tree.
	blind map[*inoNode]struct{}
	// age grows when a directory that may have others below it changes place.
	age uint64
	// unwatch gives a watch back.
	unwatch func(wd int32)
}

func newInoTree(unwatch func(int32)) *inoTree {
	return &inoTree{
		root: &inoNode{}, wds: map[int32]*inoNode{}, blind: map[*inoNode]struct{}{},
		age: 1, unwatch: unwatch,
	}
}

// path is a directory's path; ok is false if it is not linked to the root.
func (t *inoTree) path(n *inoNode) (path string, ok bool) {
	if n == t.root {
		return "", true
	}
	if n.age == t.age {
		return n.path, n.in
	}
	n.age, n.in = t.age, false
	if n.parent == nil {
		return "", false
	}
	if dir, ok := t.path(n.parent); ok {
		n.in = true
		if p := join(dir, n.name); p != n.path {
			n.path = p
		}
	}
	return n.path, n.in
}

// link puts n at (parent, name), wherever it was, and drops what was there.
// It reports false, and does nothing, if n is at or above parent: that
// happens where the tree is mounted inside itself.
func (t *inoTree) link(n, parent *inoNode, name string) bool {
	if n.parent == parent && n.name == name {
		return true
	}
	for p := parent; p != nil; p = p.parent {
		if p == n {
			return false
		}
	}
	t.unlink(n)
	if old := parent.kids[name]; old != nil {
		t.drop(old)
	}
	if parent.kids == nil {
		parent.kids = map[string]*inoNode{}
	}
	parent.kids[name] = n
	n.parent, n.name, n.age = parent, name, 0
	if len(n.kids) > 0 {
		t.age++
	}
	return true
}

// unlink takes n, with all below it, out of its directory. The watches stay.
func (t *inoTree) unlink(n *inoNode) {
	if n.parent == nil {
		return
	}
	if n.parent.kids[n.name] == n {
		delete(n.parent.kids, n.name)
	}
	n.parent, n.name, n.age = nil, "", 0
	if len(n.kids) > 0 {
		t.age++
	}
}

// drop unlinks n and gives back its watch and those below it.
func (t *inoTree) drop(n *inoNode) {
	t.unlink(n)
	stack := []*inoNode{n}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, k := range n.kids {
			k.parent, k.age = nil, 0
			stack = append(stack, k)
		}
		n.kids, n.listed = nil, false
		delete(t.blind, n)
		if n.wd != 0 && t.wds[n.wd] == n {
			delete(t.wds, n.wd)
			t.unwatch(n.wd)
		}
		n.wd = 0
	}
}

// bind makes n the directory of a watch descriptor.
func (t *inoTree) bind(n *inoNode, wd int32) {
	if n.wd != 0 && n.wd != wd && t.wds[n.wd] == n {
		delete(t.wds, n.wd)
	}
	n.wd = wd
	t.wds[wd] = n
}

// find goes down to the directory at path, nil if it is not in the tree.
func (t *inoTree) find(path string) *inoNode {
	n := t.root
	for n != nil && path != "" {
		var name string
		name, path = splitFirst(path)
		n = n.kids[name]
	}
	return n
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
