package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fansync/fansync/bench/record"
)

// asProgram makes the test binary the program.
const asProgram = "BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func needRsync(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
}

func readResults(t *testing.T, dir string) (record.Run, []record.Cell) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, resultsName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run, cells, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return run, cells
}

// TestRunAndReport: one command leaves results, a report in three forms, and
// nothing else; and the report can be made anew.
func TestRunAndReport(t *testing.T) {
	needRsync(t)
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	got, err := program(t.Context(), "run", "--engine", "ideal,rsync", "--workload", "burst,samesecond", "--scale", "0.05",
		"--reps", "1", "--seed", "3", "--src-dir", src, "--out", out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	run, cells := readResults(t, out)
	if run.Seed != 3 || run.Host.Cores < 1 || run.Versions["ideal"] == "" || len(cells) != 4 {
		t.Errorf("%+v with %d cells", run, len(cells))
	}
	for _, c := range cells {
		if c.Engine == "ideal" && c.Verdict != record.Right {
			t.Errorf("%+v", c)
		}
	}
	if left, err := os.ReadDir(src); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, name := range []string{"report.md", "report.html", "overview.svg"} {
		path := filepath.Join(out, name)
		first, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if got, err := program(t.Context(), "report", out).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		again, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s is not the same when made anew (%v)", name, err)
		}
	}
	got, err = program(t.Context(), "run", "--out", out, "--engine", "ideal", "--src-dir", src).CombinedOutput()
	if err == nil || !strings.Contains(string(got), "name another directory") {
		t.Errorf("a second run into the same directory: %v\n%s", err, got)
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"engine", "take one of", []string{"run", "--engine", "robocopy"}},
		{"workload", "take one of", []string{"run", "--workload", "nap"}},
		{"program", "label", []string{"run", "--fansync", "=x"}},
		{"scale", "above 0", []string{"run", "--scale", "0"}},
		{"reps", "one repetition", []string{"run", "--reps", "0"}},
		{"disk", "lower --scale", []string{"run", "--scale", "1e9", "--workload", "burst"}},
		{"report", "name a directory", []string{"report", "/nonexistent"}},
		{"command", "unknown command", []string{"dance"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := program(t.Context(), append(c.args, srcFlag(t, c.args)...)...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s", err, out)
			}
			if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

func srcFlag(t *testing.T, args []string) []string {
	if args[0] != "run" {
		return nil
	}
	return []string{"--src-dir", t.TempDir()}
}

// interrupted runs the program, sends it SIGINT after the first cell, and returns
// what it said. It must not end well.
func interrupted(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := program(ctx, args...)
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(told)
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "[1/") {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Errorf("interrupted, it ended with %v (%v)\n%s", err, ctx.Err(), text.String())
	}
	return text.String()
}

// TestInterrupt: SIGINT in the middle ends all that was started, keeps what was
// measured, and reports it.
func TestInterrupt(t *testing.T) {
	needRsync(t)
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	text := interrupted(t, "run", "--engine", "ideal", "--workload", "burst,churn", "--scale", "0.05",
		"--reps", "50", "--src-dir", src, "--out", out)
	if _, cells := readResults(t, out); len(cells) < 1 || len(cells) > 3 {
		t.Errorf("%d cells are kept", len(cells))
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Errorf("no report: %v\n%s", err, text)
	}
	if left, err := os.ReadDir(src); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
