package mirrortest

import (
	"fmt"
	"strings"
)

func opCreate(h *History) {
	if h.room(1) {
		dir := h.dir()
		h.create(dir, h.fresh(dir), h.size())
	}
}

func opOverwrite(h *History) {
	if e := h.file(); e != nil {
		h.overwrite(e, h.size())
	}
}

func opSameSize(h *History) {
	if e := h.any(hasBytes); e != nil {
		h.overwrite(e, e.ino.size)
	}
}

// opUnseen changes content only: size and time are the same afterwards.
func opUnseen(h *History) {
	if e := h.any(hasBytes); e != nil {
		h.keepTime(e, func() { h.overwrite(e, e.ino.size) })
	}
}

func opDated(h *History) {
	if e := h.file(); e != nil {
		h.overwrite(e, h.size())
		h.utimes(e, pick(h, pastTimes), h.chance(50))
	}
}

// opRewrite writes one file several times in a row.
func opRewrite(h *History) {
	if e := h.any(hasBytes); e != nil {
		for range 2 + h.rng.IntN(4) {
			h.overwrite(e, e.ino.size)
		}
	}
}

func opAppend(h *History) {
	if e := h.file(); e != nil && e.ino.size < maxFile {
		h.append(e, 1+h.size())
	}
}

func opTruncate(h *History) {
	e := h.file()
	if e == nil {
		return
	}
	size := h.size()
	if h.chance(50) {
		size = e.ino.size / 2
	}
	h.truncate(e, size)
}

func opSparse(h *History) {
	if e := h.file(); e != nil {
		h.writeAt(e, e.ino.size/2+int64(h.rng.IntN(maxFile/4)), 1+h.size())
		if e.ino.size > maxFile {
			h.truncate(e, h.size())
		}
	}
}

func opMmap(h *History) {
	e := h.any(hasBytes)
	if e == nil {
		return
	}
	if h.chance(30) {
		h.keepTime(e, func() { h.mmap(e) })
		return
	}
	h.mmap(e)
}

func opTmpfile(h *History) {
	if h.room(1) {
		dir := h.dir()
		h.tmpfile(dir, h.fresh(dir), h.size())
	}
}

func opHold(h *History) {
	if len(h.held) >= maxHeld {
		return
	}
	e := h.file()
	if h.room(1) && h.chance(40) {
		dir := h.dir()
		e = h.create(dir, h.fresh(dir), h.size())
	}
	if e == nil || e.ino.size > maxFile {
		return
	}
	h.hold(e)
	if h.err == nil && h.chance(70) {
		h.writeHeld(h.held[len(h.held)-1], 1+h.size())
	}
}

func opWriteHeld(h *History) {
	if len(h.held) > 0 {
		if f := pick(h, h.held); f.entry.ino.size < maxFile && !h.unheard(f.entry) {
			h.writeHeld(f, 1+h.size())
		}
	}
}

func opCloseHeld(h *History) {
	if len(h.held) == 0 {
		return
	}
	i := h.rng.IntN(len(h.held))
	f := h.held[i]
	if h.chance(50) && !h.unheard(f.entry) {
		h.writeHeld(f, 1+h.size())
	}
	h.act(f.file.Close, "close %s", f.was)
	h.held = append(h.held[:i], h.held[i+1:]...)
}

// opAtomicSave writes a temporary file and renames it over the old one, often
// with the old size.
func opAtomicSave(h *History) {
	e := h.file()
	if e == nil {
		return
	}
	size := h.size()
	if h.chance(50) {
		size = e.ino.size
	}
	dir, name := e.parent, e.name
	tmp := h.create(dir, h.made(".#tmp"), min(size, maxFile))
	if h.chance(30) {
		h.utimes(tmp, pick(h, pastTimes), true)
	}
	h.rename(tmp, dir, name)
}

// opVimSave is the way of vim with a backup: probe, keep, write, drop.
func opVimSave(h *History) {
	e := h.file()
	if e == nil || len(e.name) > 250 {
		return
	}
	dir, name := e.parent, e.name
	if old := dir.child(name + "~"); old != nil && old.kind == directory || dir.child("4913") != nil {
		return
	}
	h.unlink(h.create(dir, "4913", 0))
	size := e.ino.size
	if h.chance(50) {
		size = h.size()
	}
	h.rename(e, dir, name+"~")
	// Both names can be one file, which a rename leaves alone.
	if same := dir.child(name); same != nil {
		h.unlink(same)
	}
	h.create(dir, name, min(size, maxFile))
	if backup := dir.child(name + "~"); backup != nil {
		h.unlink(backup)
	}
}

// opLitter makes files that are gone at once.
func opLitter(h *History) {
	dir := h.dir()
	for range 1 + h.rng.IntN(4) {
		e := h.create(dir, h.made(pick(h, []string{"tmp", ".x.swp", "#x#", "~lock"})), h.size())
		if h.chance(20) {
			h.append(e, 10)
		}
		h.unlink(e)
	}
}

// opChmod and opDate take the root for once, too.

func opChmod(h *History) {
	e := h.any(func(e *entry) bool { return e.kind == regular || e.kind == directory })
	if h.chance(10) || e == nil {
		e = h.tree
	}
	if e.kind == directory {
		h.chmod(e, pick(h, dirModes))
	} else {
		h.chmod(e, pick(h, fileModes))
	}
}

func opChown(h *History) {
	if !h.opts.Owners {
		return
	}
	if e := h.any(func(*entry) bool { return true }); e != nil {
		h.chown(e, pick(h, owners), pick(h, owners))
	}
}

func opDate(h *History) {
	e := h.any(func(*entry) bool { return true })
	if h.chance(10) || e == nil {
		e = h.tree
	}
	h.utimes(e, pick(h, pastTimes), h.chance(50))
}

// opLink gives a file another name and sometimes writes through one of them.
func opLink(h *History) {
	e := h.file()
	if e == nil || !h.room(1) {
		return
	}
	dir := h.dir()
	l := h.link(e, dir, h.fresh(dir))
	if h.chance(30) {
		h.append(pick(h, []*entry{e, l}), 1+h.size())
	}
}

// opWriteLink writes through one of several names.
func opWriteLink(h *History) {
	names := map[*inode]int{}
	h.tree.walk(func(e *entry) {
		if e.kind == regular {
			names[e.ino]++
		}
	})
	e := h.any(func(e *entry) bool { return hasBytes(e) && names[e.ino] > 1 })
	if e == nil {
		return
	}
	switch h.rng.IntN(3) {
	case 0:
		h.overwrite(e, e.ino.size)
	case 1:
		h.keepTime(e, func() { h.overwrite(e, e.ino.size) })
	default:
		h.overwrite(e, h.size())
	}
}

// opWriteHidden changes a file through a link that is made for it, in a
// directory that may be made for it too, and is gone at once. It takes one of an
// earlier Run if it can: of another one a mirror may have heard.
func opWriteHidden(h *History) {
	e := h.any(func(e *entry) bool { return isFile(e) && e.ino.round < h.round })
	if e == nil {
		e = h.file()
	}
	if e == nil || !h.room(2) {
		return
	}
	dir := h.dir()
	fresh := h.chance(30)
	if fresh {
		dir = h.mkdir(dir, h.fresh(dir))
	}
	l := h.link(e, dir, h.fresh(dir))
	switch n := h.rng.IntN(7); {
	case n == 0:
		h.chmod(l, pick(h, fileModes))
	case n == 1:
		h.utimes(l, pick(h, pastTimes), h.chance(50))
	case e.ino.size == 0 || n == 2 && e.ino.size < maxFile:
		h.append(l, 1+h.size())
	case n == 3:
		h.overwrite(l, e.ino.size)
	case n == 4:
		h.overwrite(l, h.size())
	default:
		h.keepTime(l, func() { h.overwrite(l, e.ino.size) })
	}
	if h.chance(20) {
		to := h.dir()
		h.rename(l, to, h.fresh(to))
	}
	switch other := h.any(func(o *entry) bool { return isNotDir(o) && o.ino != e.ino }); {
	case fresh:
		h.removeAll(dir)
	case other != nil && h.chance(20):
		h.rename(other, l.parent, l.name)
	}
	if l.root() == h.tree {
		h.unlink(l)
	}
}

func opSymlink(h *History) {
	if !h.room(1) {
		return
	}
	dir := h.dir()
	target := h.target()
	// Half of them lead to what is there now, file or directory.
	if e := h.any(func(*entry) bool { return true }); e != nil && !h.opts.InnerLinks && h.chance(50) {
		target = strings.Repeat("../", dir.depth()) + e.path()
	}
	h.symlink(dir, h.fresh(dir), target)
}

func opFifo(h *History) {
	if h.opts.NoFifos || !h.room(1) {
		return
	}
	dir := h.dir()
	h.mkfifo(dir, h.fresh(dir))
}

func opCopyTree(h *History) {
	if !h.room(20) {
		return
	}
	dir := h.dirWhere(func(e *entry) bool { return e.depth() < maxDepth-2 })
	top := h.mkdir(dir, h.fresh(dir))
	for range 4 + h.rng.IntN(6) {
		h.create(top, h.fresh(top), h.size())
	}
	for i := range 2 {
		sub := h.mkdir(top, fmt.Sprintf("sub%d", i))
		for range h.rng.IntN(4) {
			h.create(sub, h.fresh(sub), h.size())
		}
	}
}
