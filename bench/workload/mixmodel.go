package workload

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

type kind byte

const (
	regular kind = iota
	directory
	symlink
)

// node is one name in the mixer's picture of the tree; its root has no parent.
type node struct {
	name   string
	parent *node
	kind   kind
	ino    *inode  // of a regular file
	kids   []*node // of a directory
}

// inode is what the names of one file share.
type inode struct {
	size  int
	names []*node
}

func (n *node) child(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (n *node) depth() int {
	d := 0
	for ; n.parent != nil; n = n.parent {
		d++
	}
	return d
}

// height is how many levels lie below n.
func (n *node) height() int {
	h := 0
	for _, k := range n.kids {
		h = max(h, 1+k.height())
	}
	return h
}

func (n *node) within(top *node) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
}

func (n *node) walk(visit func(*node)) {
	for _, k := range n.kids {
		visit(k)
		k.walk(visit)
	}
}

// rel is the path relative to the tree.
func (n *node) rel() string {
	if n.parent == nil || n.parent.parent == nil {
		return n.name
	}
	return n.parent.rel() + "/" + n.name
}

// mixer makes changes to a picture and to the tree alike. Each of its acts does
// one system call; after a failure none does anything any more.
type mixer struct {
	*changer
	root   *node
	serial int
	// dry changes the picture alone.
	dry bool
	err error
}

func newMixer(c *changer) *mixer { return &mixer{changer: c, root: &node{kind: directory}} }

func (m *mixer) act(do func() error) {
	if m.err == nil && !m.dry {
		m.err = do()
	}
}

func pick[T any](m *mixer, from []T) T { return from[m.rng.IntN(len(from))] }

// any is a random node that is wanted, or nil.
func (m *mixer) any(wanted func(*node) bool) *node {
	var all []*node
	m.root.walk(func(n *node) {
		if wanted(n) {
			all = append(all, n)
		}
	})
	if len(all) == 0 {
		return nil
	}
	return pick(m, all)
}

// attach puts n into dir under a name and notes the path.
func (m *mixer) attach(n, dir *node, name string) *node {
	n.parent, n.name = dir, name
	dir.kids = append(dir.kids, n)
	m.note(n.rel())
	return n
}

// detach takes n out of its directory and notes the path it had.
func (m *mixer) detach(n *node) {
	m.note(n.rel())
	n.parent.kids = slices.DeleteFunc(n.parent.kids, func(k *node) bool { return k == n })
	n.parent = nil
}

// forget takes the names at and below n, which are gone, from their inodes.
func forget(n *node) {
	drop := func(n *node) {
		if n.ino != nil {
			n.ino.names = slices.DeleteFunc(n.ino.names, func(k *node) bool { return k == n })
		}
	}
	drop(n)
	n.walk(drop)
}

// changed notes a node whose content or attributes change, with the other names
// of a file.
func (m *mixer) changed(n *node) {
	m.note(n.rel())
	if n.ino != nil {
		for _, other := range n.ino.names {
			m.note(other.rel())
		}
	}
}

// size is one that no content had before, at scale 1, so that losses have other
// causes than an equal size and time: these have a workload of their own.
func (m *mixer) size() int {
	m.serial++
	return m.serial % (mixBytes * 3 / 4)
}

func (m *mixer) createAt(dir *node, name string) *node {
	size := m.size()
	n := m.attach(&node{kind: regular, ino: &inode{size: size}}, dir, name)
	n.ino.names = []*node{n}
	rel, data := n.rel(), m.random(size)
	m.act(func() error { return put(m.path(rel), os.O_CREATE|os.O_EXCL, data) })
	return n
}

func (m *mixer) mkdirAt(dir *node, name string) *node {
	n := m.attach(&node{kind: directory}, dir, name)
	m.act(func() error { return m.mkdir(n.rel()) })
	return n
}

func (m *mixer) symlinkAt(dir *node, name, target string) {
	n := m.attach(&node{kind: symlink}, dir, name)
	m.act(func() error { return os.Symlink(target, m.path(n.rel())) })
}

func (m *mixer) linkAt(old, dir *node, name string) {
	n := m.attach(&node{kind: regular, ino: old.ino}, dir, name)
	old.ino.names = append(old.ino.names, n)
	m.act(func() error { return os.Link(m.path(old.rel()), m.path(n.rel())) })
}

// write puts data of that size into a file, as the flag says.
func (m *mixer) write(n *node, flag, size int) {
	m.changed(n)
	data := m.random(size)
	if flag == os.O_APPEND {
		size += n.ino.size
	}
	n.ino.size = size
	m.act(func() error { return put(m.path(n.rel()), flag, data) })
}

func (m *mixer) truncate(n *node, size int) {
	m.changed(n)
	n.ino.size = size
	m.act(func() error { return os.Truncate(m.path(n.rel()), int64(size)) })
}

func (m *mixer) chmod(n *node, mode uint32) {
	m.changed(n)
	m.act(func() error { return unix.Fchmodat(unix.AT_FDCWD, m.path(n.rel()), mode, 0) })
}

// date sets a past modification time that no other node ever has, in whole
// seconds, so that every rsync can tell each from all others.
func (m *mixer) date(n *node) {
	m.changed(n)
	m.serial++
	const year2000 = 946684800
	t := unix.Timespec{Sec: year2000 + int64(m.serial), Nsec: m.rng.Int64N(1e9)}
	m.act(func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, m.path(n.rel()), []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

func (m *mixer) drop(n *node) {
	rel := n.rel()
	m.detach(n)
	forget(n)
	m.act(func() error { return m.removeAll(rel) })
}

// move renames n, replacing what has the name already; the caller sees to it
// that the kinds allow it and that they are not two names of one file.
func (m *mixer) move(n, dir *node, name string) {
	from := n.rel()
	if old := dir.child(name); old != nil {
		m.detach(old)
		forget(old)
	}
	m.detach(n)
	m.attach(n, dir, name)
	// os.Rename refuses to replace an empty directory.
	m.act(func() error { return unix.Rename(m.path(from), m.path(n.rel())) })
}

// fits reports whether n can go into dir.
func fits(n, dir *node) bool { return !dir.within(n) && dir.depth()+1+n.height() <= mixDepth }

// home is a random directory that n can go into; the root always is one.
func (m *mixer) home(n *node) *node {
	dir := m.any(func(d *node) bool { return d.kind == directory && fits(n, d) })
	if dir == nil || m.rng.IntN(8) == 0 {
		return m.root
	}
	return dir
}
