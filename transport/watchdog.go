package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchEvery is how often a run is looked at.
	watchEvery = time.Second
	// openGrace is how long rsync may take to open one file. A named pipe that
	// took a file's place after the file was listed is never open: rsync waits
	// for somebody to write into it, and sees no time-out meanwhile.
	openGrace = 5 * time.Second
	// stallGrace is how much longer than rsync's own time-out a run may read
	// and write nothing at all.
	stallGrace = 15 * time.Second
)

// errStuck says that a run made no progress and was ended.
var errStuck = errors.New("no progress")

func isStuck(err error) bool { return errors.Is(err, errStuck) }

// watch looks at a running rsync until ctx ends, and calls end when it is stuck
// where its own time-out (0: none) cannot see it.
func watch(ctx context.Context, pid int, timeout time.Duration, end context.CancelCauseFunc) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last string
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		io, call, err := activity(pid)
		if err != nil {
			return // it has ended, or may not be looked at
		}
		idle := time.Since(since)
		switch {
		case io != last:
			last, since = io, time.Now()
		case idle > openGrace && (call == unix.SYS_OPENAT || call == unix.SYS_OPENAT2):
			end(fmt.Errorf("%w: a file could not be opened within %s; was it replaced by a named pipe?", errStuck, openGrace))
			return
		case timeout > 0 && idle > timeout+stallGrace:
			end(fmt.Errorf("%w for %s", errStuck, idle.Round(time.Second)))
			return
		}
	}
}

// activity is what a process has read and written, and the number of the system
// call it is in, or -1.
func activity(pid int) (io string, call int, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/io")
	if err != nil {
		return "", -1, fmt.Errorf("look at rsync: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "rchar:") || strings.HasPrefix(line, "wchar:") {
			io += line
		}
	}
	call = -1
	if b, err := os.ReadFile(dir + "/syscall"); err == nil {
		number, _, _ := strings.Cut(string(b), " ")
		if n, err := strconv.Atoi(number); err == nil {
			call = n
		}
	}
	return io, call, nil
}
