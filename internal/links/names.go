package links

import (
	"cmp"

	"github.com/fansync/fansync/internal/sorted"
)

// inode is a file, whatever its names.
type inode struct{ dev, ino uint64 }

// link is one name of a file.
type link struct {
	path string
	file inode
}

// names are the known names of files with several links, in two orders.
type names struct {
	byPath, byFile sorted.Tree[link]
}

func newNames() names {
	return names{
		byPath: sorted.New(func(a, b link) bool { return a.path < b.path }, nil),
		byFile: sorted.New(func(a, b link) bool {
			return cmp.Or(cmp.Compare(a.file.ino, b.file.ino), cmp.Compare(a.file.dev, b.file.dev), cmp.Compare(a.path, b.path)) < 0
		}, nil),
	}
}

func (n names) len() int { return n.byPath.Len() }

// file is the file the path was a name of when last seen.
func (n names) file(path string) (inode, bool) {
	l, ok := n.byPath.Get(link{path: path})
	return l.file, ok
}

// set makes the path a name of the file, and of no other.
func (n names) set(l link) {
	n.drop(l.path)
	n.byPath.Set(l)
	n.byFile.Set(l)
}

// drop forgets the path and reports whether it was known.
func (n names) drop(path string) bool {
	l, ok := n.byPath.Delete(link{path: path})
	if ok {
		n.byFile.Delete(l)
	}
	return ok
}

// of are the file's known names in order.
func (n names) of(f inode) []string {
	var paths []string
	n.byFile.AscendFrom(link{file: f}, func(l link) bool {
		if l.file != f {
			return false
		}
		paths = append(paths, l.path)
		return true
	})
	return paths
}

// under are the links strictly below dir, which is not the root.
func (n names) under(dir string) []link {
	var links []link
	n.byPath.AscendRange(link{path: dir + "/"}, link{path: dir + "0"}, func(l link) bool {
		links = append(links, l)
		return true
	})
	return links
}
