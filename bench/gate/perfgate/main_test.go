package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the command line.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	if code, _, stderr := call(t, "--help"); code != exitPass || !strings.Contains(stderr, "usage: scripts/perf-gate") {
		t.Errorf("--help: %d, %s", code, stderr)
	}
	for _, args := range [][]string{{"--no-such"}, {"one", "two"}} {
		if code, _, stderr := call(t, args...); code != exitUsage || !strings.Contains(stderr, "usage: scripts/perf-gate") {
			t.Errorf("%q: %d, %s", args, code, stderr)
		}
	}
}

func TestNoParent(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=n", "-c", "user.email=n@example.com", "commit", "--quiet", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	code, stdout, stderr := call(t, "--short", "--repo", dir)
	if code != exitPass || !strings.Contains(stdout, "NOTE  nothing was compared") {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := call(t, "--repo", dir, "no-such"); code != exitError || !strings.Contains(stderr, "no-such") {
		t.Errorf("a base that is not there: %d, %s", code, stderr)
	}
}
