package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/control"
	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/watcher"
)

// daemonStatus is one daemon's answer.
type daemonStatus struct {
	Socket string `json:"socket"`
	engine.Status
}

func statusCommand() *cobra.Command {
	var socket string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show what is in sync, and what is not and why", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := statuses(cmd.Context(), socket)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(all)
			}
			return printStatus(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&socket, "socket", "", "ask the daemon at this `path` only")
	return cmd
}

func statuses(ctx context.Context, socket string) ([]daemonStatus, error) {
	clients, err := control.Find(socket)
	if err != nil {
		return nil, err
	}
	var all []daemonStatus
	var errs []error
	for _, c := range clients {
		st, err := c.Status(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, daemonStatus{c.Socket, st})
	}
	return all, errors.Join(errs...)
}

func printStatus(w io.Writer, all []daemonStatus) error {
	for _, d := range all {
		if d.MaxRsyncs > 0 {
			fmt.Fprintf(w, "%d of at most %d rsyncs\n", d.Rsyncs, d.MaxRsyncs)
		}
		for _, p := range d.Plugins {
			fmt.Fprintf(w, "plugin %q (%s): %d told, %d waiting, %d failed, %d lost", p.Name, p.Type, p.Told, p.Queued, p.Failed, p.Lost)
			if p.LastError != "" {
				fmt.Fprintf(w, "; last error: %q", p.LastError)
			}
			fmt.Fprintln(w)
		}
		for _, root := range d.Roots {
			fmt.Fprintf(w, "root %q  %s", root.Path, root.Backend)
			if root.Reason != "" {
				fmt.Fprintf(w, " (%s)", root.Reason)
			}
			fmt.Fprintln(w)
			if root.Problem != "" {
				fmt.Fprintf(w, "  problem: %s\n", root.Problem)
			}
			if root.Watch != nil {
				printWatch(w, root.Watch)
			}
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "  REMOTE\tSTATE\tLAG\tBACKLOG\tIN FLIGHT\tSTANDBYS\tFAILING\tLAST SUCCESS\tREASON")
			for _, r := range root.Remotes {
				fmt.Fprintf(t, "  %q\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", r.Name, r.State, lag(r), r.Backlog, r.InFlight, r.Standbys, r.Failing, ago(r.LastSuccess), why(r))
			}
			if err := t.Flush(); err != nil {
				return fmt.Errorf("print status: %w", err)
			}
			for _, r := range root.Remotes {
				if len(r.Limits) > 0 {
					fmt.Fprintf(w, "  limits of %q: %s\n", r.Name, limits(r.Limits))
				}
				for _, f := range r.Failures {
					fmt.Fprintf(w, "  failing at %q: %q: %s\n", r.Name, f.Path, f.Message)
				}
			}
		}
	}
	return nil
}

// printWatch tells what an operator may want to change about the watch.
func printWatch(w io.Writer, s *watcher.Stats) {
	if 2*s.Outside > s.Read {
		fmt.Fprintf(w, "  %d %% of %d change records came from elsewhere on the filesystem\n", 100*s.Outside/s.Read, s.Read)
	}
	if s.UnwatchedDirs > 0 {
		fmt.Fprintf(w, "  %d directories are above the limit of watches and only compared now and then; the log says how to raise it. Such as:\n", s.UnwatchedDirs)
	}
	for _, path := range s.UnwatchedPaths {
		fmt.Fprintf(w, "    %q\n", path)
	}
	for _, path := range s.UnwatchedMounts {
		fmt.Fprintf(w, "  mounted at %q: not watched, only compared now and then\n", path)
	}
}

// limits lists what is limited.
func limits(all map[string]string) string {
	var s []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		s = append(s, key+" "+all[key])
	}
	return strings.Join(s, ", ")
}

func lag(r scheduler.Status) string {
	if r.Lag == 0 && r.State == scheduler.Live {
		return "in sync"
	}
	return r.Lag.Round(time.Millisecond).String()
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return time.Since(t).Round(time.Second).String() + " ago"
}

func why(r scheduler.Status) string {
	s := r.Reason
	if !r.NextTry.IsZero() {
		s += fmt.Sprintf(" (next try in %s)", time.Until(r.NextTry).Round(100*time.Millisecond))
	}
	if r.Full != nil {
		s += fmt.Sprintf(" %d%%, %d of %d checked%s", r.Full.Percent, r.Full.Checked, r.Full.Total, left(*r.Full))
	}
	return s
}
