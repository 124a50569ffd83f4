package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// readyFD is where the process in the background says that it serves.
const readyFD = 3

// childFailed is the exit code of a process that did not get to serve; it has
// said why.
type childFailed struct{ code int }

func (e childFailed) Error() string {
	return fmt.Sprintf("it ended with code %d before it served", e.code)
}

// detach starts the program again, in a session of its own, and returns when it
// serves. It keeps the working directory; its output goes where ours goes, or
// to the log if that is a terminal.
func detach(cmd *cobra.Command, files instance, args []string) (err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer null.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	defer ready.Close()
	child := exec.Command("/proc/self/exe", args...)
	child.Args[0] = "fansync" // by any name the arguments say what it is
	child.Stdin, child.Stdout, child.Stderr = null, os.Stdout, os.Stderr
	child.ExtraFiles = []*os.File{tell}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	where := "where this is written"
	if isTerminal(os.Stdout) || isTerminal(os.Stderr) {
		log, err := openLog(files.log)
		if err != nil {
			return errors.Join(err, tell.Close())
		}
		defer log.Close()
		child.Stdout, child.Stderr = log, log
		where = files.log
	}
	err = child.Start()
	if err = errors.Join(err, tell.Close()); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	said, err := io.ReadAll(ready)
	if err == nil && len(said) > 0 {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "fansync runs in the background with pid %d (%s); it logs %s\n", child.Process.Pid, files.pid, where)
		return err
	}
	err = errors.Join(err, child.Wait())
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("start in the background: %w; it says why %s", childFailed{exit.ExitCode()}, where)
	}
	return fmt.Errorf("start in the background: it ended at once: %w", err)
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the log's directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// reportReady tells the process that waits that this one serves.
func reportReady() error {
	f := os.NewFile(readyFD, "ready")
	if f == nil {
		return errors.New("nobody waits for this process in the background: leave " + detachedFlag + " out")
	}
	_, err := f.WriteString("ok\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("tell that the background process serves: %w", err)
	}
	return nil
}

// pidFile is held, locked, as long as the process runs.
type pidFile struct {
	file *os.File
	path string
}

// lock takes the pid file; another process that has it is an error.
func (i instance) lock() (*pidFile, error) {
	if err := os.MkdirAll(filepath.Dir(i.pid), 0o755); err != nil {
		return nil, fmt.Errorf("make the pid file's directory: %w", err)
	}
	for {
		f, err := os.OpenFile(i.pid, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open pid file: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			pid, rerr := io.ReadAll(io.LimitReader(f, 32))
			return nil, errors.Join(fmt.Errorf("sersync2 runs already with this configuration, pid %s (%s): stop it first", strings.TrimSpace(string(pid)), i.pid), rerr, f.Close())
		}
		// Whoever had it before removes it when it ends.
		var held, named unix.Stat_t
		if unix.Fstat(int(f.Fd()), &held) == nil && unix.Stat(i.pid, &named) == nil && held.Ino == named.Ino {
			return &pidFile{f, i.pid}, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("open pid file: %w", err)
		}
	}
}

// write puts our pid into the file.
func (p *pidFile) write() error {
	err := p.file.Truncate(0)
	if err == nil {
		_, err = p.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// release removes the file. What goes wrong then harms nobody: the lock ends
// with the process.
func (p *pidFile) release() {
	_ = os.Remove(p.path)
	_ = p.file.Close()
}
