package gate

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

func TestParseBenchmarks(t *testing.T) {
	const out = `goos: linux
pkg: example.com/m/a
BenchmarkOne/size-256/ours-2         	     100	      2000 ns/op	  12.5 ns/record	     16 B/op	       3 allocs/op
BenchmarkOne/size-256/ours-2         	     100	      1500 ns/op	  12.5 ns/record	     16 B/op	       4 allocs/op
BenchmarkTwo-2   	--- SKIP: BenchmarkTwo
BenchmarkThree 	 100 	 7 ns/op
PASS
`
	var s series
	for _, head := range []bool{false, true} {
		if err := s.parse("a", []byte(out), head); err != nil {
			t.Fatal(err)
		}
	}
	all := s.all()
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	want := []string{"a.BenchmarkOne/size-256/ours sec/op", "a.BenchmarkOne/size-256/ours allocs/op", "a.BenchmarkThree sec/op"}
	if !slices.Equal(names, want) {
		t.Fatalf("got %q, want %q", names, want)
	}
	for i, v := range []float64{1500e-9, 3, 7e-9} {
		for _, side := range [][]float64{all[i].Base, all[i].Head} {
			if len(side) != 1 || side[0]/v < 0.999 || side[0]/v > 1.001 {
				t.Errorf("%s: %v, want the smallest of the runs, %v", names[i], side, v)
			}
		}
	}
	if all[0].Counted || !all[1].Counted {
		t.Error("time is counted or allocations are not")
	}
}

// TestOnly: the patterns for a second round match the names, and no others.
func TestOnly(t *testing.T) {
	pkgs := []Package{{"a/b", "."}, {".", "."}, {"c", "."}}
	got := only(pkgs, []string{"a/b.BenchmarkOne/x+y/1 sec/op", "a/b.BenchmarkOne/x+y/1 allocs/op", "a/b.BenchmarkTwo sec/op", "BenchmarkTop sec/op", "burst rsyncs"})
	want := []Package{{"a/b", `^BenchmarkOne$/^x\+y$/^1$|^BenchmarkTwo$`}, {".", "^BenchmarkTop$"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSplitName(t *testing.T) {
	for _, c := range [][3]string{{"a/b", "BenchmarkOne", unitTime}, {".", "BenchmarkTop", unitAllocs}} {
		name := benchName(c[0], c[1]+"/sub.Benchmark/1", c[2])
		if pkg, function, unit := splitName(name); [3]string{pkg, function, unit} != c {
			t.Errorf("%q: %q %q %q", name, pkg, function, unit)
		}
	}
}

func TestParseServed(t *testing.T) {
	const log = `2026/01/01 10:00:00 [1] rsyncd version 3.5.0 starting, listening on port 1
2026/01/01 10:00:01 [2] connect from UNDETERMINED (127.0.0.1)
2026/01/01 10:00:01 [2] rsync allowed access on module m from UNDETERMINED (127.0.0.1)
2026/01/01 10:00:01 [2] rsync to m/ from UNDETERMINED (127.0.0.1)
2026/01/01 10:00:01 [2] receiving file list
2026/01/01 10:00:02 [2] sent 90 bytes  received 331 bytes  total size 9
2026/01/01 10:00:03 [3] connect from UNDETERMINED (127.0.0.1)
2026/01/01 10:00:03 [3] rsync to m from mirror@UNDETERMINED (127.0.0.1)
`
	s, err := parseServed(log)
	if want := (served{rsyncs: 2, bytes: 421, length: int64(len(log))}); err != nil || s != want {
		t.Errorf("%+v, %v, want %+v", s, err, want)
	}
}

func TestParseCalls(t *testing.T) {
	counts, err := parseCalls(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.12    0.000123           1       200        12 newfstatat
  0.00    0.000000           0         3           openat
  0.00    0.000000           0         9           execve
------ ----------- ----------- --------- --------- ----------------
100.00    0.000123           1       212        12 total
`)
	if err != nil || counts["newfstatat"] != 200 || counts["openat"] != 3 || len(counts) != len(calls) {
		t.Errorf("%v, %v", counts, err)
	}
	if _, err := parseCalls("strace: attach: ptrace: Operation not permitted\n"); err == nil {
		t.Error("no table, no error")
	}
}

// TestCountsHaveTolerances: a count may rise by one, and by two in a hundred,
// but not by one for every file.
func TestCountsHaveTolerances(t *testing.T) {
	for _, name := range countNames() {
		for _, base := range []float64{50, 2000, 170_000} {
			limit := toleranceOf(name).limit(base)
			if limit < base+1 || limit < 1.02*base || base < 10*loadFiles && limit >= base+loadFiles {
				t.Errorf("%s: %v may become %v", name, base, limit)
			}
		}
	}
}

// TestShortPlan: the benchmarks it names are in the tree.
func TestShortPlan(t *testing.T) {
	here, err := benchmarksIn("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Short().Packages {
		for _, name := range regexp.MustCompile(`Benchmark\w+`).FindAllString(p.Bench, -1) {
			if !slices.Contains(here[p.Dir], name) {
				t.Errorf("%s has no %s: mend Short", p.Dir, name)
			}
		}
	}
}

// TestLoads puts a real fansync under the loads and looks whether the counts
// can be.
func TestLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds fansync and waits for its rest")
	}
	t.Parallel()
	needProgram(t, "rsync")
	s := &side{name: "head", dir: absolute(t, "../.."), out: t.TempDir()}
	if err := s.buildAll(t.Context(), nil, true, func(error) bool { return false }); err != nil {
		t.Fatal(err)
	}
	quiet := filepath.Join(t.TempDir(), "quiet")
	leave, err := ownFilesystem(quiet)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{quiet: quiet, report: &Report{}}
	counts, err := g.load(context.Background(), s)
	if err := leave(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range g.report.Notes {
		t.Log(note)
	}
	for _, load := range []string{loadBurst, loadStill, loadRemoval} {
		if n := counts[load+" "+countRsyncs]; n < 1 || n > 100 {
			t.Errorf("%s: %v rsyncs", load, n)
		}
		if n := counts[load+" "+countBytes]; n < loadFiles {
			t.Errorf("%s: %v bytes", load, n)
		}
	}
	if len(g.report.Notes) == 0 && counts[loadStill+" newfstatat"]+counts[loadStill+" statx"] < loadFiles {
		t.Errorf("%v: fewer looks than files", counts)
	}
	left, err := os.ReadDir(quiet)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
