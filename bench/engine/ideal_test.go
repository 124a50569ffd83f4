package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/rsynctest"
)

// TestIdealIsRight makes random changes, tells their paths, and wants an equal
// mirror each time, in which nothing else was touched.
func TestIdealIsRight(t *testing.T) {
	rsynctest.NeedNames(t)
	c := open(t, find(t, "ideal"), 1, false, -1)
	rng := rand.New(rand.NewPCG(7, 7))
	dirs := []string{"", "a", "a/b", "a-b", "c", "a/b/c"}
	files := []string{"x", "y", "#z", "c"}
	// What nobody names must stay, even if it is wrong.
	c.do(os.WriteFile(c.mirrors[0]+"/stray", nil, 0o644))
	for range 40 {
		changed := map[string]bool{}
		for range 1 + rng.IntN(6) {
			dir, file := dirs[rng.IntN(len(dirs))], files[rng.IntN(len(files))]
			change(c, rng, filepath.Join(dir, file), changed)
		}
		var paths []string
		for p := range changed {
			paths = append(paths, p)
		}
		slices.Sort(paths)
		if err := c.process.Sync(t.Context(), paths); err != nil {
			t.Fatalf("changed %q: %v", paths, err)
		}
		got, err := measure.Compare(t.Context(), c.src, c.mirrors[0], measure.CompareOptions{Content: true, DirTimes: true})
		if err != nil || len(got) != 1 || got[0].Path != "stray" {
			t.Fatalf("changed %q: differences %v, %v, want the stray alone", paths, got, err)
		}
	}
}

// change makes one random change at a path and notes what changed.
func change(c *cell, rng *rand.Rand, rel string, changed map[string]bool) {
	c.t.Helper()
	p := c.path(rel)
	// A parent that is no directory makes way; a new one stands for all below.
	for at := filepath.Dir(rel); at != "."; at = filepath.Dir(at) {
		st, err := os.Lstat(c.path(at))
		if err == nil && !st.IsDir() {
			c.do(os.Remove(c.path(at)))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "not a directory") {
			c.do(err)
		}
		if err != nil || !st.IsDir() {
			changed[at] = true
		}
	}
	c.do(os.MkdirAll(filepath.Dir(p), 0o755))
	changed[rel] = true
	switch rng.IntN(6) {
	case 0:
		c.do(os.RemoveAll(p), os.WriteFile(p, []byte("new"), 0o644))
	case 1: // the same size, often in the same second
		c.do(os.RemoveAll(p), os.WriteFile(p, []byte{byte(rng.IntN(256))}, 0o600))
	case 2:
		c.do(os.RemoveAll(p), os.MkdirAll(p+"/deep/er", 0o755), os.WriteFile(p+"/deep/er/f", []byte(rel), 0o644))
	case 3:
		c.do(os.RemoveAll(p), os.Symlink("nowhere/"+rel, p))
	case 4:
		c.do(os.RemoveAll(p))
		for _, below := range []string{"deep", "deep/er", "deep/er/f"} {
			changed[rel+"/"+below] = true
		}
	case 5:
		to := fmt.Sprintf("moved%d", rng.IntN(3))
		if _, err := os.Lstat(p); err == nil {
			c.do(os.RemoveAll(c.path(to)), os.Rename(p, c.path(to)))
			changed[to] = true
		}
	}
}
