package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWaitUntil(t *testing.T) {
	now, err := monotonic()
	if err != nil {
		t.Fatal(err)
	}
	// Longer than one piece of a sleep.
	at := now + int64(70*time.Millisecond)
	if err := waitUntil(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if now, err = monotonic(); err != nil || now < at {
		t.Errorf("it returned %d ns before its time (%v)", at-now, err)
	}
	// Late acts come at once: these would wait for years otherwise.
	if err := waitUntil(t.Context(), now-1); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := waitUntil(ctx, now-1); !errors.Is(err, context.Canceled) {
		t.Errorf("late and ended: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- waitUntil(ctx, math.MaxInt64) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended while it waited: %v", err)
	}
}

func TestScheduleIsAbsolute(t *testing.T) {
	s := schedule{start: 1_000, rate: 200}
	for i, want := range map[int]int64{0: 1_000, 1: 5_001_000, 200: 1_000_001_000, 1 << 20: 5_242_880_001_000} {
		if got := s.due(i); got != want {
			t.Errorf("act %d is due at %d, not %d", i, got, want)
		}
	}
	// A rate that does not divide a second loses nothing over time.
	if got := (schedule{rate: 3}).due(3_000_000); got != 1_000_000*int64(time.Second) {
		t.Errorf("act 3,000,000 at 3/s is due at %d", got)
	}
}

func TestLatencyIsDueAtItsRate(t *testing.T) {
	src := prepare(t, latency{}, small)
	c := run(t, latency{}, src, small)
	after, err := monotonic()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(src, latency{}.Needs(small).LatencyDir))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 20 || len(c.Due) != 20 {
		t.Fatalf("%d files, %d due times", len(entries), len(c.Due))
	}
	first := c.Due[entries[0].Name()]
	for i, e := range entries {
		info, err := e.Info()
		if err != nil || info.Size() != latencyBytes {
			t.Errorf("%s: %v, %v", e.Name(), info, err)
		}
		if due := c.Due[e.Name()]; due != first+int64(i)*5e6 || due > after {
			t.Errorf("%s was due at %d; the first at %d, the run ended at %d", e.Name(), due, first, after)
		}
	}
}

// TestSavesLeaveNoLitter also sees that all of it was there.
func TestSavesLeaveNoLitter(t *testing.T) {
	src := prepare(t, saves{}, small)
	c := run(t, saves{}, src, small)
	files, _ := saves{}.dims(small)
	entries, err := os.ReadDir(src + "/doc")
	if err != nil || len(entries) != files {
		t.Fatalf("%d entries for %d files: %v", len(entries), files, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".txt") {
			t.Errorf("%s is left", e.Name())
		}
	}
	for _, want := range []string{"4913", "~", ".swp", ".swx", ".goutputstream-"} {
		if !slices.ContainsFunc(c.Paths, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("no %s among %q", want, c.Paths)
		}
	}
}

func TestSameSecondKeepsSizes(t *testing.T) {
	src := prepare(t, samesecond{}, small)
	before := look(t, src)
	run(t, samesecond{}, src, small)
	for path, f := range look(t, src) {
		if b := before[path]; f.mode.IsRegular() && (f.size != b.size || f.sum == b.sum) {
			t.Errorf("%s: %+v became %+v", path, b, f)
		}
	}
}

func TestSecondAfter(t *testing.T) {
	for wall, want := range map[int64]int64{5e9: 1_000_000_077, 5e9 + 1: 1_000_000_076, 6e9 - 1: 78} {
		if got := secondAfter(wall, 77); got != want {
			t.Errorf("the second after %d begins at %d, not %d", wall, got, want)
		}
	}
}

func TestAppendsOnlyAppend(t *testing.T) {
	src := prepare(t, appends{}, small)
	old := map[string]string{}
	logs, lines := appends{}.dims(small)
	for i := range logs {
		data, err := os.ReadFile(src + "/" + appends{}.log(i))
		if err != nil {
			t.Fatal(err)
		}
		old[appends{}.log(i)] = string(data)
	}
	c := run(t, appends{}, src, small)
	if len(c.Paths) != logs {
		t.Errorf("%d paths for %d logs", len(c.Paths), logs)
	}
	added := 0
	for name, was := range old {
		data, err := os.ReadFile(src + "/" + name)
		if err != nil || !strings.HasPrefix(string(data), was) {
			t.Errorf("%s no longer begins as it did: %v", name, err)
		}
		for line := range strings.Lines(string(data)) {
			if len(line) < 2 || len(line) > appendsLine || !strings.HasSuffix(line, "\n") {
				t.Errorf("%s: line %q", name, line)
			}
		}
		added += strings.Count(string(data), "\n") - 1
	}
	if added != lines {
		t.Errorf("%d lines were added, not %d", added, lines)
	}
}

// TestRemotes: which are slow or dead is for the suite to arrange.
func TestRemotes(t *testing.T) {
	for name, want := range map[string][3]int{
		"burst": {1, 0, 0}, "fan1": {1, 0, 0}, "fan4": {4, 0, 0}, "fan16": {16, 0, 0}, "slow": {4, 1, 0}, "dead": {4, 0, 1},
	} {
		w, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		n := w.Needs(Size{Scale: 1})
		if got := [3]int{n.Remotes, n.Slow, n.Dead}; got != want {
			t.Errorf("%s has remotes, slow, dead %v, not %v", name, got, want)
		}
		// The family makes the same changes.
		src, other := prepare(t, w, tiny), prepare(t, burst{}, tiny)
		run(t, w, src, tiny)
		run(t, burst{}, other, tiny)
		if look(t, src).hash() != look(t, other).hash() {
			t.Errorf("%s is not burst", name)
		}
	}
}

func TestForest(t *testing.T) {
	for _, f := range []forest{{"t", 0}, {"t", 1}, {"t", 10}, {"t", 11}, {"t", 137}} {
		src := t.TempDir()
		if err := f.plant(t.Context(), src, tiny, 25, 3); err != nil {
			t.Fatal(err)
		}
		dirs, files := 0, map[string]int{}
		for path, fact := range look(t, src) {
			if fact.mode.IsDir() {
				dirs++
			} else {
				files[filepath.Dir(path)]++
			}
			if depth := strings.Count(path, "/"); depth > 4 {
				t.Errorf("%v: %s lies deep", f, path)
			}
		}
		sum, most := 0, 0
		for _, n := range files {
			sum += n
			most = max(most, n)
		}
		if homes := max(f.n, 1); dirs != f.n+1 || sum != 25 || most != (25+homes-1)/homes {
			t.Errorf("%v: %d directories, %d files, at most %d together", f, dirs, sum, most)
		}
	}
}

func TestSourceTakesAPrefix(t *testing.T) {
	root, err := goSource()
	if err != nil {
		t.Skip(err)
	}
	var last []item
	for _, scale := range []float64{0.001, 0.1, 0.5, 1, 3} {
		items, err := source{}.items(t.Context(), root, Size{Scale: scale})
		if err != nil {
			t.Fatal(err)
		}
		dirs, _, _ := tally(items)
		made := map[string]bool{".": true}
		for _, it := range items {
			if !made[filepath.Dir(it.rel)] {
				t.Fatalf("scale %v: %s comes before its directory", scale, it.rel)
			}
			made[it.rel] = made[it.rel] || it.mode.IsDir()
		}
		if scale <= 1 && len(items) <= len(last) {
			t.Errorf("scale %v has %d items, the one before %d", scale, len(items), len(last))
		}
		if scale == 0.001 && dirs != 5 || scale == 3 && len(items) != len(last) {
			t.Errorf("scale %v has %d directories, %d items", scale, dirs, len(items))
		}
		last = items
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1_000: "1,000", 10_050: "10,050", 1_000_000: "1,000,000"} {
		if got := fmt.Sprint(thousands(n)); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
