package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// termGrace is how long rsync has to remove its temporary files.
	termGrace = 2 * time.Second
	// outputGrace is how long the outputs are read on after rsync's end:
	// something that left its process group may still hold them.
	outputGrace = time.Second
)

// process is one run of rsync. It is its own session, so that there is no
// terminal to ask a password at and the whole group can be killed.
type process struct {
	program string
	args    []string
	dir     string // its working directory
	// feed writes standard input and closes it.
	feed func(io.WriteCloser) error
	// stdout and stderr read to the end, each in its own goroutine.
	stdout, stderr func(io.Reader)
	// begun is told the number of the process group, before feed is called.
	begun func(pid int)
	// timeout is rsync's own; 0 means that it has none.
	timeout time.Duration
	// gone, if it is not nil, is closed when the process has ended.
	gone chan struct{}
	// hurry says that the far side is a daemon, see hurry.
	hurry bool
}

// run starts rsync and returns when it has ended, with its group, and all
// its output was read. The error says that it could not be started or fed, or,
// as errStuck, that it was ended for making no progress.
func (p *process) run(ctx context.Context) (*os.ProcessState, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	cmd := exec.Command(p.program, p.args...)
	cmd.Env = environ()
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}

	var near, far [3]*os.File
	defer func() { closeAll(near[:]); closeAll(far[:]) }()
	for i := range near {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		near[i], far[i] = r, w
		if i == 0 {
			near[i], far[i] = w, r
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far[0], far[1], far[2]

	// Pdeathsig fires when the thread that forked ends, so it must not.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	closeAll(far[:])
	pid := cmd.Process.Pid
	p.begun(pid)

	fed := make(chan error, 1)
	read := make(chan struct{}, 2)
	go func() { fed <- p.feed(near[0]) }()
	go func() { p.stdout(near[1]); read <- struct{}{} }()
	go func() { p.stderr(near[2]); read <- struct{}{} }()

	exited := make(chan struct{})
	killed := make(chan struct{})
	watched := make(chan struct{})
	hurried := make(chan struct{})
	go func() {
		defer close(hurried)
		if p.hurry {
			hurry(pid, exited)
		}
	}()
	go func() {
		defer close(watched)
		watch(ctx, pid, p.timeout, end)
	}()
	go func() {
		defer close(killed)
		select {
		case <-exited:
			return
		case <-ctx.Done():
		}
		// The leader is not reaped before killed is closed, so the group's
		// number cannot be another's.
		if errors.Is(context.Cause(ctx), errUnused) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return
		}
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		timer := time.NewTimer(termGrace)
		defer timer.Stop()
		select {
		case <-exited:
		case <-timer.C:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}()

	waitErr := awaitExit(pid)
	close(exited)
	if p.gone != nil {
		close(p.gone)
	}
	<-killed
	var stuck error
	if cause := context.Cause(ctx); errors.Is(cause, errStuck) {
		stuck = cause
	}
	_ = near[0].SetDeadline(time.Now()) // nobody reads the list any more
	unread := 2
	if ctx.Err() != nil {
		// The group has its SIGTERM: the others, which hold the output open,
		// may still be removing their temporary files.
		for timer := time.After(termGrace); unread > 0 && timer != nil; {
			select {
			case <-read:
				unread--
			case <-timer:
				timer = nil
			}
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // whatever outlived its leader
	deadline := time.Now().Add(outputGrace)
	for _, f := range near[1:] {
		_ = f.SetDeadline(deadline)
	}
	for range unread {
		<-read
	}
	feedErr := <-fed
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	end(nil)
	<-watched
	<-hurried
	return cmd.ProcessState, errors.Join(stuck, err, waitErr, feedErr)
}

// awaitExit returns when the child has ended but before it is reaped.
func awaitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			if err != nil {
				return fmt.Errorf("wait for rsync: %w", err)
			}
			return nil
		}
	}
}

func closeAll(files []*os.File) {
	for i, f := range files {
		if f != nil {
			_ = f.Close() // the second close of a pipe end says so, and no more
			files[i] = nil
		}
	}
}
