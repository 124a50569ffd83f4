package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fansync/fansync/bench/watchers"
)

// TestWatchAndReport: one command leaves results and a report, and nothing else;
// and the report can be made anew.
func TestWatchAndReport(t *testing.T) {
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	args := []string{"watch", "--watchers", "fsnotify,walk", "--scenario", "set-up,create", "--scale", "0.002", "--reps", "1", "--src-dir", src, "--out", out}
	if got, err := program(t.Context(), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	run, cells, err := watchers.ReadResults(out)
	if err != nil {
		t.Fatal(err)
	}
	if run.Host.Kernel == "" || run.Host.SrcFS == "" || run.MaxQueuedEvents < 1 || run.Versions["fsnotify"] == "" || len(cells) != 4 {
		t.Errorf("%+v with %d cells", run, len(cells))
	}
	path := filepath.Join(out, "report.md")
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if c.Verdict != watchers.Complete || !strings.Contains(string(first), "| "+c.Watcher+" |") {
			t.Errorf("%+v in\n%s", c, first)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := program(t.Context(), "report", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the report is not the same when made anew (%v)", err)
	}
	if left, err := os.ReadDir(src); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if got, err := program(t.Context(), args...).CombinedOutput(); err == nil || !strings.Contains(string(got), "name another directory") {
		t.Errorf("a second run into the same directory: %v\n%s", err, got)
	}
}

// TestWatchInterrupt: SIGINT in the middle ends all that was started, keeps what
// was measured, and reports it.
func TestWatchInterrupt(t *testing.T) {
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	text := interrupted(t, "watch", "--watchers", "fsnotify", "--scenario", "flood", "--scale", "0.005", "--reps", "50", "--src-dir", src, "--out", out)
	if _, cells, err := watchers.ReadResults(out); err != nil || len(cells) < 1 || len(cells) > 3 {
		t.Errorf("%d cells are kept (%v)", len(cells), err)
	}
	if _, err := os.Stat(filepath.Join(out, "report.md")); err != nil {
		t.Errorf("no report: %v\n%s", err, text)
	}
	if left, err := os.ReadDir(src); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestWatchBadInput(t *testing.T) {
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"watcher", "take one of", []string{"--watchers", "dog"}},
		{"scenario", "take one of", []string{"--scenario", "nap"}},
		{"scale", "above 0", []string{"--scale", "0"}},
		{"disk", "lower --scale", []string{"--scale", "1e8"}},
		{"argument", "unknown command", []string{"/srv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := program(t.Context(), append([]string{"watch", "--src-dir", t.TempDir()}, c.args...)...)
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
