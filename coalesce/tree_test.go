package coalesce

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fansync/fansync/watcher"
)

// inode is a file or directory of the simulated tree. Files with equal stamps
// have equal sizes and times: only their content tells them apart.
type inode struct {
	id             int
	kids           map[string]*inode // nil for a file
	stamp, content int
	mode           int
}

func (n *inode) dir() bool { return n.kids != nil }

// lookup finds path below n; nil if it is not there.
func (n *inode) lookup(path string) *inode {
	if path == "" {
		return n
	}
	if up := n.lookup(Parent(path)); up != nil {
		return up.kids[base(path)]
	}
	return nil
}

func (n *inode) set(path string, kid *inode) {
	up := n.lookup(Parent(path))
	if kid == nil {
		delete(up.kids, base(path))
		return
	}
	up.kids[base(path)] = kid
}

// list writes down every path below n, directories first.
func (n *inode) list(path string, into map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		k, p := n.kids[name], join(path, name)
		what := fmt.Sprintf("file %d mode %d", k.content, k.mode)
		if k.dir() {
			what = fmt.Sprintf("dir mode %d", k.mode)
		}
		into[p] = what
		k.list(p, into)
	}
}

func (n *inode) snapshot() map[string]string {
	m := map[string]string{}
	n.list("", m)
	return m
}

func base(path string) string {
	if dir := Parent(path); dir != "" {
		return path[len(dir)+1:]
	}
	return path
}

// record is one entry of the simulated kernel queue.
type record struct {
	proc, dir int
	path, to  string // to: the new name of a rename
	kind      watcher.Kind
	isDir     bool
}

// world is a tree with processes that change it and a kernel that tells of it.
type world struct {
	pick  chooser
	names []string
	depth int
	merge bool // the kernel merges what one process does to one name
	root  *inode
	ids   int
	used  map[string]bool // paths where a file has been
	queue []record
}

func newWorld(pick chooser, merge bool) *world {
	return &world{
		pick: pick, merge: merge,
		names: []string{"a", "b", "c"}[:1+pick(3)], depth: 1 + pick(3),
		root: &inode{kids: map[string]*inode{}}, used: map[string]bool{},
	}
}

// tell queues a record. fanotify ORs it into an unread one of the same
// process, directory and name, wherever that stands in the queue.
func (w *world) tell(proc int, path, to string, kind watcher.Kind, isDir bool) {
	r := record{proc: proc, dir: w.root.lookup(Parent(path)).id, path: path, to: to, kind: kind, isDir: isDir}
	if w.merge {
		for i, q := range w.queue {
			if q.proc == r.proc && q.dir == r.dir && base(q.path) == base(path) && q.to == to && q.isDir == isDir {
				w.queue[i].kind |= kind
				return
			}
		}
	}
	w.queue = append(w.queue, r)
}

// read takes the first record and says what a watcher makes of it.
func (w *world) read(now int64) []watcher.Event {
	r := w.queue[0]
	w.queue = w.queue[1:]
	if r.isDir {
		r.kind |= watcher.Dir
	}
	if r.to == "" {
		return []watcher.Event{{Path: r.path, Kind: r.kind, Time: now}}
	}
	gone := watcher.Event{Path: r.path, Kind: r.kind | watcher.Removed | watcher.Moved, Time: now}
	come := watcher.Event{Path: r.to, From: r.path, Kind: r.kind | watcher.Created | watcher.Moved, Time: now}
	if r.isDir {
		come.Kind |= watcher.Subtree
	}
	return []watcher.Event{gone, come}
}

// newFile makes a file that looks like any other, by its size and times, where
// there has been none; else it differs in them from all there ever were.
func (w *world) newFile(path string) *inode {
	n := &inode{}
	w.write(n)
	n.id = n.content
	if !w.used[path] {
		n.stamp = 0
	}
	w.used[path] = true
	return n
}

func (w *world) newDir() *inode {
	w.ids++
	return &inode{id: w.ids, kids: map[string]*inode{}}
}

// write gives n a new content, and size and times that nothing has had.
func (w *world) write(n *inode) {
	w.ids++
	n.content, n.stamp = w.ids, w.ids
}

func (w *world) path() string {
	path := w.names[w.pick(len(w.names))]
	for range w.pick(w.depth) {
		path += "/" + w.names[w.pick(len(w.names))]
	}
	return path
}

// step lets a process do something.
func (w *world) step() {
	proc, path := w.pick(2), w.path()
	up, n := w.root.lookup(Parent(path)), w.root.lookup(path)
	if up == nil || !up.dir() {
		return
	}
	tell := func(kind watcher.Kind) { w.tell(proc, path, "", kind, n.dir()) }
	switch op := w.pick(15); {
	case n == nil && op < 5:
		n = w.newFile(path)
		w.root.set(path, n)
		tell(watcher.Created)
		for _, k := range []watcher.Kind{watcher.Modified, watcher.Closed} {
			if w.pick(3) > 0 {
				tell(k)
			}
		}
	case n == nil && op < 8:
		n = w.newDir()
		w.root.set(path, n)
		tell(watcher.Created)
	case n == nil && op < 9: // moved in from outside, with content unseen
		n = w.newDir()
		w.root.set(path, n)
		w.root.set(path+"/a", w.newFile(path+"/a"))
		tell(watcher.Created | watcher.Moved | watcher.Subtree)
	case n == nil:
	case op < 3:
		w.remove(proc, path)
	case op < 4: // moved out
		tell(watcher.Removed | watcher.Moved)
		w.root.set(path, nil)
	case op < 5:
		n.mode++
		tell(watcher.Attrib)
	case op < 7 && !n.dir():
		w.write(n)
		tell([]watcher.Kind{watcher.Modified, watcher.Modified | watcher.Closed}[w.pick(2)])
	case (op == 7 || op == 8) && n.dir(): // a watcher that is not sure
		tell([]watcher.Kind{watcher.Subtree, watcher.Children}[op-7])
	case op == 14 && !n.dir():
		w.hide(path, n)
	default:
		w.rename(proc, path, w.path(), op == 12 || op == 13)
	}
}

// hide writes through another name, gone by now, to a file that looks as
// before. No record of the file's own tells; the watcher finds it out.
func (w *world) hide(path string, n *inode) {
	w.ids++
	n.content = w.ids
	w.queue = append(w.queue, record{proc: -1, path: path, kind: watcher.Hidden | watcher.Modified})
}

// remove is rm -r.
func (w *world) remove(proc int, path string) {
	n := w.root.lookup(path)
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		w.remove(proc, path+"/"+name)
	}
	w.tell(proc, path, "", watcher.Removed, n.dir())
	w.root.set(path, nil)
}

func (w *world) rename(proc int, from, to string, exchange bool) {
	n, up, victim := w.root.lookup(from), w.root.lookup(Parent(to)), w.root.lookup(to)
	if up == nil || !up.dir() || from == to || Under(to, from) || Under(from, to) {
		return
	}
	if exchange && victim != nil {
		w.tell(proc, from, to, 0, n.dir())
		w.tell(proc, to, from, 0, victim.dir())
		w.place(to, n)
		w.place(from, victim)
		return
	}
	if victim != nil && (victim.dir() != n.dir() || len(victim.kids) > 0) {
		return
	}
	w.tell(proc, from, to, 0, n.dir())
	w.root.set(from, nil)
	w.place(to, n)
}

// place puts n at path, and remembers where its files are now.
func (w *world) place(path string, n *inode) {
	w.root.set(path, n)
	w.used[path] = true
	below := map[string]string{}
	n.list(path, below)
	for p := range below {
		w.used[p] = true
	}
}
