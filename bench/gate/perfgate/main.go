// Command perfgate compares what a work tree costs with what its base costs,
// and fails if it costs more. scripts/perf-gate builds and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/fansync/fansync/bench/gate"
)

// Exit codes.
const (
	exitPass  = 0
	exitFail  = 1
	exitUsage = 2
	exitError = 3 // no comparison could be made
	exitInt   = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("perf-gate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: scripts/perf-gate [--short] [--equal] [--repo DIR] [BASE]\n"+
			"Compares what the work tree costs with BASE: by default where the branch left\n"+
			"main, or on main itself the commit before. Fails if it costs more.\n")
		flags.PrintDefaults()
	}
	short := flags.Bool("short", false, "measure less, in at most three minutes")
	equal := flags.Bool("equal", false, "measure also what was built equal, to see what chance alone does")
	repo := flags.String("repo", ".", "a `directory` of the checkout")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitPass
	} else if err != nil {
		return exitUsage
	}
	if flags.NArg() > 1 {
		flags.Usage()
		return exitUsage
	}
	cfg := gate.Config{Repo: *repo, Base: flags.Arg(0), Plan: gate.Full(), Equal: *equal, Log: stderr}
	if *short {
		cfg.Plan = gate.Short()
	}
	report, err := gate.Run(ctx, cfg)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "perf-gate: interrupted")
		return exitInt
	}
	if err != nil {
		fmt.Fprintln(stderr, "perf-gate:", err)
		return exitError
	}
	if err := report.Write(stdout); err != nil {
		fmt.Fprintln(stderr, "perf-gate:", err)
		return exitError
	}
	if !report.Passed() {
		return exitFail
	}
	return exitPass
}
