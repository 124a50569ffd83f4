package watcher

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// fanStep is one directory met on the way up, with the name it has in the
// next one.
type fanStep struct {
	key, name string
}

var (
	// errMoving says that a directory was renamed while it was looked up.
	errMoving = errors.New("directory is being moved")
	// errRootGone says that the root's path leads elsewhere.
	errRootGone = errors.New("root is gone")
)

// dir returns the node of a record's directory with its place computed, or nil
// if that cannot be found out: then a Rescan finds what the record told of.
func (f *fan) dir(key []byte) *fanNode {
	n, err := f.find(key)
	if err != nil {
		f.fail(err)
	}
	return n
}

// find returns the node of a directory's handle with its place computed, or
// nil, without an error if there is no handle or no root any more.
func (f *fan) find(key []byte) (*fanNode, error) {
	if len(key) == 0 {
		return nil, nil
	}
	f.nodes.reserve(1)
	n := f.nodes.at(key)
	unknown := f.nodes.check(n, f.r.ignored)
	if unknown == nil {
		f.r.w.count.hits.Add(1)
		return n, nil
	}
	f.r.w.count.misses.Add(1)
	const tries = 16
	for i := range tries {
		err := f.lookup(unknown.key)
		if errors.Is(err, errRootGone) || f.r.gone {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if i == tries/2 {
			f.nodes.clear()
		}
		n = f.nodes.at(key)
		if unknown = f.nodes.check(n, f.r.ignored); unknown == nil {
			return n, nil
		}
	}
	return nil, errMoving
}

// fail gives up on a handle: what its record told of must be found by a
// Rescan.
func (f *fan) fail(err error) {
	f.unresolved = true
	if !f.troubled {
		f.r.w.cfg.Log.Warn("look up a directory handle: the root will be compared again; further failures are not logged",
			"root", f.r.w.cfg.Root, "err", err)
	}
	f.troubled = true
}

// tooDeep notes that a path is longer than any program can name it in one
// piece, rsync too.
func (f *fan) tooDeep() {
	if !f.deep {
		f.r.w.cfg.Log.Warn("directories with paths longer than 4095 bytes are not watched", "root", f.r.w.cfg.Root)
	}
	f.deep = true
}

// lookup finds the place of the directory of a handle and links its node.
func (f *fan) lookup(key string) error {
	if err := f.openRoot(); err != nil {
		return err
	}
	f.r.w.count.resolved.Add(1)
	const tries = 8
	var err error
	for range tries {
		if err = f.climb([]byte(key)); err == nil {
			return nil
		}
		// open_by_handle_at gives ENOMEM for other reasons than memory.
		if !errors.Is(err, errMoving) && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return err
}

// climb goes up from a directory, by handles, until it meets the root or a
// known directory, or leaves the mount. Names are taken from what the kernel
// says the path is, but where they lead to never: a directory outside the
// mount in use has no path, and one in another mount may have the root's.
func (f *fan) climb(key []byte) error {
	first, err := openHandle(f.root, key)
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
		f.commit(append(f.chain[:0], fanStep{key: string(key)}), nil)
		f.nodes.at(key).dead = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("open directory handle: %w", err)
	}
	fd := first
	defer func() {
		if fd != first {
			unix.Close(fd)
		}
		unix.Close(first)
	}()
	path, err := readlinkFD(first, f.link)
	if errors.Is(err, unix.ENAMETOOLONG) {
		f.tooDeep()
		f.commit(append(f.chain[:0], fanStep{key: string(key)}), nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read path of directory: %w", err)
	}
	start := string(path)
	var st unix.Stat_t
	if err := unix.Fstat(first, &st); err != nil {
		return fmt.Errorf("stat directory: %w", err)
	}
	f.chain = append(f.chain[:0], fanStep{key: string(key), name: string(base(path))})
	var end *fanNode
	for st.Nlink > 0 {
		parent, err := unix.Openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			break // not below what is mounted: outside
		}
		if err != nil {
			return fmt.Errorf("open parent directory: %w", err)
		}
		if fd != first {
			unix.Close(fd)
		}
		fd = parent
		up, mount, err := handleOf(fd, &f.up)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("ask for handle of parent directory: %w", err)
		}
		if err != nil || mount != f.mount || string(up) == f.chain[len(f.chain)-1].key {
			break // left the mount, or at the very top: outside
		}
		if n := f.nodes.by[string(up)]; n != nil && (n == f.nodes.root || !n.stale && (!n.outside || n.outAge == f.nodes.outAge)) {
			end = n
			break
		}
		if path, err = readlinkFD(fd, f.again); err != nil {
			return fmt.Errorf("read path of parent directory: %w", err)
		}
		f.chain = append(f.chain, fanStep{key: string(up), name: string(base(path))})
	}
	if st.Nlink > 0 {
		if path, err = readlinkFD(first, f.again); err != nil {
			return fmt.Errorf("read path of directory: %w", err)
		}
		if string(path) != start {
			return errMoving
		}
	}
	f.commit(f.chain, end)
	if st.Nlink == 0 {
		f.nodes.at(key).dead = true // somebody holds it open
	}
	return nil
}

// commit links the directories of a chain below end, or notes that they are
// outside.
func (f *fan) commit(chain []fanStep, end *fanNode) {
	if len(f.nodes.by)+len(chain) > f.nodes.max {
		f.nodes.clear()
		if end != nil && end != f.nodes.root {
			return // end is void; the next try starts from nothing
		}
	}
	// The known part may be older than renames whose records are still to
	// come: a directory may have moved below one that was below it.
	for up := end; up != nil; up = up.parent {
		for _, step := range chain {
			if up.key == step.key {
				f.nodes.clear()
				return
			}
		}
	}
	if end != nil && end.outside {
		end = nil
	}
	for i := len(chain) - 1; i >= 0; i-- {
		n := f.nodes.at([]byte(chain[i].key))
		if end == nil {
			f.nodes.exclude(n)
			continue
		}
		f.nodes.place(n, end, chain[i].name)
		end = n
	}
}

// openRoot opens the root, and makes sure that it is the root, until closeRoot:
// a descriptor kept would keep the filesystem from being unmounted.
func (f *fan) openRoot() error {
	if f.root >= 0 {
		return nil
	}
	fd, err := openDir(f.r.w.cfg.Root)
	if err == nil {
		var key []byte
		key, f.mount, err = handleOf(fd, &f.key)
		if err == nil && string(key) == f.nodes.key {
			f.root = fd
			return nil
		}
		unix.Close(fd)
	}
	if f.r.checkRoot(); f.r.gone {
		return errRootGone
	}
	if err == nil {
		err = errMoving
	}
	return fmt.Errorf("open the root: %w", err)
}

func (f *fan) closeRoot() {
	if f.root >= 0 {
		unix.Close(f.root)
		f.root = -1
	}
}
