package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markName is the variable of the environment that tells whose process it is.
const markName = "FANSYNC_BENCH_SESSION"

// Config says what to start.
type Config struct {
	// Argv is the program's path and its arguments.
	Argv []string
	// Dir is its working directory; "" means the caller's.
	Dir string
	// Env is its environment; nil means the caller's.
	Env []string
	// Stdin is its standard input, which the caller closes; nil means none.
	Stdin *os.File
	// Output takes what it prints; nil throws that away. Unless it is an
	// *os.File, a goroutine writes to it until Stop.
	Output io.Writer
	// Cgroup is an open directory of the cgroup (version 2) to start in, or
	// -1. It may be closed once Start has returned.
	Cgroup int
}

// Session is a program and all that it started.
type Session struct {
	cmd  *exec.Cmd
	pid  int
	mark string
	done chan struct{} // closed when the program has ended
	err  error         // of waiting; read it after done only

	output *os.File // our end of the pipe, or nil
	copied chan struct{}

	stop   sync.Once
	seen   map[int]member // who was seen at any time, by pid
	unsure bool           // the last look met an orphan that may be ours
	strays float64        // CPU seconds of the orphans that we reaped
	cpu    float64        // CPU seconds of all
	failed error          // what Stop says
}

var subreaper = sync.OnceValue(func() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of orphans: %w", err)
	}
	return nil
})

// Start starts a program. The caller must Stop the session, also when the program
// has ended by itself.
func Start(c Config) (*Session, error) {
	if err := subreaper(); err != nil {
		return nil, err
	}
	s := &Session{mark: markName + "=" + rand.Text(), done: make(chan struct{}), copied: make(chan struct{}), seen: map[int]member{}}
	s.cmd = exec.Command(c.Argv[0], c.Argv[1:]...)
	s.cmd.Dir = c.Dir
	s.cmd.Env = c.Env
	if c.Env == nil {
		s.cmd.Env = os.Environ()
	}
	s.cmd.Env = append(s.cmd.Env[:len(s.cmd.Env):len(s.cmd.Env)], s.mark)
	if c.Stdin != nil {
		s.cmd.Stdin = c.Stdin
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL,
		UseCgroupFD: c.Cgroup >= 0, CgroupFD: c.Cgroup,
	}
	far, err := s.connect(c.Output)
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	go s.run(started)
	err = <-started
	if far != nil {
		_ = far.Close() // the program has its own by now
	}
	if err != nil {
		s.disconnect()
		return nil, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	return s, nil
}

// connect sets where the program prints to. If that is a pipe, its far end is
// returned. (Left to exec.Cmd, waiting would last until nobody holds the pipe.)
func (s *Session) connect(to io.Writer) (far *os.File, err error) {
	file, isFile := to.(*os.File)
	if to == nil || isFile {
		if isFile {
			s.cmd.Stdout, s.cmd.Stderr = file, file
		}
		close(s.copied)
		return nil, nil
	}
	if s.output, far, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	s.cmd.Stdout, s.cmd.Stderr = far, far
	go func() {
		defer close(s.copied)
		if _, err := io.Copy(to, s.output); err != nil {
			// Nobody wants it, but a full pipe would stop the program.
			_, _ = io.Copy(io.Discard, s.output)
		}
	}()
	return far, nil
}

// disconnect waits until all that was printed has been copied. A process that
// survived everything must not hold it up, hence the deadline.
func (s *Session) disconnect() {
	if s.output == nil {
		return
	}
	_ = s.output.SetReadDeadline(time.Now().Add(time.Second))
	<-s.copied
	_ = s.output.Close()
}

// run starts the program and waits for its end without reaping it, so that its
// pid, which names the session, stays taken until Stop. The death signal comes
// when the thread that forked ends, not the process: the thread must live as long.
func (s *Session) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := s.cmd.Start(); err != nil {
		started <- err
		return
	}
	s.pid = s.cmd.Process.Pid
	started <- nil
	for {
		err := unix.Waitid(unix.P_PID, s.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			s.err = fmt.Errorf("wait for %s: %w", s.cmd.Path, err)
		}
		break
	}
	close(s.done)
}

// PID is the program's process, also after its end.
func (s *Session) PID() int { return s.pid }

// Done is closed when the program itself has ended; what it started may still
// run.
func (s *Session) Done() <-chan struct{} { return s.done }

// State tells how the program ended. Call it after Stop only.
func (s *Session) State() *os.ProcessState { return s.cmd.ProcessState }

func (s *Session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
