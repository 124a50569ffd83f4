package workload

import "os"

// operation is one kind of step. do reports false, and changes nothing, if the
// tree has nothing it could work on.
type operation struct {
	name   string
	weight int
	do     func(*mixer) bool
}

var operations = []operation{
	{"create", 14, opCreate},
	{"rewrite", 8, opRewrite},
	{"append", 8, opAppend},
	{"truncate", 5, opTruncate},
	{"unlink", 6, opUnlink},
	{"chmod", 6, opChmod},
	{"date back", 6, opDate},
	{"rename file", 6, opRenameFile},
	{"rename file onto another", 6, opRenameOnto},
	{"rename dir", 5, opRenameDir},
	{"rename dir onto empty dir", 3, opRenameOntoDir},
	{"swap", 4, opSwap},
	{"symlink", 4, opSymlink},
	{"hard link", 4, opLink},
	{"write by a hard link", 3, opWriteLink},
	{"mkdir", 4, opMkdir},
	{"remove dir", 3, opRemoveDir},
	{"dir to file", 3, opDirToFile},
	{"file to dir", 3, opFileToDir},
	{"file to symlink", 3, opFileToSymlink},
	{"symlink to file", 2, opSymlinkToFile},
	{"symlink to dir", 2, opSymlinkToDir},
	{"dir to symlink", 2, opDirToSymlink},
}

func isFile(n *node) bool    { return n.kind == regular }
func isDir(n *node) bool     { return n.kind == directory }
func isNotDir(n *node) bool  { return n.kind != directory }
func isSymlink(n *node) bool { return n.kind == symlink }
func isFullDir(n *node) bool { return n.kind == directory && len(n.kids) > 0 }

func opCreate(m *mixer) bool {
	dir := m.home(&node{})
	m.createAt(dir, m.fresh(dir))
	return true
}

// onFile does something to a random file.
func onFile(m *mixer, do func(*node)) bool {
	n := m.any(isFile)
	if n != nil {
		do(n)
	}
	return n != nil
}

func opRewrite(m *mixer) bool {
	return onFile(m, func(n *node) { m.write(n, os.O_TRUNC, m.size()) })
}

func opAppend(m *mixer) bool {
	n := m.any(func(n *node) bool { return isFile(n) && n.ino.size < mixBytes/2 })
	if n != nil {
		m.write(n, os.O_APPEND, 1+m.rng.IntN(1000))
	}
	return n != nil
}

func opTruncate(m *mixer) bool {
	return onFile(m, func(n *node) { m.truncate(n, min(m.rng.IntN(n.ino.size+100), mixBytes)) })
}

func opUnlink(m *mixer) bool {
	n := m.any(isNotDir)
	if n != nil {
		m.drop(n)
	}
	return n != nil
}

func opChmod(m *mixer) bool {
	n := m.any(func(n *node) bool { return !isSymlink(n) })
	if n == nil {
		return false
	}
	if isDir(n) {
		m.chmod(n, pick(m, dirModes))
	} else {
		m.chmod(n, pick(m, fileModes))
	}
	return true
}

// opDate sets times back, in half of the cases after a rewrite. The former time
// itself at the same size would be a change that rsync cannot see by design.
func opDate(m *mixer) bool {
	n := m.any(func(*node) bool { return true })
	if n == nil {
		return false
	}
	if isFile(n) && m.rng.IntN(2) == 0 {
		m.write(n, os.O_TRUNC, m.size())
	}
	m.date(n)
	return true
}

func opRenameFile(m *mixer) bool {
	n := m.any(isNotDir)
	if n == nil {
		return false
	}
	dir := m.home(n)
	m.move(n, dir, m.fresh(dir))
	return true
}

func opRenameOnto(m *mixer) bool {
	n := m.any(isNotDir)
	if n == nil {
		return false
	}
	onto := m.any(func(o *node) bool { return isNotDir(o) && o != n && (o.ino == nil || o.ino != n.ino) })
	if onto == nil {
		return false
	}
	m.move(n, onto.parent, onto.name)
	return true
}

func opRenameDir(m *mixer) bool {
	n := m.any(isDir)
	if n == nil {
		return false
	}
	dir := n.parent
	if m.rng.IntN(2) == 0 {
		dir = m.home(n)
	}
	m.move(n, dir, m.fresh(dir))
	return true
}

func opRenameOntoDir(m *mixer) bool {
	n := m.any(isFullDir)
	if n == nil {
		return false
	}
	onto := m.any(func(d *node) bool { return isDir(d) && len(d.kids) == 0 && fits(n, d.parent) })
	if onto == nil {
		dir := m.home(n)
		onto = m.mkdirAt(dir, m.fresh(dir))
	}
	m.move(n, onto.parent, onto.name)
	return true
}

// opSwap swaps two names of any kinds by way of a third.
func opSwap(m *mixer) bool {
	a := m.any(func(*node) bool { return true })
	if a == nil {
		return false
	}
	b := m.any(func(b *node) bool {
		return !a.within(b) && !b.within(a) && fits(a, b.parent) && fits(b, a.parent)
	})
	if b == nil {
		return false
	}
	dirA, nameA, dirB, nameB := a.parent, a.name, b.parent, b.name
	m.move(a, dirA, m.fresh(dirA))
	m.move(b, dirA, nameA)
	m.move(a, dirB, nameB)
	return true
}

func opSymlink(m *mixer) bool {
	dir := m.home(&node{})
	m.symlinkAt(dir, m.fresh(dir), pick(m, targets))
	return true
}

func opLink(m *mixer) bool {
	return onFile(m, func(n *node) {
		dir := m.home(n)
		m.linkAt(n, dir, m.fresh(dir))
	})
}

// opWriteLink changes a file by one of several names.
func opWriteLink(m *mixer) bool {
	n := m.any(func(n *node) bool { return isFile(n) && len(n.ino.names) > 1 })
	if n == nil {
		return false
	}
	m.write(n, os.O_TRUNC, m.size())
	return true
}

// opMkdir makes directories in each other and writes into the innermost.
func opMkdir(m *mixer) bool {
	dir := m.home(&node{})
	for range 1 + m.rng.IntN(3) {
		if dir.depth()+1 < mixDepth {
			dir = m.mkdirAt(dir, m.fresh(dir))
		}
	}
	m.createAt(dir, m.fresh(dir))
	return true
}

func opRemoveDir(m *mixer) bool {
	// Not the big ones near the root, or little is left to work on.
	n := m.any(func(n *node) bool { return isDir(n) && n.height() < 2 })
	if n != nil {
		m.drop(n)
	}
	return n != nil
}

// replace removes a random node that is wanted, or renames it to another name
// in the same directory, and lets fill put something else in its place.
func replace(m *mixer, wanted func(*node) bool, fill func(dir *node, name string)) bool {
	n := m.any(func(n *node) bool { return wanted(n) && n.height() < 2 })
	if n == nil {
		return false
	}
	dir, name := n.parent, n.name
	if m.rng.IntN(2) == 0 {
		m.drop(n)
	} else {
		m.move(n, dir, m.fresh(dir))
	}
	fill(dir, name)
	return true
}

func opDirToFile(m *mixer) bool {
	return replace(m, isDir, func(dir *node, name string) { m.createAt(dir, name) })
}

func opFileToDir(m *mixer) bool { return replace(m, isFile, m.dirWithFile) }

func opFileToSymlink(m *mixer) bool { return replace(m, isFile, m.anySymlink) }

func opSymlinkToFile(m *mixer) bool {
	return replace(m, isSymlink, func(dir *node, name string) { m.createAt(dir, name) })
}

func opSymlinkToDir(m *mixer) bool { return replace(m, isSymlink, m.dirWithFile) }

func opDirToSymlink(m *mixer) bool { return replace(m, isDir, m.anySymlink) }

func (m *mixer) dirWithFile(dir *node, name string) {
	n := m.mkdirAt(dir, name)
	if n.depth() < mixDepth {
		m.createAt(n, m.fresh(n))
	}
}

func (m *mixer) anySymlink(dir *node, name string) { m.symlinkAt(dir, name, pick(m, targets)) }
