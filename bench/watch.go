package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/suite"
	"github.com/fansync/fansync/bench/watchers"
)

type watchFlags struct {
	plan watchers.Plan
	out  string
}

// watchCommand compares watchers.
func watchCommand() *cobra.Command {
	var w watchFlags
	names, docs := watchers.Scenarios()
	var about strings.Builder
	for _, name := range names {
		fmt.Fprintf(&about, "\n  %s\n      %s\n", name, docs[name])
	}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Compares fansync watch with other watchers and writes a report",
		Long:  "Watch compares programs that tell of changes. The scenarios are:\n" + about.String(),
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return w.run(cmd.Context(), cmd.ErrOrStderr()) },
	}
	f := cmd.Flags()
	f.StringVar(&w.plan.Fansync, "fansync", "fansync", "the fansync `program`")
	f.StringSliceVar(&w.plan.Watchers, "watchers", nil, "the `watchers` to run: fansync, fansync-inotify, inotifywait, fsnotifywait, fsnotifywait-r, fatrace, fsnotify, walk; all but fsnotifywait-r if empty")
	f.StringSliceVar(&w.plan.Scenarios, "scenario", nil, "the `scenarios` to run; all but set-up-500k if empty")
	f.IntVar(&w.plan.Reps, "reps", 3, "how often each watcher meets each scenario")
	f.Float64Var(&w.plan.Scale, "scale", 1, "multiplies the numbers of files, directories and changes")
	f.StringVar(&w.plan.SrcDir, "src-dir", filepath.Join(os.TempDir(), "fansync-bench"), "`directory` for the trees, best on a filesystem that nobody else writes to")
	f.StringVar(&w.out, "out", "", "`directory` for the results; fansync-watch-DATE here if empty")
	f.DurationVar(&w.plan.Deadline, "deadline", 5*time.Minute, "how long to wait for a watcher")
	return cmd
}

// helperCommand is what watch starts.
func helperCommand() *cobra.Command {
	return &cobra.Command{
		Use: helperName, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return watchers.Helper(cmd.Context(), args, cmd.OutOrStdout())
		},
	}
}

const helperName = "watch-helper"

func (w *watchFlags) run(ctx context.Context, terminal io.Writer) (err error) {
	p := &w.plan
	p.Helper = []string{"/proc/self/exe", helperName}
	if strings.Contains(p.Fansync, "/") {
		if p.Fansync, err = filepath.Abs(p.Fansync); err != nil {
			return err
		}
	}
	if err := p.Check(); err != nil {
		return err
	}
	head, err := w.head(ctx)
	if err != nil {
		return err
	}
	if w.out == "" {
		w.out = "fansync-watch-" + time.Now().Format("2006-01-02-150405")
	}
	if err := os.MkdirAll(w.out, 0o755); err != nil {
		return fmt.Errorf("make the directory of results: %w", err)
	}
	results, err := watchers.CreateResults(w.out, head)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, results.Close()) }()
	written := 0
	p.Write = func(c watchers.Cell) error { written++; return results.Cell(c) }
	p.Progress = func(done, all int, c watchers.Cell) { tellWatcher(terminal, done, all, c) }
	ran := p.Run(ctx)
	if ran != nil && written == 0 {
		return ran
	}
	// What was measured before an interruption is worth a report.
	err = errors.Join(ran, watchers.WriteReport(w.out))
	fmt.Fprintf(terminal, "results and report: %s\n", w.out)
	return err
}

// head is the first line of the results.
func (w *watchFlags) head(ctx context.Context) (head watchers.Run, err error) {
	host, err := suite.DescribeHost(w.plan.SrcDir, w.plan.SrcDir, "the clock of the watcher's process")
	if err != nil {
		return head, err
	}
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		return head, fmt.Errorf("read the limit of inotify's queue: %w", err)
	}
	if head.MaxQueuedEvents, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return head, fmt.Errorf("read the limit of inotify's queue: %w", err)
	}
	head.Run = record.Run{
		Started: time.Now().UTC().Truncate(time.Second), Command: os.Args, Host: host,
		Versions: w.plan.Versions(ctx), Reps: w.plan.Reps, Scale: w.plan.Scale,
	}
	return head, nil
}

// tellWatcher prints one line when a cell has ended.
func tellWatcher(out io.Writer, done, all int, c watchers.Cell) {
	fmt.Fprintf(out, "[%d/%d] %s %s #%d: %s", done, all, c.Scenario, c.Watcher, c.Rep+1, c.Verdict)
	if c.Missed > 0 {
		fmt.Fprintf(out, ", missed %d of %d", c.Missed, c.Wanted)
	}
	if c.ReadySeconds > 0 {
		fmt.Fprintf(out, ", ready after %.3f s, %.1f MB", c.ReadySeconds, c.PeakRSSMB)
	}
	if c.CPUMicros > 0 {
		fmt.Fprintf(out, ", %.2f µs CPU per change", c.CPUMicros)
	}
	if c.WriterSeconds > 0 {
		fmt.Fprintf(out, ", %.0f changes/s", float64(c.Ops)/c.WriterSeconds)
	}
	if c.Note != "" {
		fmt.Fprintf(out, ": %s", c.Note)
	}
	fmt.Fprintln(out)
}
