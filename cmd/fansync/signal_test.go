package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
)

// mirroring starts the real program on a source whose big file takes long, and
// waits until the file is on its way.
func mirroring(t *testing.T, size int, options ...string) (cmd *exec.Cmd, src, dst string) {
	t.Helper()
	src, dst = t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "big"), bytes.Repeat([]byte{'x'}, size), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{src, dst, "--socket", filepath.Join(t.TempDir(), "s"), "--rsync-opt=--bwlimit=1m"}, options...)
	cmd = exec.Command("fansync", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	eventually(t, "the transfer to begin", func() bool {
		entries, err := os.ReadDir(dst)
		return err == nil && len(entries) > 0
	})
	return cmd, src, dst
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The first signal lets what is in flight end.
func TestFirstSignal(t *testing.T) {
	cmd, src, dst := mirroring(t, 2<<20)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v, want exit code 0", err)
	}
	mirrortest.RequireEqual(t, src, dst, mirrortest.DiffOptions{})
}

// The second one ends it at once, and its rsync with it.
func TestSecondSignal(t *testing.T) {
	cmd, src, dst := mirroring(t, 200<<20, "--grace", "10m")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Two signals at one time may be taken for one, so they are sent until it ends.
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for over := false; !over; {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitSecondSignal {
				t.Errorf("it ended with %v, want exit code %d", err, exitSecondSignal)
			}
			over = true
		case <-again.C:
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "rsync to end", func() bool { return !running(t, src, dst) })
}

// running reports whether a process has the directory in its arguments or as
// its working directory.
func running(t *testing.T, dirs ...string) bool {
	t.Helper()
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cmdlines {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(name), "cwd"))
		for _, d := range dirs {
			if bytes.Contains(b, []byte(d)) || cwd == d {
				return true
			}
		}
	}
	return false
}
