package watchers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tiny is the scale of these tests.
const tiny = 0.003

// TestEachTellsOfAll: at its leisure each watcher tells of all files of the loads,
// and has figures.
func TestEachTellsOfAll(t *testing.T) {
	fansync := fansyncProgram(t)
	for _, w := range all(fansync, testHelper) {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			need(t, w.Name, fansync)
			cells := run(t, Plan{Fansync: fansync, Watchers: []string{w.Name}, Scenarios: []string{"set-up", "create", "append", "flood"}, Scale: tiny})
			seen := 0
			for _, c := range cells {
				if c.Watcher == None {
					if c.Ops == 0 || c.WriterSeconds <= 0 {
						t.Errorf("the writer alone has no figures: %+v", c)
					}
					continue
				}
				seen++
				if c.Verdict == Skipped && w.whole {
					continue
				}
				if c.Verdict != Complete || c.Missed > 0 {
					t.Errorf("%s: %s, missed %d of %d: %s", c.Scenario, c.Verdict, c.Missed, c.Wanted, c.Note)
				}
				if c.ReadySeconds <= 0 || c.RSSMB <= 0 || c.PeakRSSMB < c.RSSMB {
					t.Errorf("%s: no figures of the start: %+v", c.Scenario, c)
				}
				if measured := c.Scenario == "create" || c.Scenario == "append"; measured != (c.CPUMicros > 0) {
					t.Errorf("%s: %v µs of CPU", c.Scenario, c.CPUMicros)
				}
			}
			want := 4
			if w.mute {
				want = 1
			}
			if seen != want {
				t.Errorf("%d cells, want %d", seen, want)
			}
		})
	}
}

// TestNested: what is watched as a whole misses no file, however deep.
func TestNested(t *testing.T) {
	fansync := fansyncProgram(t)
	for _, name := range []string{"fansync", "fansync-inotify"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, name, fansync)
			for _, c := range run(t, Plan{Fansync: fansync, Watchers: []string{name}, Scenarios: []string{"nested"}, Scale: 0.1, Reps: 2}) {
				if c.Verdict != Complete || c.Wanted != 300 {
					t.Errorf("%s: missed %d of %d: %s", c.Verdict, c.Missed, c.Wanted, c.Note)
				}
			}
		})
	}
}

// TestALiarIsFound: of a watcher that keeps every tenth line to itself, the report
// says that it missed some.
func TestALiarIsFound(t *testing.T) {
	fansync := fansyncProgram(t)
	need(t, "fansync", fansync)
	liar := filepath.Join(t.TempDir(), "liar")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = version ] && exec %[1]s version\n%[1]s \"$@\" | sed -u 0~10d\n", fansync)
	if err := os.WriteFile(liar, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cells := run(t, Plan{Fansync: liar, Watchers: []string{"fansync"}, Scenarios: []string{"create", "flood"}, Scale: 0.01})
	for _, c := range cells {
		if c.Watcher == None {
			continue
		}
		if c.Verdict != Missed || c.Missed < c.Wanted/20 || c.Missed > c.Wanted/5 {
			t.Errorf("%s: %s, missed %d of %d: %s", c.Scenario, c.Verdict, c.Missed, c.Wanted, c.Note)
		}
		if text := markdown(Run{}, cells); !strings.Contains(text, fmt.Sprintf("**missed %s** of %s", whole(c.Missed), whole(c.Wanted))) {
			t.Errorf("the report does not say that %d were missed:\n%s", c.Missed, text)
		}
	}
}

// TestOneThatEnds is shown as such, with what it said.
func TestOneThatEnds(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho it is broken\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range run(t, Plan{Fansync: broken, Watchers: []string{"fansync"}, Scenarios: []string{"nested"}, Scale: tiny}) {
		if c.Verdict != Ended || !strings.Contains(c.Note, "it is broken") {
			t.Errorf("%s: %s", c.Verdict, c.Note)
		}
	}
}

// TestMissingProgram is left out, with what to install.
func TestMissingProgram(t *testing.T) {
	cells := run(t, Plan{Fansync: "/nonexistent/fansync", Watchers: []string{"fansync"}, Scenarios: []string{"nested"}, Scale: tiny, Reps: 2})
	if len(cells) != 2 {
		t.Fatalf("%d cells, want 2", len(cells))
	}
	for _, c := range cells {
		if c.Verdict != Skipped || !strings.Contains(c.Note, "--fansync") {
			t.Errorf("%s: %s", c.Verdict, c.Note)
		}
	}
}

// TestInterrupt: the end of the context in the middle of each scenario leaves no
// tree and no process behind, and what was measured was written.
func TestInterrupt(t *testing.T) {
	for _, s := range scenarios {
		if s.extra {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := Plan{
				Helper: testHelper, Watchers: []string{"fsnotify"}, Scenarios: []string{s.name}, Reps: 1000, Scale: tiny,
				SrcDir: t.TempDir(), Deadline: time.Minute,
			}
			written := 0
			p.Write = func(Cell) error {
				if written++; written == 1 {
					time.AfterFunc(50*time.Millisecond, cancel)
				}
				return nil
			}
			if err := p.Check(); err != nil {
				t.Fatal(err)
			}
			if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("interrupted, it ended with %v", err)
			}
			if written < 1 {
				t.Errorf("%d cells were written", written)
			}
			empty(t, p.SrcDir)
			if left := childProcesses(t); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

// childProcesses are the processes that this one has.
func childProcesses(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func TestOrderTakesTurns(t *testing.T) {
	broken := "/nonexistent/fansync"
	var order []string
	for _, c := range run(t, Plan{Fansync: broken, Watchers: []string{"fansync", "fansync-inotify"}, Scenarios: []string{"nested"}, Scale: tiny, Reps: 2}) {
		order = append(order, c.Watcher)
	}
	if got := strings.Join(order, " "); got != "fansync fansync-inotify fansync-inotify fansync" {
		t.Errorf("they ran in the order %s", got)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	good := Plan{Fansync: "fansync", Helper: testHelper, Reps: 1, Scale: 1, Deadline: time.Minute}
	for name, c := range map[string]struct {
		change func(*Plan)
		want   string
	}{
		"watcher":  {func(p *Plan) { p.Watchers = []string{"dog"} }, "take one of fansync,"},
		"twice":    {func(p *Plan) { p.Watchers = []string{"walk", "walk"} }, "named twice"},
		"scenario": {func(p *Plan) { p.Scenarios = []string{"nap"} }, "take one of set-up,"},
		"reps":     {func(p *Plan) { p.Reps = 0 }, "at least one"},
		"scale":    {func(p *Plan) { p.Scale = 0 }, "above 0"},
		"deadline": {func(p *Plan) { p.Deadline = 0 }, "above 0"},
		"disk":     {func(p *Plan) { p.Scale = 1e8 }, "lower --scale"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			p.SrcDir = t.TempDir()
			c.change(&p)
			if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
