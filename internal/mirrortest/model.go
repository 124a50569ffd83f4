package mirrortest

import (
	"slices"
	"strings"
)

type kind uint8

const (
	regular kind = iota
	directory
	symlink
	fifo
)

// inode is what the names of one regular file share.
type inode struct {
	size int64
	// round is the Run that made it.
	round int
}

// entry is one name in a History's own picture of the tree. Its root has no
// parent.
type entry struct {
	name   string
	parent *entry
	kind   kind
	ino    *inode   // of a regular file
	kids   []*entry // of a directory, in the order they came
	// home is the directory it was moved out of the tree from.
	home *entry
	// left is the directory it was detached from last.
	left *entry
}

func (e *entry) child(name string) *entry {
	for _, k := range e.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (e *entry) attach(dir *entry, name string) *entry {
	e.parent, e.name = dir, name
	dir.kids = append(dir.kids, e)
	return e
}

func (e *entry) detach() {
	e.left = e.parent
	e.parent.kids = slices.DeleteFunc(e.parent.kids, func(k *entry) bool { return k == e })
	e.parent = nil
}

func (e *entry) root() *entry {
	for e.parent != nil {
		e = e.parent
	}
	return e
}

// path is relative to the entry's root.
func (e *entry) path() string {
	var parts []string
	for ; e.parent != nil; e = e.parent {
		parts = append(parts, e.name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

func (e *entry) depth() int {
	d := 0
	for ; e.parent != nil; e = e.parent {
		d++
	}
	return d
}

// height is how many levels lie below e.
func (e *entry) height() int {
	h := 0
	for _, k := range e.kids {
		h = max(h, 1+k.height())
	}
	return h
}

// within reports whether e is top or lies below it.
func (e *entry) within(top *entry) bool {
	for ; e != nil; e = e.parent {
		if e == top {
			return true
		}
	}
	return false
}

// walk visits everything below e, parents first.
func (e *entry) walk(visit func(*entry)) {
	for _, k := range e.kids {
		visit(k)
		k.walk(visit)
	}
}

// count is the number of entries below e.
func (e *entry) count() int {
	n := 0
	e.walk(func(*entry) { n++ })
	return n
}
