package workload

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fansync/fansync/bench/rsynctest"
)

var (
	small = Size{Seed: 1, Scale: 0.01}
	// tiny is where most numbers are at their least.
	tiny = Size{Seed: 1, Scale: 0.001}
)

// each runs a test for every workload, in parallel: some of them mostly wait.
func each(t *testing.T, test func(t *testing.T, w Workload)) {
	for _, w := range All() {
		t.Run(w.Name(), func(t *testing.T) {
			t.Parallel()
			if _, err := goSource(); err != nil && w.Name() == "source" {
				t.Skip(err)
			}
			test(t, w)
		})
	}
}

func prepare(t *testing.T, w Workload, size Size) string {
	t.Helper()
	src := t.TempDir()
	if err := w.Prepare(t.Context(), src, size); err != nil {
		t.Fatal(err)
	}
	return src
}

func run(t *testing.T, w Workload, src string, size Size) Changes {
	t.Helper()
	c, err := w.Run(t.Context(), src, size)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Paths) == 0 {
		t.Fatal("it tells of no changes")
	}
	return c
}

func TestByName(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	_, unknown := ByName("nonsense")
	if unknown == nil {
		t.Fatal("a workload called nonsense was found")
	}
	seen := map[string]bool{}
	for _, w := range All() {
		name := w.Name()
		if !word.MatchString(name) || seen[name] {
			t.Errorf("%q is no name, or not the only one", name)
		}
		seen[name] = true
		if got, err := ByName(name); err != nil || got.Name() != name {
			t.Errorf("ByName(%q) = %v, %v", name, got, err)
		}
		if !strings.Contains(unknown.Error(), name) {
			t.Errorf("the error does not list %s: %v", name, unknown)
		}
		if doc := w.Doc(); !strings.HasSuffix(doc, ".") || strings.Contains(doc, "\n") {
			t.Errorf("the sentence of %s is none: %q", name, doc)
		}
	}
	for _, want := range strings.Fields("latency burst churn saves delete rename10k rename100k rename1g mkdirs source bigfile " +
		"appends samesecond mix fan1 fan4 fan16 slow dead idle100k idle1m dirs100k") {
		if !seen[want] {
			t.Errorf("workload %s is missing", want)
		}
	}
}

// TestRun holds a Run to what Changes and Needs tell. It also sends what Changes
// names, and nothing else, with a real rsync, to a copy of the prepared tree.
func TestRun(t *testing.T) {
	each(t, func(t *testing.T, w Workload) {
		size := small
		if w.Needs(size).Inodes > 3_000 {
			size = tiny // it has the same shape
		}
		src := prepare(t, w, size)
		mirror := t.TempDir()
		program, noRsync := exec.LookPath("rsync")
		if noRsync == nil {
			rsync(t, program, nil, "-a", "--modify-window=-1", src+"/", mirror)
		}
		before := look(t, src)
		c := run(t, w, src, size)
		after := look(t, src)
		checkChanges(t, before, after, c)
		checkNoneIdle(t, w, before, after, c)
		checkNeeds(t, w.Needs(size), src, before, after)
		checkParams(t, w, size, before, after)
		if noRsync != nil {
			t.Skip("the rest needs rsync")
		}
		if slices.ContainsFunc(c.Paths, func(p string) bool { _, is := after[p]; return !is }) {
			rsynctest.NeedNames(t)
		}
		list := []byte("./" + strings.Join(c.Paths, "\x00./") + "\x00")
		rsync(t, program, list, "-a", "-r", "--delete", "--force", "--delete-missing-args", "--modify-window=-1",
			"--files-from=-", "--from0", src+"/", mirror)
		there := look(t, mirror)
		for path, f := range after {
			if g, ok := there[path]; !ok || !f.same(g) {
				t.Errorf("%q: the source has %+v, the mirror %+v", path, f, g)
			}
			delete(there, path)
		}
		for path := range there {
			t.Errorf("%q is left at the mirror", path)
		}
	})
}

// checkNoneIdle: no path is named for nothing. In a mix, things can come back
// to what they were.
func checkNoneIdle(t *testing.T, w Workload, before, after tree, c Changes) {
	t.Helper()
	differ := changed(before, after)
	for _, p := range c.Paths {
		_, was := before[p]
		_, is := after[p]
		at := map[string]bool{p: true}
		changedAt := func(path string) bool { return covered(at, path) }
		if was && is && w.Name() != "mix" && !slices.ContainsFunc(differ, changedAt) {
			t.Errorf("%q is named and did not change", p)
		}
	}
	if len(differ) == 0 {
		t.Error("nothing changed")
	}
}

func rsync(t *testing.T, program string, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func TestSeed(t *testing.T) {
	// A copy of what is installed has no seed.
	unseeded := map[string]bool{"source": true}
	each(t, func(t *testing.T, w Workload) {
		one := func(size Size) (prepared, after string, c Changes) {
			src := prepare(t, w, size)
			prepared = look(t, src).hash()
			c = run(t, w, src, size)
			return prepared, look(t, src).hash(), c
		}
		firstA, lastA, a := one(tiny)
		firstB, lastB, b := one(tiny)
		if firstA != firstB || lastA != lastB {
			t.Errorf("of one seed, the prepared trees are equal: %v, the changed trees: %v", firstA == firstB, lastA == lastB)
		}
		if !reflect.DeepEqual(a.Paths, b.Paths) {
			t.Errorf("the changes of one seed are %q and %q", a.Paths, b.Paths)
		}
		if len(a.Due) != len(b.Due) {
			t.Errorf("%d changes were due, then %d", len(a.Due), len(b.Due))
		}
		if _, other, _ := one(Size{Seed: 2, Scale: tiny.Scale}); (other == lastA) != unseeded[w.Name()] {
			t.Errorf("the trees of two seeds are equal: %v", other == lastA)
		}
	})
}

// calls ends after a number of looks at it.
type calls struct {
	context.Context
	left atomic.Int64
}

func (c *calls) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func endsAfter(t *testing.T, n int64) *calls {
	c := &calls{Context: t.Context()}
	c.left.Store(n)
	return c
}

// TestEnd: a Run that is ended early has told all that it did.
func TestEnd(t *testing.T) {
	each(t, func(t *testing.T, w Workload) {
		if err := w.Prepare(endsAfter(t, 0), t.TempDir(), tiny); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Prepare, ended: %v", err)
		}
		for _, looks := range []int64{0, 1, 30} {
			src := prepare(t, w, tiny)
			before := look(t, src)
			ctx := endsAfter(t, looks)
			c, err := w.Run(ctx, src, tiny)
			if ended := ctx.left.Load() < 0; ended != errors.Is(err, context.Canceled) || !ended && err != nil {
				t.Errorf("after %d looks at an end (seen: %v): %v", looks, ended, err)
			}
			checkChanges(t, before, look(t, src), c)
			for name := range c.Due {
				if _, err := os.Lstat(src + "/" + latencyDir + "/" + name); err != nil {
					t.Errorf("it was never made: %v", err)
				}
			}
			if looks == 0 && err == nil {
				t.Error("Run does not look at its context")
			}
		}
	})
}

// checkNeeds holds what was needed to what was told before.
func checkNeeds(t *testing.T, n Needs, src string, before, after tree) {
	t.Helper()
	if n.Remotes < 1 || n.Slow < 0 || n.Dead < 0 || n.Slow+n.Dead >= n.Remotes || (n.Slow > 0) != (n.SlowKBs > 0) {
		t.Errorf("remotes: %+v", n)
	}
	if n.Params == "" || n.Latency != (n.LatencyDir != "") {
		t.Errorf("needs: %+v", n)
	}
	bytes, inodes := before.usage(t, src)
	b, i := after.usage(t, src)
	bytes, inodes = max(bytes, b), max(inodes, i)
	if bytes > n.Bytes || inodes > n.Inodes {
		t.Errorf("it takes %d bytes and %d inodes, and says %d and %d at most", bytes, inodes, n.Bytes, n.Inodes)
	}
	// A bound that is far too high keeps people from running it.
	if n.Bytes > 4*bytes+16<<20 || n.Inodes > 4*inodes+1000 {
		t.Errorf("it takes only %d bytes and %d inodes, but says %d and %d", bytes, inodes, n.Bytes, n.Inodes)
	}
}
