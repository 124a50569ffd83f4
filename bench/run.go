package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/suite"
	"github.com/fansync/fansync/bench/workload"
)

// standard are the workloads of a run that names none: all but those that take
// minutes to lay out.
var standard = []string{
	"latency", "burst", "churn", "saves", "delete", "rename10k", "mkdirs", "source", "bigfile",
	"appends", "samesecond", "mix", "fan4", "slow", "dead", "idle100k",
}

type runFlags struct {
	engines         engineFlags
	only, workloads []string
	plan            suite.Plan
	out             string
}

// runCommand runs the suite.
func runCommand() *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Runs engines at workloads and writes a report",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), cmd.ErrOrStderr()) },
	}
	f := cmd.Flags()
	r.engines.register(cmd)
	f.StringSliceVar(&r.only, "engine", nil, "the `engines` to run, by name; all if there is none")
	f.StringSliceVar(&r.workloads, "workload", standard, "the `workloads` to run, by name, or all")
	f.IntVar(&r.plan.Reps, "reps", 3, "how often each engine runs at each workload")
	f.Float64Var(&r.plan.Scale, "scale", 1, "multiplies the numbers of files, directories and bytes")
	f.Uint64Var(&r.plan.Seed, "seed", 0, "makes the same changes again; 0 draws one")
	f.StringVar(&r.plan.SrcDir, "src-dir", filepath.Join(os.TempDir(), "fansync-bench"), "`directory` for the sources")
	f.StringVar(&r.plan.DstDir, "dst-dir", "", "`directory` for the mirrors, best on another filesystem; the sources' if empty")
	f.StringVar(&r.out, "out", "", "`directory` for the results; fansync-bench-DATE here if empty")
	f.DurationVar(&r.plan.Deadline, "deadline", 2*time.Minute, "how long to wait for a mirror to become equal")
	f.DurationVar(&r.plan.Rest, "rest", 20*time.Second, "how long a mirror may stand still, unequal, before it is wrong")
	return cmd
}

func (r *runFlags) run(ctx context.Context, terminal io.Writer) (err error) {
	if err := r.choose(); err != nil {
		return err
	}
	p := &r.plan
	if p.DstDir == "" {
		p.DstDir = p.SrcDir
	}
	if p.Seed == 0 {
		p.Seed = rand.Uint64N(1e9) + 1
	}
	p.Command = os.Args
	if err := p.Check(); err != nil {
		return err
	}
	if r.out == "" {
		r.out = "fansync-bench-" + time.Now().Format("2006-01-02-150405")
	}
	p.LogDir = filepath.Join(r.out, "logs")
	if err := os.MkdirAll(p.LogDir, 0o755); err != nil {
		return fmt.Errorf("make the directory of results: %w", err)
	}
	results := filepath.Join(r.out, resultsName)
	if _, err := os.Stat(results); err == nil {
		return fmt.Errorf("%s is there already: name another directory with --out", results)
	}
	w, err := record.Open(results)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	head, err := r.head(ctx)
	if err != nil {
		return err
	}
	if err := w.Run(head); err != nil {
		return err
	}
	written := 0
	p.Write = func(c record.Cell) error { written++; return w.Cell(c) }
	p.Progress = func(done, all int, c record.Cell) { tell(terminal, done, all, c) }
	ran := suite.Run(ctx, p)
	if ran != nil && written == 0 {
		return ran
	}
	// What was measured before an interruption is worth a report.
	err = errors.Join(ran, writeReport(r.out))
	fmt.Fprintf(terminal, "results and report: %s\n", r.out)
	return err
}

// choose finds the engines and workloads by their names.
func (r *runFlags) choose() error {
	opts, err := r.engines.options()
	if err != nil {
		return err
	}
	if r.plan.Engines, err = engine.All(opts); err != nil {
		return err
	}
	if len(r.only) > 0 {
		r.plan.Engines = nil
		for _, name := range r.only {
			e, err := engine.ByName(opts, name)
			if err != nil {
				return err
			}
			r.plan.Engines = append(r.plan.Engines, e)
		}
	}
	if len(r.workloads) == 1 && r.workloads[0] == "all" {
		r.plan.Workloads = workload.All()
		return nil
	}
	for _, name := range r.workloads {
		w, err := workload.ByName(name)
		if err != nil {
			return err
		}
		r.plan.Workloads = append(r.plan.Workloads, w)
	}
	return nil
}

// head is the first line of the results.
func (r *runFlags) head(ctx context.Context) (record.Run, error) {
	accounting, err := measure.Accounting()
	if err != nil {
		return record.Run{}, err
	}
	host, err := suite.DescribeHost(r.plan.SrcDir, r.plan.DstDir, accounting)
	if err != nil {
		return record.Run{}, err
	}
	head := record.Run{
		Started: time.Now().UTC().Truncate(time.Second), Command: r.plan.Command, Host: host,
		Versions: map[string]string{}, Seed: r.plan.Seed, Reps: r.plan.Reps, Scale: r.plan.Scale,
	}
	for _, e := range r.plan.Engines {
		version, err := e.Version(ctx)
		if err != nil {
			version = "not here: " + err.Error()
		}
		head.Versions[e.Name()] = version
	}
	return head, nil
}

// tell prints one line when a cell begins and one when it has ended.
func tell(w io.Writer, done, all int, c record.Cell) {
	at := fmt.Sprintf("[%d/%d] %s %s #%d", done, all, c.Workload, c.Engine, c.Rep+1)
	switch c.Verdict {
	case "":
		return
	case record.Right:
		fmt.Fprintf(w, "%s: converged after %.3f s, %.2f s CPU, %.0f MB, %d rsyncs", at, c.ConvergeSeconds, c.CPUSeconds, c.PeakRSSMB, c.Rsyncs)
		if l := c.Latency; l != nil {
			fmt.Fprintf(w, ", latency p50 %.1f ms p99 %.1f ms", float64(l.P50)/1e3, float64(l.P99)/1e3)
		}
		fmt.Fprintln(w)
	case record.Wrong, record.Crashed:
		fmt.Fprintf(w, "%s: %s (%d paths): %s\n", at, c.Verdict, c.WrongPaths, c.Note)
	default:
		fmt.Fprintf(w, "%s: %s: %s\n", at, c.Verdict, c.Note)
	}
}
