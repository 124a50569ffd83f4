package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// calls are the system calls that are counted: those whose number follows from
// what there is to do. How often goroutines wait for and wake each other
// (futex, epoll_pwait and the like) follows from chance.
var calls = []string{
	"close", "fcntl", "getdents64", "inotify_add_watch", "inotify_rm_watch", "name_to_handle_at", "newfstatat",
	"open_by_handle_at", "openat", "openat2", "pipe2", "read", "readlinkat", "statx", "write",
}

// tracer is strace, counting the calls of one process but not of the programs
// that it starts.
type tracer struct {
	*child
	out string
}

// trace begins to count the calls of the process pid. It may be forbidden to,
// or strace missing, which the error says.
func trace(ctx context.Context, pid int, dir string) (*tracer, error) {
	program, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("%w: install strace", err)
	}
	t := &tracer{out: filepath.Join(dir, "strace")}
	t.child, err = startChild(program, "-f", "-c", "--detach-on=execve", "-o", t.out,
		"-e", "trace="+strings.Join(calls, ",")+",execve", "-p", strconv.Itoa(pid))
	if err != nil {
		return nil, fmt.Errorf("start strace: %w", err)
	}
	err = until(ctx, "strace has hold of fansync", []*child{t.child}, func() (bool, error) { return traced(pid) })
	if err != nil {
		return nil, errors.Join(err, t.stop(syscall.SIGINT))
	}
	return t, nil
}

// traced reports whether all threads of a process are.
func traced(pid int) (bool, error) {
	return everyThread(pid, "status", func(text string) bool { return !strings.Contains(text, "TracerPid:\t0\n") })
}

// end stops counting and returns the numbers by call; none is missing.
func (t *tracer) end() (map[string]float64, error) {
	if err := t.stop(syscall.SIGINT); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(t.out)
	if err != nil {
		return nil, fmt.Errorf("read strace's table: %w", err)
	}
	return parseCalls(string(text))
}

// parseCalls reads the table that strace -c writes: the calls in column 4, the
// name in the last.
func parseCalls(text string) (map[string]float64, error) {
	counts := map[string]float64{}
	for _, name := range calls {
		counts[name] = 0
	}
	found := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 5 || !slices.Contains(calls, f[len(f)-1]) {
			continue
		}
		n, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return nil, fmt.Errorf("read strace's table: %q: %w", line, err)
		}
		counts[f[len(f)-1]] = n
		found = true
	}
	if !found {
		return nil, fmt.Errorf("read strace's table: no known call in %q", lastLines(text, 5))
	}
	return counts, nil
}
