package watchers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Plan is what to run.
type Plan struct {
	// Fansync is the program; one in PATH if it has no slash.
	Fansync string
	// Helper is the command that runs Helper with the arguments that follow.
	Helper []string
	// Watchers and Scenarios are names; none means the usual ones.
	Watchers, Scenarios []string
	// Reps is how often each watcher meets each scenario.
	Reps int
	// Scale multiplies the numbers of files, directories and changes.
	Scale float64
	// SrcDir is a directory in which each tree is made.
	SrcDir string
	// Deadline bounds each wait for a watcher.
	Deadline time.Duration
	// Write takes every Cell as it ends. Progress, which may be nil, is told of
	// it too.
	Write    func(Cell) error
	Progress func(done, all int, c Cell)

	watchers  []Watcher
	scenarios []scenario
}

// Check finds what would stop the run, and makes SrcDir.
func (p *Plan) Check() (err error) {
	if p.Reps < 1 {
		return fmt.Errorf("%d repetitions: give at least one", p.Reps)
	}
	if !(p.Scale > 0) {
		return fmt.Errorf("scale %v: give a number above 0", p.Scale)
	}
	if p.Deadline <= 0 {
		return fmt.Errorf("deadline %v: give a time above 0", p.Deadline)
	}
	if p.watchers, err = choose(all(p.Fansync, p.Helper), p.Watchers); err != nil {
		return err
	}
	if p.scenarios, err = chooseScenarios(p.Scenarios); err != nil {
		return err
	}
	if err := os.MkdirAll(p.SrcDir, 0o755); err != nil {
		return fmt.Errorf("make the directory to run in: %w", err)
	}
	if p.SrcDir, err = filepath.EvalSymlinks(p.SrcDir); err == nil {
		p.SrcDir, err = filepath.Abs(p.SrcDir)
	}
	if err != nil {
		return fmt.Errorf("find the directory to run in: %w", err)
	}
	if err := unix.Access(p.SrcDir, unix.W_OK); err != nil {
		return fmt.Errorf("write to %s: %w; name another directory with --src-dir", p.SrcDir, err)
	}
	for _, s := range p.scenarios {
		if err := s.shape(p.Scale).fits(s.name, p.SrcDir); err != nil {
			return err
		}
	}
	return nil
}

// Versions tells what each watcher of a checked Plan calls itself, or why it
// cannot run.
func (p *Plan) Versions(ctx context.Context) map[string]string {
	versions := map[string]string{}
	for _, w := range p.watchers {
		v, err := w.find(ctx)
		if err != nil {
			v = "not here: " + err.Error()
		}
		versions[w.Name] = v
	}
	return versions
}

// none is the watcher that there is not.
var none = Watcher{Name: None}

// contenders are the watchers for a scenario.
func (p *Plan) contenders(s scenario) []Watcher {
	some := slices.DeleteFunc(slices.Clone(p.watchers), func(w Watcher) bool {
		return w.mute && !s.mute || len(p.Watchers) == 0 && s.takes != nil && !s.takes(w)
	})
	if s.bare {
		some = append(some, none)
	}
	return some
}

// Run runs all cells of a checked Plan: each scenario in turn, and within it all
// watchers again and again, each time beginning with another. When ctx ends, the
// cell that was running is not written.
func (p *Plan) Run(ctx context.Context) error {
	total, done := 0, 0
	for _, s := range p.scenarios {
		total += p.Reps * len(p.contenders(s))
	}
	missing := map[string]error{None: nil}
	for _, w := range p.watchers {
		_, missing[w.Name] = w.find(ctx)
	}
	each := func(c Cell) error {
		done++
		if p.Progress != nil {
			p.Progress(done, total, c)
		}
		return p.Write(c)
	}
	for _, s := range p.scenarios {
		if err := p.scenario(ctx, s, missing, each); err != nil {
			return err
		}
	}
	return nil
}

// scenario runs the cells of one.
func (p *Plan) scenario(ctx context.Context, s scenario, missing map[string]error, each func(Cell) error) (err error) {
	shape, some := s.shape(p.Scale), p.contenders(s)
	var kept string
	defer func() { err = errors.Join(err, remove(kept)) }()
	for rep := range p.Reps {
		for i := range some {
			if err := ctx.Err(); err != nil {
				return err
			}
			w := some[(i+rep)%len(some)]
			cell := Cell{Scenario: s.name, Watcher: w.Name, Params: shape.params, Rep: rep}
			switch err := missing[w.Name]; {
			case err != nil:
				cell.Verdict, cell.Note = Skipped, err.Error()
			default:
				if s.kept && kept == "" {
					if kept, err = p.plant(ctx, s, shape); err != nil {
						return err
					}
				}
				err = p.cell(ctx, s, shape, kept, w, &cell)
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), err)
				}
				if err != nil {
					judge(&cell, err)
				}
			}
			if err := each(cell); err != nil {
				return fmt.Errorf("write the record: %w", err)
			}
		}
	}
	return nil
}

// judge writes down why a cell went wrong.
func judge(cell *Cell, err error) {
	cell.Note = err.Error()
	switch {
	case errors.Is(err, errSkip):
		cell.Verdict = Skipped
	case errors.Is(err, errEnded):
		cell.Verdict = Ended
	case errors.Is(err, errSilent):
		cell.Verdict = Silent
	default:
		cell.Verdict = Failed
	}
}

// plant makes a tree. What it made is also returned with an error.
func (p *Plan) plant(ctx context.Context, s scenario, size shape) (root string, err error) {
	root, err = os.MkdirTemp(p.SrcDir, "tree-*")
	if err != nil {
		return "", fmt.Errorf("make a tree: %w", err)
	}
	if err := s.plant(ctx, root, size); err != nil {
		return root, fmt.Errorf("make a tree: %w", err)
	}
	// Or the disk is still at it when the watcher is measured; a small tree is
	// not worth the wait.
	if size.dirs+size.files >= 10_000 {
		unix.Sync()
	}
	return root, nil
}

// remove removes a tree, if there is one.
func remove(root string) error {
	if root == "" {
		return nil
	}
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("remove a tree: %w", err)
	}
	return nil
}

// errSkip is wrapped by what says that a watcher cannot do a scenario.
var errSkip = errors.New("left out")

// cell runs one watcher in one scenario once, in a tree of its own if kept is "".
func (p *Plan) cell(ctx context.Context, s scenario, size shape, kept string, w Watcher, cell *Cell) (err error) {
	root := kept
	if !s.piped && w.whole {
		same, err := sameFilesystem(memDir(), p.SrcDir)
		if err != nil {
			return err
		}
		if same {
			return fmt.Errorf("%w: it would report its own output; name a directory that is not in %s with --src-dir", errSkip, memDir())
		}
	}
	if kept == "" {
		root, err = p.plant(ctx, s, size)
		defer func() { err = errors.Join(err, remove(root)) }()
		if err != nil {
			return err
		}
	}
	c := &cellRun{plan: p, shape: size, root: root, cell: cell}
	cell.Verdict = Complete
	if w.Name == None {
		return s.run(ctx, c)
	}
	kernel := unreclaimable()
	c.watch, err = start(w, root, s.piped, p.Deadline)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.watch.close()) }()
	if err := c.begin(ctx, kernel); err != nil {
		return err
	}
	err = s.run(ctx, c)
	t := c.watch.census.tally()
	cell.Missed, cell.Rescans, cell.Losses = t.missing, t.rescans, t.losses
	if err != nil {
		return err
	}
	if cell.Missed > 0 {
		cell.Verdict = Missed
	}
	_, cell.PeakRSSMB, err = c.watch.memory()
	return err
}

// begin waits until the watcher watches, and takes the figures of that.
func (c *cellRun) begin(ctx context.Context, kernel float64) error {
	probe := ""
	if c.shape.dirs > 0 && c.shape.files > 0 {
		probe = forestDir(c.shape.dirs - 1)
	}
	if err := c.watch.ready(ctx, probe); err != nil {
		return err
	}
	c.cell.ReadySeconds = time.Since(c.watch.began).Seconds()
	c.cell.KernelMB = max(0, unreclaimable()-kernel)
	var err error
	c.cell.RSSMB, c.cell.PeakRSSMB, err = c.watch.memory()
	return err
}

// unreclaimable is the kernel's slab memory that cannot be reclaimed, MB; 0 if
// it does not say.
func unreclaimable() float64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return kilobytes(text, "SUnreclaim:") / 1024
}
