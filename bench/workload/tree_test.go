package workload

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fact is what a mirror must have of one path.
type fact struct {
	mode  fs.FileMode
	size  int64 // of regular files
	mtime int64
	sum   string // of the content, or a link's target
	ino   uint64
	disk  int64 // bytes
}

// same leaves out the inode and the blocks.
func (f fact) same(g fact) bool {
	f.ino, f.disk, g.ino, g.disk = 0, 0, 0, 0
	return f == g
}

// tree is all below a directory, by relative path, without the root.
type tree map[string]fact

func look(t *testing.T, root string) tree {
	t.Helper()
	found := tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		f := fact{mode: info.Mode(), mtime: info.ModTime().UnixNano(), ino: st.Ino, disk: st.Blocks * 512}
		switch info.Mode().Type() {
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.size, f.sum = info.Size(), fmt.Sprintf("%x", sha256.Sum256(data))
		case fs.ModeSymlink:
			if f.sum, err = os.Readlink(path); err != nil {
				return err
			}
		}
		found[path[len(root)+1:]] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// hash leaves out the times that the clock gave: those are from after 2020.
func (tr tree) hash() string {
	h := sha256.New()
	links := map[uint64]string{}
	for _, path := range slices.Sorted(maps.Keys(tr)) {
		f := tr[path]
		mtime := f.mtime
		if mtime > 1577836800e9 {
			mtime = 0
		}
		if f.mode.IsRegular() && links[f.ino] == "" {
			links[f.ino] = path
		}
		fmt.Fprintf(h, "%q %v %d %d %q %q\n", path, f.mode, f.size, mtime, f.sum, links[f.ino])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// changed are the paths that differ, but for directories of which only the time
// does: names that come and go in them change it.
func changed(before, after tree) []string {
	var out []string
	for path, b := range before {
		a, there := after[path]
		if there && a.mode.IsDir() && b.mode.IsDir() {
			a.mtime = b.mtime
		}
		if !there || !a.same(b) {
			out = append(out, path)
		}
	}
	for path := range after {
		if _, there := before[path]; !there {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// covered reports whether path or a directory above it is listed.
func covered(listed map[string]bool, path string) bool {
	for p := path; p != "."; p = filepath.Dir(p) {
		if listed[p] {
			return true
		}
	}
	return false
}

// checkChanges holds Changes to its contract.
func checkChanges(t *testing.T, before, after tree, c Changes) {
	t.Helper()
	listed := map[string]bool{}
	for i, p := range c.Paths {
		if p == "" || p != filepath.Clean(p) || filepath.IsAbs(p) || strings.HasPrefix(p, "..") {
			t.Errorf("path %q is not clean and relative", p)
		}
		if i > 0 && c.Paths[i-1] >= p {
			t.Errorf("path %q comes after %q", p, c.Paths[i-1])
		}
		listed[p] = true
	}
	for _, p := range c.Paths {
		if parent := filepath.Dir(p); covered(listed, parent) {
			t.Errorf("path %q lies below another", p)
		}
	}
	for _, p := range changed(before, after) {
		if !covered(listed, p) {
			t.Errorf("%q changed and is not covered by the paths", p)
		}
	}
}

// usage is what a tree takes on the disk, with its root.
func (tr tree) usage(t *testing.T, root string) (bytes, inodes int64) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(root, &st); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{st.Ino: true}
	bytes = st.Blocks * 512
	for _, f := range tr {
		if !seen[f.ino] {
			seen[f.ino] = true
			bytes += f.disk
		}
	}
	return bytes, int64(len(seen))
}
