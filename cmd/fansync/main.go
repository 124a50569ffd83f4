// Command fansync mirrors one busy directory tree to many remotes as it
// changes.
//
// In: arguments, a configuration file, signals. Out: a running engine, or one
// question to a running one over its control socket. Every subcommand has a
// file of its own; exit codes are decided in exit.go alone.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signals(context.Background())
	cmd := rootCommand()
	if filepath.Base(os.Args[0]) == sersyncName {
		cmd.SetArgs(append([]string{sersyncName}, os.Args[1:]...))
	}
	err := cmd.ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// signals gives a context that ends at the first SIGINT or SIGTERM. The second
// one ends the program at once.
func signals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	got := make(chan os.Signal, 2)
	signal.Notify(got, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-got
		cancel()
		<-got
		os.Exit(exitSecondSignal)
	}()
	return ctx, func() { signal.Stop(got); cancel() }
}
