package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/fansync/fansync/internal/receive"
	"github.com/fansync/fansync/transport"
)

// The exit codes are part of the interface.
const (
	exitOK           = 0
	exitFailed       = 1   // it failed while running
	exitUsage        = 2   // arguments or configuration are wrong
	exitNotInSync    = 3   // flush: not in sync in time, or a remote is halted; watch: no change in time
	exitRsync        = 4   // rsync is missing or too old
	exitSecondSignal = 130 // ended at once by a second signal
)

// usageError is the caller's mistake.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// errNotInSync is wrapped by what flush reports.
var errNotInSync = errors.New("not in sync")

// exitCode tells err to w and gives the code that stands for it.
func exitCode(err error, w io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(w, "fansync: %v\n", err)
	var child childFailed
	switch {
	case errors.As(err, &child) && child.code > 0:
		return child.code
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.Is(err, errNotInSync), errors.Is(err, errNoChange):
		return exitNotInSync
	case errors.Is(err, transport.ErrNoRsync), errors.Is(err, receive.ErrNoRsync), errors.Is(err, transport.ErrOldRsync):
		return exitRsync
	}
	return exitFailed
}
