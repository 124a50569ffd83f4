package scheduler

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/mirrortest"
)

// TestDeepenAgainstModel: whatever is dirty in whatever tree, everything that
// was taken is covered or back in the dirty set, subtrees go only where enough
// is dirty, the topmost of them, and counting costs no more than it may.
func TestDeepenAgainstModel(t *testing.T) {
	tmp := mirrortest.TmpfsDir(t)
	for seed := range int64(200) {
		rng := rand.New(rand.NewSource(seed))
		root := filepath.Join(tmp, fmt.Sprint(seed))
		all := map[string]bool{} // every path; true: a file
		for range 5 + rng.Intn(60) {
			var parts []string
			for range 1 + rng.Intn(4) {
				parts = append(parts, []string{"a", "b", "a-", "a0"}[rng.Intn(4)])
			}
			p := strings.Join(append(parts, fmt.Sprint("f", rng.Intn(4))), "/")
			if err := errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(p)), 0o755), os.WriteFile(filepath.Join(root, p), nil, 0o644)); err != nil {
				t.Fatal(err)
			}
			all[p] = true
			for p = coalesce.Parent(p); p != ""; p = coalesce.Parent(p) {
				all[p] = false
			}
		}
		cfg := Config{Source: dirSource(root), Now: func() int64 { return 1e12 }, deepMin: 2 + rng.Intn(4)}.withDefaults()
		r := newRemote(cfg, RemoteConfig{MaxDirty: 1000}, nil)
		share := rng.Intn(101)
		dirty := map[string]bool{}
		for p := range all {
			if rng.Intn(100) < share {
				dirty[p] = true
				r.dirty.Add(coalesce.Entry{Path: p, Flags: coalesce.Content, Since: 1, Last: 1, Seq: 1})
			}
		}
		if len(dirty) == 0 {
			continue
		}
		crowded := func(dir string) bool {
			lines, size := 0, 0
			for p := range all {
				if coalesce.Under(p, dir) {
					size++
					if dirty[p] {
						lines++
					}
				}
			}
			return dir != "" && lines >= cfg.deepMin && size*deepWhole <= lines*deepPart
		}
		var want []string
		for p, file := range all {
			topmost := !file && crowded(p)
			for q := coalesce.Parent(p); q != "" && topmost; q = coalesce.Parent(q) {
				topmost = !crowded(q)
			}
			if topmost {
				want = append(want, p)
			}
		}
		slices.Sort(want)
		f := r.nextFlight(1e12)
		got := listOf(newBucket(kind{form: f.batch.Form}))
		for _, it := range f.batch.Items {
			if f.batch.Form == Deep {
				got = append(got, it)
			}
		}
		if g := fmt.Sprint(got); g != fmt.Sprint(want) {
			t.Errorf("seed %d: deep %s, want %v", seed, g, want)
		}
		for _, e := range f.entries {
			if !f.covers(e.Path) {
				t.Errorf("seed %d: %q was taken but not sent with %v", seed, e.Path, f.batch)
			}
		}
		if n := len(f.entries) + r.dirty.Len(); n != len(dirty) {
			t.Errorf("seed %d: %d of %d paths are left", seed, n, len(dirty))
		}
	}
}

// bucketOf is a bucket of files that are dirty for long, and a remote for it.
func bucketOf(t *testing.T, root string, files []string) (*remote, *bucket, *looker) {
	t.Helper()
	cfg := Config{Now: clock, deepMin: small}.withDefaults()
	b := newBucket(kind{form: Flat, purpose: plain})
	for _, p := range files {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(p)), 0o755), os.WriteFile(filepath.Join(root, p), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		b.add(placed{entry: coalesce.Entry{Path: p, Flags: coalesce.Content, Since: 1, Last: 1}, item: Item{Path: p}})
	}
	return newRemote(cfg, RemoteConfig{MaxDirty: 1000}, nil), b, openLooker(t, root)
}

// TestDeepenStaysOut is what a batch alone does not show.
func TestDeepenStaysOut(t *testing.T) {
	for _, x := range []struct {
		name string
		set  func(r *remote, b *bucket)
		want Form
	}{
		{"nothing", func(*remote, *bucket) {}, Deep},
		{"a failed path below", func(r *remote, _ *bucket) { r.troubles.note("d/e/f/x", "denied") }, Flat},
		{"a failed path beside", func(r *remote, _ *bucket) { r.troubles.note("d/x", "denied") }, Flat},
		{"a failed path elsewhere", func(r *remote, _ *bucket) { r.troubles.note("x", "denied") }, Deep},
		{"a suspect", func(r *remote, _ *bucket) { r.suspects = [][]coalesce.Entry{{changed("z")}, {changed("d")}} }, Flat},
		{"a removal of the directory that waits", func(r *remote, _ *bucket) { r.dirty.Add(gone("d")) }, Flat},
		{"a directory that was missing a moment ago", func(_ *remote, b *bucket) { b.add(placed{entry: gone("d/x"), item: Item{Path: "d", Missing: true}}) }, Flat},
		{"one below it", func(_ *remote, b *bucket) {
			b.add(placed{entry: gone("d/x/y"), item: Item{Path: "d/x", Missing: true}})
		}, Deep},
	} {
		var files []string
		for i := range small {
			files = append(files, fmt.Sprint("d/", strings.Repeat("e/", i%2), i))
		}
		r, b, look := bucketOf(t, t.TempDir(), files)
		x.set(r, b)
		if got := r.deepen(b, look, clock()); got.form != x.want {
			t.Errorf("%s: %v", x.name, got.form)
		}
	}
}

// The search for a crowded subtree in many thin ones, one in another, ends.
func TestDeepenGivesUpCounting(t *testing.T) {
	for levels, want := range map[int]Form{2: Deep, 12: Flat} {
		root, dir := t.TempDir(), "d"
		for range levels {
			for i := range 3 * small {
				p := filepath.Join(root, dir, fmt.Sprint("same", i))
				if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			dir += "/d"
		}
		var files []string
		for i := range small {
			files = append(files, fmt.Sprint(dir, "/", i))
		}
		r, b, look := bucketOf(t, root, files)
		if got := r.deepen(b, look, clock()).form; got != want {
			t.Errorf("below %d thin directories: %v, want %v", levels, got, want)
		}
	}
}

func TestPopulation(t *testing.T) {
	root := mirrortest.TmpfsDir(t)
	for _, p := range []string{"d/a/1", "d/a/2", "d/b/c/3", "d/.4", "d/\xff\n", "e/5"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, filepath.Dir(p)), 0o755), os.WriteFile(filepath.Join(root, p), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../e", filepath.Join(root, "d/link")); err != nil {
		t.Fatal(err)
	}
	l := openLooker(t, root)
	for _, x := range []struct {
		dir         string
		limit, want int
	}{{"d", 100, 9}, {"d", 10, 9}, {"d", 9, 9}, {"d", 3, 3}, {"d/a", 100, 2}, {"", 100, 12}} {
		if n, err := l.population(x.dir, x.limit); err != nil || n != x.want {
			t.Errorf("population(%q, %d) = %d, %v, want %d", x.dir, x.limit, n, err, x.want)
		}
	}
	for _, bad := range []string{"d/link", "no", "d/a/1"} {
		if n, err := l.population(bad, 100); err == nil {
			t.Errorf("population(%q) = %d", bad, n)
		}
	}
	mirrortest.NeedRoot(t)
	mirrortest.Mount(t, "tmpfs", filepath.Join(root, "d/b/c"), "tmpfs", 0, "")
	if n, err := l.population("d", 100); err == nil {
		t.Errorf("with a mount in it: %d", n)
	}
	if n, err := l.population("d/b/c", 100); err != nil || n != 0 {
		t.Errorf("a mount itself: %d, %v", n, err)
	}
}
