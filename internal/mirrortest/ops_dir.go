package mirrortest

func opMkdir(h *History) {
	if h.room(1) {
		dir := h.dir()
		h.mkdir(dir, h.fresh(dir))
	}
}

// opMkdirDeep makes directories in each other and writes into them at once.
func opMkdirDeep(h *History) {
	if !h.room(8) {
		return
	}
	dir := h.dir()
	for range 2 + h.rng.IntN(3) {
		if dir.depth() >= maxDepth {
			break
		}
		dir = h.mkdir(dir, h.fresh(dir))
		if h.chance(50) {
			h.create(dir, h.fresh(dir), h.size())
		}
	}
}

func opRenameFile(h *History) {
	if e := h.any(isNotDir); e != nil {
		dir := h.dir()
		h.rename(e, dir, h.fresh(dir))
	}
}

func opRenameOver(h *History) {
	e := h.any(isNotDir)
	if e == nil {
		return
	}
	if old := h.any(func(o *entry) bool { return o.kind != directory && o != e }); old != nil {
		h.rename(e, old.parent, old.name)
	}
}

// opRenameBack renames to itself, or away and back.
func opRenameBack(h *History) {
	e := h.any(func(*entry) bool { return true })
	if e == nil {
		return
	}
	dir, name := e.parent, e.name
	if h.chance(70) {
		away := h.home(e)
		h.rename(e, away, h.fresh(away))
	}
	h.rename(e, dir, name)
}

func opExchange(h *History) {
	a := h.any(func(*entry) bool { return true })
	if a == nil {
		return
	}
	b := h.any(func(b *entry) bool {
		return !b.within(a) && !a.within(b) &&
			b.depth()+a.height() <= maxDepth+1 && a.depth()+b.height() <= maxDepth+1
	})
	// Two names of one file cannot be told apart, before or after.
	if b != nil && (a.ino == nil || a.ino != b.ino) {
		h.exchange(a, b)
	}
}

func opUnlink(h *History) {
	if e := h.any(isNotDir); e != nil {
		h.unlink(e)
	}
}

func opRemoveAll(h *History) {
	if e := h.any(isDir); e != nil {
		h.removeAll(e)
	}
}

// opRecreate removes a directory and makes it again with other children, some
// of which may have the old names.
func opRecreate(h *History) {
	e := h.any(isFullDir)
	if e == nil || e.depth() >= maxDepth {
		return
	}
	dir, name, old := e.parent, e.name, e.kids
	h.removeAll(e)
	e = h.mkdir(dir, name)
	for range h.rng.IntN(3) {
		h.create(e, h.fresh(e), h.size())
	}
	if again := pick(h, old).name; e.child(again) == nil && h.chance(60) {
		if h.chance(70) {
			h.create(e, again, h.size())
		} else {
			h.mkdir(e, again)
		}
	}
}

// opRenameDir moves a directory that is not empty, half the time within its
// own directory, and often changes it under its new path at once.
func opRenameDir(h *History) {
	e := h.any(isFullDir)
	if e == nil {
		return
	}
	dir := e.parent
	if h.chance(50) {
		dir = h.home(e)
	}
	was := e.parent
	old := e.name
	h.rename(e, dir, h.fresh(dir))
	h.touchWithin(e)
	if h.chance(20) && was.child(old) == nil {
		h.mkdir(was, old)
	}
}

// touchWithin changes something below e, or nothing.
func (h *History) touchWithin(e *entry) {
	f := h.below(e, func(f *entry) bool { return hasBytes(f) && !h.unheard(f) })
	switch n := h.rng.IntN(5); {
	case n == 0 && f != nil:
		h.overwrite(f, f.ino.size)
	case n == 1 && f != nil:
		h.keepTime(f, func() { h.overwrite(f, f.ino.size) })
	case n == 2 && f != nil:
		h.unlink(f)
	case n == 3 && e.kind == directory && e.depth() < maxDepth:
		h.create(e, h.fresh(e), h.size())
	}
}

// opRenameOntoEmpty renames a directory onto an empty one, which vanishes.
func opRenameOntoEmpty(h *History) {
	e := h.any(isFullDir)
	if e == nil {
		return
	}
	height := e.height()
	empty := h.any(func(d *entry) bool {
		return isEmptyDir(d) && !d.within(e) && d.depth()+height <= maxDepth+1
	})
	if empty == nil {
		dir := h.home(e)
		empty = h.mkdir(dir, h.fresh(dir))
	}
	h.rename(e, empty.parent, empty.name)
}

// opSwap swaps two directories, or two files, by way of a third name.
func opSwap(h *History) {
	dirs := h.chance(70)
	fits := func(e *entry) bool { return isDir(e) == dirs }
	a := h.any(fits)
	if a == nil {
		return
	}
	b := h.any(func(b *entry) bool {
		return fits(b) && !b.within(a) && !a.within(b) &&
			b.depth()+a.height() <= maxDepth+1 && a.depth()+b.height() <= maxDepth+1
	})
	if b == nil || a.ino != nil && a.ino == b.ino {
		return
	}
	da, na, db, nb := a.parent, a.name, b.parent, b.name
	h.rename(a, da, h.made("swap"))
	h.rename(b, da, na)
	h.rename(a, db, nb)
}

// opChain renames one thing twice (a to b to c), or moves a train up
// (b to c, then a to b).
func opChain(h *History) {
	dirs := h.chance(60)
	a := h.any(func(e *entry) bool { return isDir(e) == dirs })
	if a == nil {
		return
	}
	if h.chance(50) {
		for range 2 + h.rng.IntN(2) {
			dir := h.home(a)
			h.rename(a, dir, h.fresh(dir))
			if h.chance(30) {
				h.touchWithin(a)
			}
		}
		return
	}
	b := h.any(func(b *entry) bool {
		return isDir(b) == dirs && !b.within(a) && !a.within(b) && b.depth()+a.height() <= maxDepth+1
	})
	if b == nil {
		return
	}
	dir, name := b.parent, b.name
	h.rename(b, dir, h.fresh(dir))
	h.rename(a, dir, name)
}

// opJumble lets two entries of one kind change their names, or one take the name
// of the other, which goes, within a directory that moves before or after it.
func opJumble(h *History) {
	e := h.any(func(e *entry) bool { return e.kind == directory && len(e.kids) > 1 })
	if e == nil {
		return
	}
	a := pick(h, e.kids)
	var others []*entry
	for _, k := range e.kids {
		if k != a && k.kind == a.kind && (k.ino == nil || k.ino != a.ino) {
			others = append(others, k)
		}
	}
	if len(others) == 0 {
		return
	}
	b := pick(h, others)
	first := h.chance(50)
	if first {
		dir := h.home(e)
		h.rename(e, dir, h.fresh(dir))
	}
	if h.chance(50) {
		h.exchange(a, b)
	} else {
		name := b.name
		if b.kind == directory {
			h.removeAll(b)
		} else {
			h.unlink(b)
		}
		h.rename(a, e, name)
	}
	if !first {
		dir := h.home(e)
		h.rename(e, dir, h.fresh(dir))
	}
}

// clear takes e away: by removal or, half the time, by a rename to another
// name that stays in the tree.
func (h *History) clear(e *entry) {
	switch {
	case h.chance(50) && e.kind == directory:
		h.removeAll(e)
	case h.chance(50):
		dir := h.home(e)
		h.rename(e, dir, h.fresh(dir))
	case e.kind == directory:
		h.removeAll(e)
	default:
		h.unlink(e)
	}
}

func opDirToFile(h *History) {
	if e := h.any(isDir); e != nil {
		dir, name := e.parent, e.name
		h.clear(e)
		h.create(dir, name, h.size())
	}
}

func opFileToDir(h *History) {
	if e := h.any(isNotDir); e != nil && h.room(2) {
		dir, name := e.parent, e.name
		h.clear(e)
		d := h.mkdir(dir, name)
		if d.depth() < maxDepth && h.chance(60) {
			h.create(d, h.fresh(d), h.size())
		}
	}
}

func opFileToSymlink(h *History) {
	if e := h.file(); e != nil {
		dir, name := e.parent, e.name
		h.clear(e)
		h.symlink(dir, name, h.target())
	}
}

// opSymlinkToDir replaces a symbolic link by a directory, or a directory by a
// link to where it went.
func opSymlinkToDir(h *History) {
	if e := h.any(func(e *entry) bool { return e.kind == symlink }); e != nil && h.room(2) {
		dir, name := e.parent, e.name
		h.unlink(e)
		d := h.mkdir(dir, name)
		if d.depth() < maxDepth {
			h.create(d, h.fresh(d), h.size())
		}
		return
	}
	if e := h.any(isFullDir); e != nil {
		dir, name := e.parent, e.name
		away := h.fresh(dir)
		h.rename(e, dir, away)
		h.symlink(dir, name, away)
	}
}

// opMoveOut moves something to the holding area, which makes room first.
func opMoveOut(h *History) {
	e := h.any(func(e *entry) bool { return isFullDir(e) || e.kind == regular })
	if e == nil {
		return
	}
	if len(h.outside.kids) >= maxOutside {
		h.removeAll(h.outside.kids[0])
	}
	e.home = e.parent
	name := e.name
	if h.outside.child(name) != nil {
		name = h.made("out")
	}
	h.rename(e, h.outside, name)
}

// opChangeOutside changes what nobody watches.
func opChangeOutside(h *History) {
	if len(h.outside.kids) > 0 {
		h.changeOutside(pick(h, h.outside.kids))
	}
}

func (h *History) changeOutside(e *entry) {
	switch {
	case e.kind == directory:
		h.touchWithin(e)
	case hasBytes(e) && !h.unheard(e):
		h.keepTime(e, func() { h.overwrite(e, e.ino.size) })
	}
}

// opMoveIn brings something back: to where it was, or anywhere, or over a
// file.
func opMoveIn(h *History) {
	if len(h.outside.kids) == 0 {
		return
	}
	e := pick(h, h.outside.kids)
	if !h.room(1 + e.count()) {
		return
	}
	if h.chance(40) {
		h.changeOutside(e)
	}
	dir := h.home(e)
	name := h.fresh(dir)
	switch {
	case h.chance(50) && e.home.root() == h.tree && e.home.child(e.name) == nil && e.home.depth()+e.height() <= maxDepth:
		dir, name = e.home, e.name
	case e.kind == regular && h.chance(50):
		if old := h.any(isNotDir); old != nil {
			dir, name = old.parent, old.name
		}
	}
	h.rename(e, dir, name)
	if h.chance(30) {
		h.touchWithin(e)
	}
}
