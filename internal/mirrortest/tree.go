package mirrortest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Tree is a directory's whole content by path relative to it; "" is the
// directory itself.
type Tree map[string]Node

// Node is one entry of a Tree.
type Node struct {
	// Type is unix.S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR or
	// S_IFBLK.
	Type uint32
	// Mode holds the permission bits, 07777.
	Mode uint32
	// Size is in bytes; a directory has none.
	Size int64
	// Mtime is in nanoseconds since 1970.
	Mtime int64
	// Sum is the hash of a regular file's content.
	Sum [sha256.Size]byte
	// Target is what a symbolic link holds.
	Target   string
	UID, GID uint32
	// Rdev is a device's number.
	Rdev uint64
	// Twin is the first path the walk met of the same inode, and "" if it is
	// this path itself: the names of one inode have the same Twin.
	Twin string
}

type inodeKey struct{ dev, ino uint64 }

type snapshot struct {
	tree Tree
	skip func(path string, isDir bool) bool
	seen map[inodeKey]string
	buf  []byte
}

// Snapshot reads the tree below root without following symbolic links; only
// root itself may be one. Paths for which skip (may be nil) says true are left
// out with all below them. An entry that goes away during the walk is an
// error: the tree was not at rest.
func Snapshot(root string, skip func(path string, isDir bool) bool) (Tree, error) {
	s := &snapshot{tree: Tree{}, skip: skip, seen: map[inodeKey]string{}, buf: make([]byte, 64<<10)}
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: root, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, &fs.PathError{Op: "snapshot", Path: root, Err: unix.ENOTDIR}
	}
	s.tree[""] = node(&st)
	if err := s.walk(root, ""); err != nil {
		return nil, err
	}
	return s.tree, nil
}

// walk adds the entries of one directory. Names are sorted, so that two equal
// trees are walked in the same order and get the same twins.
func (s *snapshot) walk(dir, rel string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		full, path := dir+"/"+e.Name(), e.Name()
		if rel != "" {
			path = rel + "/" + path
		}
		var st unix.Stat_t
		if err := unix.Lstat(full, &st); err != nil {
			return &fs.PathError{Op: "lstat", Path: full, Err: err}
		}
		n := node(&st)
		if s.skip != nil && s.skip(path, n.Type == unix.S_IFDIR) {
			continue
		}
		if n.Type != unix.S_IFDIR && st.Nlink > 1 {
			key := inodeKey{st.Dev, st.Ino}
			if first, ok := s.seen[key]; ok {
				n.Twin = first
			} else {
				s.seen[key] = path
			}
		}
		switch n.Type {
		case unix.S_IFREG:
			if n.Sum, err = s.hash(full); err != nil {
				return err
			}
		case unix.S_IFLNK:
			if n.Target, err = os.Readlink(full); err != nil {
				return err
			}
		}
		s.tree[path] = n
		if n.Type == unix.S_IFDIR {
			if err := s.walk(full, path); err != nil {
				return err
			}
		}
	}
	return nil
}

func node(st *unix.Stat_t) Node {
	n := Node{
		Type: st.Mode & unix.S_IFMT, Mode: st.Mode & 0o7777, Size: st.Size,
		Mtime: st.Mtim.Nano(), UID: st.Uid, GID: st.Gid,
	}
	switch n.Type {
	case unix.S_IFDIR:
		n.Size = 0
	case unix.S_IFCHR, unix.S_IFBLK:
		n.Rdev = st.Rdev
	}
	return n
}

// hash opens with care: a fifo that took the file's place must not block.
func (s *snapshot) hash(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, s.buf)
	if err = errors.Join(err, f.Close()); err != nil {
		return sum, fmt.Errorf("read %q: %w", path, err)
	}
	h.Sum(sum[:0])
	return sum, nil
}
