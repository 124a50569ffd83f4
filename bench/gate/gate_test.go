package gate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny is a module with two benchmarks, of which work and waste are the cost.
const tiny = `package tiny

import "testing"

var sink []*int

func work(n int) (sum int) {
	for i := range 1000 * n {
		sum += i ^ sum>>3
	}
	return sum
}

func waste(n int) {
	sink = sink[:0]
	for range n {
		sink = append(sink, new(int))
	}
}

var kept int

func BenchmarkWork(b *testing.B) {
	for b.Loop() {
		kept += work(WORK)
	}
}

func BenchmarkWaste(b *testing.B) {
	for b.Loop() {
		waste(WASTE)
	}
}
`

func tinySource(work, waste string) string {
	return strings.NewReplacer("WORK", work, "WASTE", waste).Replace(tiny)
}

// tinyRepo has the module's first version committed.
func tinyRepo(t *testing.T) string {
	t.Helper()
	needProgram(t, "go")
	repo := newRepo(t)
	write(t, filepath.Join(repo, "go.mod"), "module example.com/tiny\n\ngo 1.24\n")
	commit(t, repo, "tiny_test.go", tinySource("1", "3"))
	return repo
}

var tinyPlan = Plan{Samples: 12, Time: "3ms"}

// judged runs the gate and returns what it says, and its findings by name.
func judged(t *testing.T, repo string, pass bool) (string, map[string]Judgement) {
	t.Helper()
	report, err := Run(t.Context(), Config{Repo: repo, Base: "HEAD", Plan: tinyPlan, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(&b); err != nil {
		t.Fatal(err)
	}
	if report.Passed() != pass {
		t.Errorf("passed: %v, want %v\n%s", report.Passed(), pass, b.String())
	}
	by := map[string]Judgement{}
	for _, f := range report.Findings {
		by[f.Name] = f.Judgement
	}
	alone(t, repo)
	return b.String(), by
}

// TestGate plants a slowdown and an allocation in a tree.
func TestGate(t *testing.T) {
	t.Parallel()
	repo := tinyRepo(t)
	source := filepath.Join(repo, "tiny_test.go")
	allow := filepath.Join(repo, AllowFile)

	text, by := judged(t, repo, true)
	if by["."] != Equal || !strings.Contains(text, "PASS") {
		t.Errorf("an unchanged tree:\n%s", text)
	}
	// What is built differs, what it costs does not.
	write(t, source, "// Package tiny has moved by a line.\n"+tinySource("1", "3"))
	if text, by = judged(t, repo, true); by["BenchmarkWork sec/op"] == "" || by["BenchmarkWaste allocs/op"] != Fine {
		t.Errorf("a comment more:\n%s", text)
	}
	write(t, source, tinySource("20", "4"))
	text, by = judged(t, repo, false)
	for _, name := range []string{"BenchmarkWork sec/op", "BenchmarkWaste allocs/op"} {
		if by[name] != Worse || !strings.Contains(text, "FAIL  "+name+" rose from ") {
			t.Errorf("%s is %q:\n%s", name, by[name], text)
		}
	}
	if by["BenchmarkWork allocs/op"] != Fine || !strings.Contains(text, "rose from 3 to 4 (+1; none is tolerated)") {
		t.Errorf("a planted slowdown and an allocation:\n%s", text)
	}
	// One of them is allowed, the other not; then a stale line.
	write(t, allow, "BenchmarkWaste allocs/op\tit is worth it\n")
	text, by = judged(t, repo, false)
	if by["BenchmarkWaste allocs/op"] != Allowed || by["BenchmarkWork sec/op"] != Worse || !strings.Contains(text, "it is worth it") {
		t.Errorf("with an allowance:\n%s", text)
	}
	write(t, source, tinySource("1", "3")+"\nfunc unused() {}\n\nvar _ = unused\n")
	if text, _ = judged(t, repo, false); !strings.Contains(text, "is stale, it did not rise: remove it") {
		t.Errorf("with a stale allowance:\n%s", text)
	}
}

// TestNothingToCompareWith passes, and says why it compared nothing.
func TestNothingToCompareWith(t *testing.T) {
	report, err := Run(t.Context(), Config{Repo: tinyRepo(t), Plan: tinyPlan, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := report.Write(&b); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !report.Passed() || !strings.Contains(text, "the newest commit is the first one") || !strings.Contains(text, "PASS  without a comparison") {
		t.Errorf("%s", text)
	}
}

// logFunc is a writer that calls a func for each line of the gate's log.
type logFunc func(line string)

func (f logFunc) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

// TestInterrupted: a cancelled gate takes away what it made.
func TestInterrupted(t *testing.T) {
	repo := tinyRepo(t)
	write(t, filepath.Join(repo, "tiny_test.go"), tinySource("2", "4"))
	t.Setenv("TMPDIR", t.TempDir())
	for _, at := range []string{"build: base", "build: head", "benchmarks: round 2"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, Config{Repo: repo, Base: "HEAD", Plan: tinyPlan, Log: logFunc(func(line string) {
			if strings.HasPrefix(line, at) {
				cancel()
			}
		})})
		cancel()
		if err == nil || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("at %q: no error", at)
		}
		alone(t, repo)
		left, err := os.ReadDir(os.Getenv("TMPDIR"))
		left = slices.DeleteFunc(left, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "perfgate-") })
		if err != nil || len(left) > 0 {
			t.Errorf("at %q: left behind: %v, %v", at, left, err)
		}
	}
}

// TestBrokenTrees: a base that does not build is a note, a work tree that does
// not is an error.
func TestBrokenTrees(t *testing.T) {
	t.Parallel()
	repo := tinyRepo(t)
	write(t, filepath.Join(repo, "tiny_test.go"), "package tiny\n\nimport \"testing\"\n\nfunc BenchmarkWork(b *testing.B) { nonsense }\n")
	if _, err := Run(t.Context(), Config{Repo: repo, Base: "HEAD", Plan: tinyPlan, Log: t.Output()}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a work tree that does not build: %v", err)
	}
	runGit(t, repo, "commit", "--quiet", "--all", "--message=broken")
	write(t, filepath.Join(repo, "tiny_test.go"), tinySource("1", "3"))
	text, by := judged(t, repo, true)
	if by["BenchmarkWork sec/op"] != OnlyHead || !strings.Contains(text, "NOTE  not compared: base: ") {
		t.Errorf("a base that does not build:\n%s", text)
	}
}
