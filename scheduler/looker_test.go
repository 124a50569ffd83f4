package scheduler

import (
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// naive is the slow model of looker.look.
func naive(t *testing.T, root, path string) found {
	t.Helper()
	for i := range len(path) + 1 {
		if i < len(path) && path[i] != '/' {
			continue
		}
		var st unix.Stat_t
		p := path[:i]
		switch err := unix.Lstat(filepath.Join(root, p), &st); {
		case err == unix.ENOENT:
			return found{path: p, missing: true}
		case err != nil:
			t.Fatal(err)
		case st.Mode&unix.S_IFMT != unix.S_IFDIR || i == len(path):
			return found{path: p, size: st.Size, mode: st.Mode, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
		}
	}
	return found{}
}

func TestLookerAgainstModel(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"a/b/c", "a-", "d", "out/b"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"a/b/c/f", "a/f", "out/b/f", "a0", "d/\xff"} {
		if err := os.WriteFile(filepath.Join(root, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []string{"a/b/l", "link"} {
		if err := os.Symlink(filepath.Join(root, "out"), filepath.Join(root, l)); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewSource(1))
	parts := []string{"a", "b", "c", "f", "l", "link", "out", "a0", "a-", "d", "\xff", "no"}
	var paths []string
	for range 2000 {
		var p []string
		for range 1 + rng.Intn(5) {
			p = append(p, parts[rng.Intn(len(parts))])
		}
		paths = append(paths, strings.Join(p, "/"))
	}
	paths = append(paths, "", "link/b/f", "a/b/l/b", "no/no/no", "a0/x")
	for range 2 {
		dir, err := os.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		l := newLooker(dir)
		for _, p := range paths {
			got, err := l.look(p)
			if err != nil {
				t.Fatal(err)
			}
			if want := naive(t, root, p); got != want {
				t.Fatalf("look(%q) = %+v, want %+v", p, got, want)
			}
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(paths)
	}
}

func TestLookerCrowd(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"d/1", "d/2", "d/3"} {
		if err := os.MkdirAll(filepath.Join(root, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("d", filepath.Join(root, "l")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	l := newLooker(dir)
	defer l.close()
	for _, c := range []struct {
		dir         string
		limit, want int
	}{{"", 10, 2}, {"d", 10, 3}, {"d", 2, 2}, {"d/1", 5, 0}} {
		if n, err := l.crowd(c.dir, c.limit); err != nil || n != c.want {
			t.Errorf("crowd(%q, %d) = %d, %v, want %d", c.dir, c.limit, n, err, c.want)
		}
	}
	for _, bad := range []string{"l", "no", "l/1"} {
		if n, err := l.crowd(bad, 5); err == nil {
			t.Errorf("crowd(%q) = %d", bad, n)
		}
	}
}
