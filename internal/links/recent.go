package links

// recentFiles bounds recent.
const recentFiles = 1 << 16

// recent remembers where files with a single name were last seen. When such a
// file gets a second name, the kernel tells of that one only; without the first
// the whole tree would have to be searched for it.
type recent struct {
	paths map[inode]string
	// order holds the files in the order of their coming, next is the oldest
	// once it is full.
	order []inode
	next  int
}

// note remembers the path in place of what the file had.
func (r *recent) note(f inode, path string) {
	if r.paths == nil {
		r.paths = make(map[inode]string)
	}
	if _, known := r.paths[f]; !known {
		if len(r.order) < recentFiles {
			r.order = append(r.order, f)
		} else {
			delete(r.paths, r.order[r.next])
			r.order[r.next] = f
			r.next = (r.next + 1) % recentFiles
		}
	}
	r.paths[f] = path
}

// path is where the file was last seen.
func (r *recent) path(f inode) (string, bool) {
	p, ok := r.paths[f]
	return p, ok
}
