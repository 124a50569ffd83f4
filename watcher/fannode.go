package watcher

// fanNode is a directory of the marked filesystem, inside the root or not.
// Its place is one link, (parent, name), so that a rename changes one node
// and the paths below follow.
//
// A link is never taken from a rename's record, for the kernel merges equal
// records (of a→b, b→a, a→b the last is folded into the first). The record
// only makes the node stale, and the next use looks at the filesystem. What is
// found is right, or a later rename's record is still to come: a record can be
// merged only into one that has not been read, and what is read is resolved
// after.
type fanNode struct {
	key    string
	parent *fanNode // nil: the root, or outside of it, or stale
	name   string
	// outside says that a climb from here did not meet the root; it stands
	// while outAge is the cache's.
	outside bool
	outAge  uint64
	stale   bool
	// dead says that the directory was gone when it was looked up.
	dead bool

	// What follows was computed when the cache had this age.
	age     uint64
	in      bool
	ignored bool
	path    string
}

// fanNodes is the cache of directories by handle. Only the resolver uses it.
type fanNodes struct {
	root *fanNode
	key  string // the root's handle
	by   map[string]*fanNode
	max  int
	// age grows whenever anything computed before may be wrong, outAge when
	// directories found outside may have come inside.
	age, outAge uint64
	count       *counters
}

func newFanNodes(key string, limit int, c *counters) *fanNodes {
	t := &fanNodes{root: &fanNode{key: key, in: true}, key: key, max: limit, count: c}
	t.clear()
	return t
}

// clear forgets all nodes but the root.
func (t *fanNodes) clear() {
	t.by = map[string]*fanNode{t.key: t.root}
	t.age++
	t.outAge++
	t.root.age = t.age
	t.count.nodes.Store(1)
}

// at returns the node of a handle, a new stale one if it is not known.
func (t *fanNodes) at(key []byte) *fanNode {
	if n := t.by[string(key)]; n != nil {
		return n
	}
	n := &fanNode{key: string(key), stale: true}
	t.by[n.key] = n
	t.count.nodes.Store(uint64(len(t.by)))
	return n
}

// reserve makes room for n more nodes, by forgetting all if need be: nodes
// held outside the cache are void then, for they are not found by renamed.
func (t *fanNodes) reserve(n int) {
	if len(t.by)+n > t.max {
		t.clear()
	}
}

// place links a node.
func (t *fanNodes) place(n, parent *fanNode, name string) {
	n.parent, n.name, n.stale, n.outside, n.age = parent, name, false, false, 0
}

// exclude notes that a node is outside.
func (t *fanNodes) exclude(n *fanNode) {
	*n = fanNode{key: n.key, outside: true, outAge: t.outAge}
}

// forget drops the directory of a handle, which was deleted.
func (t *fanNodes) forget(key []byte) {
	if n := t.by[string(key)]; n != nil && n != t.root {
		n.stale, n.age = true, 0
		delete(t.by, n.key)
		t.count.nodes.Store(uint64(len(t.by)))
	}
}

// renamed notes that the directory of a handle has, or has had, another place.
// oldIn and newIn say whether the directories it went from and to are inside.
func (t *fanNodes) renamed(key []byte, oldIn, newIn bool) {
	n := t.by[string(key)]
	switch {
	case n == t.root:
	case n != nil && !n.outside:
		n.stale = true
		t.age++
	case newIn && (n != nil || !oldIn):
		t.outAge++
		t.age++
	}
}

// check recomputes what a node has from its chain of parents. If a link of the
// chain is not known it returns that node, which must be looked up first.
func (t *fanNodes) check(n *fanNode, ignored func(string, bool) bool) (unknown *fanNode) {
	switch {
	case n.age == t.age && !n.stale:
		return nil
	case n == t.root:
		n.age = t.age
		return nil
	case n.stale, n.outside && n.outAge != t.outAge, !n.outside && n.parent == nil:
		n.stale = true
		return n
	case n.outside:
		n.in, n.age = false, t.age
		return nil
	}
	if u := t.check(n.parent, ignored); u != nil {
		return u
	}
	p := n.parent
	n.in, n.age = p.in, t.age
	if !p.in {
		return nil
	}
	if path := join(p.path, n.name); path != n.path {
		n.path = path
	}
	n.ignored = p.ignored || ignored(n.path, true)
	return nil
}
