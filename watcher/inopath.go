package watcher

// recentPaths is how many paths are kept. Most records are of few directories;
// the path of any other is put together.
const (
	recentBits  = 12
	recentPaths = 1 << recentBits
)

// recentPath is a directory's path, right while age is the tree's; in says that
// it is inside the root.
type recentPath struct {
	age  uint64
	id   inoID
	in   bool
	path string
}

func (t *inoTree) recentOf(id inoID) *recentPath {
	return &t.recent[uint32(id)*0x9e3779b1>>(32-recentBits)]
}

// placed is told that id has another place now, or none.
func (t *inoTree) placed(id inoID) {
	if r := t.recentOf(id); r.id == id {
		*r = recentPath{}
	}
	if t.node(id).kids != 0 {
		t.age++
	}
}

// path is a directory's path; ok is false if it is not linked to the root.
func (t *inoTree) path(id inoID) (path string, ok bool) {
	if id == inoRoot {
		return "", true
	}
	r := t.recentOf(id)
	if r.id != id || r.age != t.age {
		var room [512]byte
		b, ok := t.appendPath(room[:0], id)
		if r.id != id || r.path != string(b) {
			r.path = string(b)
		}
		r.id, r.age, r.in = id, t.age, ok
	}
	return r.path, r.in
}

// appendPath appends a directory's path to b; if ok is false, it is not linked
// to the root and b is as it was.
func (t *inoTree) appendPath(b []byte, id inoID) (path []byte, ok bool) {
	n := -1
	for at := id; at != inoRoot; at = t.node(at).parent {
		if at == 0 {
			return b, false
		}
		n += 1 + len(t.names.get(t.node(at).name))
	}
	if n < 0 {
		return b, true
	}
	end := len(b) + n
	for cap(b) < end {
		b = append(b[:cap(b)], 0)
	}
	path = b[:end]
	for at := id; ; {
		name := t.names.get(t.node(at).name)
		end -= len(name)
		copy(path[end:], name)
		if at = t.node(at).parent; at == inoRoot {
			return path, true
		}
		end--
		path[end] = '/'
	}
}
