package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/workload"
)

// Plan is what to run.
type Plan struct {
	Engines   []engine.Engine
	Workloads []workload.Workload
	// Reps is how often each pair runs; Seed plus the repetition's number is
	// the workload's seed, so that all engines meet the same changes.
	Reps  int
	Seed  uint64
	Scale float64
	// SrcDir and DstDir are directories in which each cell makes its own; on
	// two filesystems a mark on the source's does not see the mirrors' writes.
	SrcDir, DstDir string
	// Deadline bounds the wait for convergence of a cell, Rest how long a
	// mirror may stand still before it is held to be as right as it gets.
	Deadline, Rest time.Duration
	// Command is how the suite was called, for the record.
	Command []string
	// Log takes what the engines print, a file for each cell below it; "" drops
	// it.
	LogDir string
	// Write takes every Cell as it ends.
	Write func(record.Cell) error
	// Progress is told of each cell before (no verdict yet) and after.
	Progress func(done, all int, c record.Cell)
}

// Check finds what would stop the run: too little disk, directories that cannot
// be written, or that lie within each other. It makes SrcDir and DstDir.
func (p *Plan) Check() error {
	if len(p.Engines) == 0 || len(p.Workloads) == 0 || p.Reps < 1 {
		return errors.New("nothing to run: name at least one engine and one workload, and one repetition")
	}
	if p.Scale <= 0 {
		return fmt.Errorf("scale %v: give a number above 0", p.Scale)
	}
	for _, dir := range []string{p.SrcDir, p.DstDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the directory to run in: %w", err)
		}
		f, err := os.CreateTemp(dir, "probe-*")
		if err != nil {
			return fmt.Errorf("write to the directory to run in: %w; name another with --src-dir or --dst-dir", err)
		}
		f.Close()
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	for _, w := range p.Workloads {
		if err := p.fits(w); err != nil {
			return err
		}
	}
	return nil
}

// fits compares what a workload needs with what the filesystems have.
func (p *Plan) fits(w workload.Workload) error {
	n := w.Needs(workload.Size{Seed: p.Seed, Scale: p.Scale})
	mirrors := int64(max(n.Remotes, 1))
	want := map[string][2]int64{}
	add := func(dir string, times int64) error {
		id, err := filesystem(dir)
		if err != nil {
			return err
		}
		had := want[id]
		want[id] = [2]int64{had[0] + times*n.Bytes, had[1] + times*n.Inodes}
		return nil
	}
	if err := errors.Join(add(p.SrcDir, 1), add(p.DstDir, mirrors)); err != nil {
		return err
	}
	for _, dir := range []string{p.SrcDir, p.DstDir} {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			return &os.PathError{Op: "statfs", Path: dir, Err: err}
		}
		id, err := filesystem(dir)
		if err != nil {
			return err
		}
		const slack = 64 << 20
		free := int64(st.Bavail) * st.Bsize
		if need := want[id][0] + slack; free < need {
			return fmt.Errorf("workload %s needs %d MB in %s, which has %d: free some, name another directory, or lower --scale",
				w.Name(), need>>20, dir, free>>20)
		}
		// A filesystem without a table of inodes says 0.
		if st.Files > 0 && int64(st.Ffree) < want[id][1] {
			return fmt.Errorf("workload %s needs %d inodes in %s, which has %d: name another directory, or lower --scale",
				w.Name(), want[id][1], dir, st.Ffree)
		}
	}
	return nil
}

// filesystem tells the filesystem of a directory from all others.
func filesystem(dir string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return fmt.Sprint(st.Dev), nil
}

// pair is one cell to run.
type pair struct {
	engine   engine.Engine
	workload workload.Workload
	rep      int
}

// order interleaves: all engines at a workload, then the next workload, then
// all again; each repetition begins with another engine, so that none always
// runs after the same one.
func (p *Plan) order() []pair {
	var all []pair
	for rep := range p.Reps {
		for _, w := range p.Workloads {
			for i := range p.Engines {
				all = append(all, pair{p.Engines[(i+rep)%len(p.Engines)], w, rep})
			}
		}
	}
	return all
}

// logName is where a cell's engine may print to.
func (p *Plan) logName(c pair) string {
	return filepath.Join(p.LogDir, fmt.Sprintf("%s-%s-%d.log", c.workload.Name(), c.engine.Name(), c.rep))
}
