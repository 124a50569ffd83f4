package suite

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/rsynctest"
	"github.com/fansync/fansync/bench/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plan is one of small size, and the records it makes.
func plan(t *testing.T, engines []engine.Engine, workloads ...string) (*Plan, *[]record.Cell) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
	p := &Plan{
		Engines: engines, Reps: 1, Seed: 7, Scale: 0.05,
		SrcDir: t.TempDir(), DstDir: t.TempDir(), Deadline: 20 * time.Second, Rest: time.Second,
	}
	for _, name := range workloads {
		w, err := workload.ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Workloads = append(p.Workloads, w)
	}
	cells := new([]record.Cell)
	p.Write = func(c record.Cell) error { *cells = append(*cells, c); return nil }
	return p, cells
}

func engines(t *testing.T, names ...string) []engine.Engine {
	t.Helper()
	var all []engine.Engine
	for _, name := range names {
		e, err := engine.ByName(engine.Options{}, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// leftNothing checks that the cells' directories are gone.
func leftNothing(t *testing.T, p *Plan) {
	t.Helper()
	for _, dir := range []string{p.SrcDir, p.DstDir} {
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v %v", dir, left, err)
		}
	}
}

// TestIdealIsRight: one informed rsync mirrors every kind of change, also to
// several remotes of which one is slow and one dead.
func TestIdealIsRight(t *testing.T) {
	rsynctest.NeedNames(t)
	p, cells := plan(t, engines(t, "ideal"), "burst", "delete", "mix", "fan4", "slow", "dead")
	if err := Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, c := range *cells {
		if c.Verdict != record.Right {
			t.Errorf("%s: %s %s %v", c.Workload, c.Verdict, c.Note, c.WrongSample)
		}
		if c.Rsyncs < 1 || c.WireBytes <= 0 || c.TotalSeconds <= 0 {
			t.Errorf("%s: no figures: %+v", c.Workload, c)
		}
	}
	if len(*cells) != 6 {
		t.Errorf("%d cells", len(*cells))
	}
	leftNothing(t, p)
}

// TestLiveEngine: a peer that watches is waited for and measured.
func TestLiveEngine(t *testing.T) {
	if _, err := exec.LookPath("inotifywait"); err != nil {
		t.Skip("inotify-tools is not installed")
	}
	p, cells := plan(t, engines(t, "inotifywait"), "latency")
	if err := Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c := (*cells)[0]
	if c.Verdict != record.Right || c.ReadySeconds <= 0 || c.CPUSeconds <= 0 || c.PeakRSSMB <= 0 {
		t.Errorf("%+v", c)
	}
	if c.Latency == nil || c.Latency.Count != 100 || c.Latency.Lost != 0 {
		t.Errorf("latency %+v", c.Latency)
	}
	leftNothing(t, p)
}

// forgetful is an engine that skips every nth changed path.
type forgetful struct {
	engine.Engine
	nth int
}

func (forgetful) Name() string { return "forgetful" }

func (f forgetful) Start(ctx context.Context, job engine.Job) (engine.Process, error) {
	p, err := f.Engine.Start(ctx, job)
	return forgetfulProcess{p, f.nth}, err
}

type forgetfulProcess struct {
	engine.Process
	nth int
}

func (f forgetfulProcess) Sync(ctx context.Context, changed []string) error {
	var kept []string
	for i, path := range changed {
		if (i+1)%f.nth != 0 {
			kept = append(kept, path)
		}
	}
	return f.Process.Sync(ctx, kept)
}

// TestBrokenEngineIsWrong: an engine that skips one path in 500 gets no time
// but a count.
func TestBrokenEngineIsWrong(t *testing.T) {
	p, cells := plan(t, []engine.Engine{forgetful{engines(t, "ideal")[0], 500}}, "samesecond")
	p.Scale = 1 // 600 changed paths
	if err := Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c := (*cells)[0]
	if c.Verdict != record.Wrong || c.WrongPaths != 1 || len(c.WrongSample) != 1 {
		t.Errorf("%s, %d wrong paths %v", c.Verdict, c.WrongPaths, c.WrongSample)
	}
	if c.ConvergeSeconds != 0 || c.TotalSeconds != 0 {
		t.Errorf("a wrong mirror has a time: %+v", c)
	}
	leftNothing(t, p)
}

// TestMissingEngine is skipped, with what to do.
func TestMissingEngine(t *testing.T) {
	p, cells := plan(t, engines(t, "sersync2"), "burst")
	if err := Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if c := (*cells)[0]; c.Verdict != record.Skipped || !strings.Contains(c.Note, "--sersync") {
		t.Errorf("%+v", c)
	}
}

// TestInterrupted: what was recorded stays, what was made goes.
func TestInterrupted(t *testing.T) {
	p, cells := plan(t, engines(t, "ideal"), "burst", "delete")
	ctx, cancel := context.WithCancel(t.Context())
	p.Progress = func(done, _ int, c record.Cell) {
		if done == 1 && c.Verdict == "" {
			cancel()
		}
	}
	if err := Run(ctx, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run: %v", err)
	}
	if len(*cells) != 1 || (*cells)[0].Verdict != record.Right {
		t.Errorf("%+v", *cells)
	}
	leftNothing(t, p)
}

func TestOrderInterleaves(t *testing.T) {
	p, _ := plan(t, engines(t, "ideal", "rsync"), "burst", "delete")
	p.Reps = 2
	var got []string
	for _, c := range p.order() {
		got = append(got, c.workload.Name()+" "+c.engine.Name())
	}
	want := "burst ideal, burst rsync, delete ideal, delete rsync, burst rsync, burst ideal, delete rsync, delete ideal"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("order\n%s, want\n%s", s, want)
	}
}

func TestBadPlans(t *testing.T) {
	good, _ := plan(t, engines(t, "ideal"), "burst")
	for _, c := range []struct {
		name string
		bad  func(*Plan)
		want string
	}{
		{"no engine", func(p *Plan) { p.Engines = nil }, "name at least one engine"},
		{"no repetition", func(p *Plan) { p.Reps = 0 }, "one repetition"},
		{"scale", func(p *Plan) { p.Scale = -1 }, "above 0"},
		{"disk", func(p *Plan) { p.Scale = 1e9 }, "lower --scale"},
		{"directory", func(p *Plan) { p.DstDir = "/proc/self/nothing" }, "make the directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *good
			c.bad(&p)
			if err := p.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Check: %v, want %q", err, c.want)
			}
		})
	}
	if err := good.Check(); err != nil {
		t.Errorf("a good plan: %v", err)
	}
}

func TestDescribeHost(t *testing.T) {
	h, err := DescribeHost(t.TempDir(), "/proc", "rusage")
	if err != nil {
		t.Fatal(err)
	}
	if h.Cores < 1 || h.MemMB < 1 || h.Kernel == "" || h.DstFS != "proc" || h.SrcFS == "" || h.Accounting != "rusage" {
		t.Errorf("%+v", h)
	}
	name, err := os.Hostname()
	if err == nil && len(name) > 3 && strings.Contains(h.Kind+h.Kernel, name) {
		t.Errorf("the description names the machine: %+v", h)
	}
}

// TestSameLooks: what the quick look sees.
func TestSameLooks(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	s := &session{src: src, mirrors: []string{dst}}
	changed := []string{"d", "f", "gone"}
	write := func(dir, name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	count := func(want int) {
		t.Helper()
		if n, err := s.differing(t.Context(), changed); err != nil || n != want {
			t.Errorf("%d paths differ, want %d (%v)", n, want, err)
		}
	}
	write(src, "f", "one")
	write(src, "d/e/g", "two")
	count(2)
	write(dst, "f", "one")
	write(dst, "d/e/g", "two")
	count(0)
	write(dst, "d/e/more", "")
	write(dst, "gone", "still there")
	count(2)
}
