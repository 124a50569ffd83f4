package scheduler

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
)

// grow makes a tree of branches from lines "path=weight"; a weight is of the
// directory without what is below it, and "!" after it says that it cannot be
// cut. The lines are sorted by path and begin with the root.
func grow(t testing.TB, lines string) *branch {
	t.Helper()
	all := map[string]*branch{}
	var order []*branch
	for _, line := range strings.Fields(lines) {
		path, weight, _ := strings.Cut(line, "=")
		b := &branch{path: strings.Trim(path, "."), entries: 1}
		weight, solid := strings.CutSuffix(weight, "!")
		b.whole = !solid
		if _, err := fmt.Sscan(weight, &b.weight); err != nil {
			t.Fatal(err)
		}
		if parent := all[coalesce.Parent(b.path)]; b.path != "" && parent.whole {
			parent.subs = append(parent.subs, b)
		}
		all[b.path], order = b, append(order, b)
	}
	for _, b := range slices.Backward(order) {
		if b.path != "" {
			all[coalesce.Parent(b.path)].weight += b.weight
			all[coalesce.Parent(b.path)].entries += b.entries
		}
	}
	return all[""]
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		name, tree string
		n          int
		border     string
		shards     string
	}{
		{"too small", ".=1 a=3 b=3", 4, "", ""},
		{"not asked for", ".=1 a=300 b=300", 1, "", ""},
		{"two halves", ".=1 a=300 b=300", 2, "[/]", "[a] [b]"},
		{"small ones fill up", ".=1 a=300 b=100 c=100 d=90", 2, "[/]", "[a] [b c d]"},
		{"one heavy, cut further", ".=1 a=1 a/x=300 a/y=300 b=10", 2, "[/ a/]", "[a/x b] [a/y]"},
		{"a chain of single ones", ".=1 a=1 a/b=1 a/b/c=1 a/b/c/x=300 a/b/c/y=300", 2, "[/ a/ a/b/ a/b/c/]", "[a/b/c/x] [a/b/c/y]"},
		{"nothing to cut at", ".=600", 2, "", ""},
		{"one that cannot be cut", ".=1 a=600! b=1", 2, "[/]", "[a] [b]"},
		{"as many as there are parts", ".=1 a=500! b=400!", 4, "[/]", "[a] [b]"},
		{"a chain with one end", ".=1 a=1 a/b=1 a/b/c=900", 4, "", ""},
	} {
		border, shards := grow(t, c.tree).cut(c.n, 10)
		var got []string
		for _, s := range shards {
			got = append(got, fmt.Sprint(s.Items))
		}
		b := ""
		if border != nil {
			b = fmt.Sprint(border)
		}
		if b != c.border || strings.Join(got, " ") != c.shards {
			t.Errorf("%s: border %s, shards %v; want %s, %s", c.name, b, got, c.border, c.shards)
		}
	}
}

// The border and the shards are the whole tree and nothing twice, and no shard
// is much heavier than another if it could be lighter.
func TestCutAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lines := []string{".=1"}
		paths := []string{""}
		for range rapid.IntRange(0, 60).Draw(rt, "dirs") {
			at := rapid.SampledFrom(paths).Draw(rt, "parent")
			path := strings.TrimPrefix(at+"/"+fmt.Sprintf("d%02d", len(paths)), "/")
			paths = append(paths, path)
		}
		slices.Sort(paths)
		for _, p := range paths[1:] {
			lines = append(lines, fmt.Sprintf("%s=%d", p, rapid.IntRange(1, 50).Draw(rt, "weight")))
		}
		n := rapid.IntRange(2, 5).Draw(rt, "n")
		tree := grow(t, strings.Join(lines, " "))
		border, shards := tree.cut(n, 5)
		if len(shards) == 0 {
			return
		}
		if len(shards) > n {
			rt.Fatalf("%d shards, want at most %d", len(shards), n)
		}
		var entries int64
		in := map[string]int{}
		for _, it := range border {
			in[it.Path]++
		}
		for _, s := range shards {
			entries += s.Entries
			for _, it := range s.Items {
				for _, p := range paths {
					if p == it.Path || coalesce.Under(p, it.Path) {
						in[p]++
					}
				}
				// What is above a shard's directory is in the border.
				if _, found := slices.BinarySearchFunc(border, coalesce.Parent(it.Path), func(b Item, p string) int { return strings.Compare(b.Path, p) }); !found {
					rt.Fatalf("%q has no border", it.Path)
				}
			}
			if !slices.IsSortedFunc(s.Items, func(x, y Item) int { return strings.Compare(x.Path, y.Path) }) {
				rt.Fatalf("not sorted: %v", s.Items)
			}
		}
		for _, p := range paths {
			if in[p] != 1 {
				rt.Fatalf("%q is there %d times in %v and %v", p, in[p], border, shards)
			}
		}
		if want := int64(len(paths) - len(border)); entries != want {
			rt.Fatalf("%d entries in the shards, want %d", entries, want)
		}
	})
}

func TestSurvey(t *testing.T) {
	root := t.TempDir()
	for path, size := range map[string]int64{"a/x": 10, "a/big": 5000, "b/c/y": 20, "b/c/big": 1000, "no/big": 5000, "z": 999} {
		abs := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(abs, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../a/big", filepath.Join(root, "b/link")); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Source: dirSource(root), ShardMin: shardEntry, Skip: func(path string, dir bool) bool { return dir && path == "no" }}
	for _, c := range []struct {
		name    string
		f       flight
		left    []string
		maxSize int64
		entries int64
		shards  int
	}{
		{"full", flight{batch: Batch{Form: Full}, search: []Item{{}}, bigSize: 1000, shards: 2}, []string{"a/big", "b/c/big"}, 999, 10, 2},
		{"full, nothing large", flight{batch: Batch{Form: Full}, search: []Item{{}}, bigSize: noBig, shards: 2}, nil, 0, 10, 2},
		{"full, not divided", flight{batch: Batch{Form: Full}, search: []Item{{}}, bigSize: 9000}, nil, 8999, 10, 0},
		{"deep", flight{batch: Batch{Form: Deep}, search: []Item{{Path: "b"}, {Path: "z"}}, bigSize: 900}, []string{"b/c/big", "z"}, 899, 0, 0},
		{"one level", flight{batch: Batch{Items: []Item{{Path: "b", Children: true}, {Path: "b/c", Children: true}}}, search: []Item{{Path: "b", Children: true}}, bigSize: 900}, nil, 899, 0, 0},
		{"flat", flight{batch: Batch{Items: []Item{{Path: "a"}}}, bigSize: 900}, nil, 0, 0, 0},
		{"gone", flight{batch: Batch{Form: Deep}, search: []Item{{Path: "gone"}, {Path: "b/link"}}, bigSize: 900}, nil, 899, 0, 0},
	} {
		c.f.survey(t.Context(), cfg)
		slices.Sort(c.f.left)
		if !slices.Equal(c.f.left, c.left) || c.f.batch.MaxSize != c.maxSize || c.f.batch.Entries != c.entries || len(c.f.batch.Shards) != c.shards {
			t.Errorf("%s: left %q, batch %+v", c.name, c.f.left, c.f.batch)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f := flight{batch: Batch{Form: Full}, search: []Item{{}}, bigSize: 1000}
	if f.survey(ended, cfg); f.batch.MaxSize != 0 || f.left != nil {
		t.Errorf("a survey that was not ended: %+v", f.batch)
	}
}

func TestTwice(t *testing.T) {
	for want, items := range map[int64][]Item{
		2: {{Path: "a"}},                // and the root
		4: {{Path: "a/b"}, {Path: "c"}}, // and a, and the root
		5: {{Path: "a/b"}, {Path: "a/b2"}, {Path: "c"}},
	} {
		if got := (Shard{Items: items}).Twice(); got != want {
			t.Errorf("%v: %d, want %d", items, got, want)
		}
	}
}

// A full run that only counts is divided. One that deletes has one limit and is
// not, nor is one after a failure, which may be for want of connections.
func TestWhichFullRunsAreDivided(t *testing.T) {
	tune := func(c *Config) {
		c.ShardMin, c.Remotes[0].Shards = shardEntry, 2
	}
	inBubble(t, 1, tune, func(b *bench) {
		b.live()
		b.write("a/f", "b/f")
		full := func(want string, shards int) call {
			t.Helper()
			c := b.expect(0, want)
			if len(c.batch.Shards) != shards || len(c.batch.Border) != shards/2 {
				t.Errorf("%v: border %v, shards %v, want %d", c, c.batch.Border, c.batch.Shards, shards)
			}
			return c
		}
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Reason: "test"}}}
		full("full [] max 0", 2).end(Result{Class: Transient})
		full("full [] max 0", 0).end(Result{Class: DeleteLimit, Skipped: 3, Stats: Stats{Files: 9}})
		full("full []", 0).ok()
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Reason: "test"}}}
		full("full [] max 0", 2).ok()
		b.quiet(0, time.Hour)
	})
}
