package receive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// termGrace is how long the daemon's transfers have to end.
	termGrace = 2 * time.Second
	// dialEvery is the pause between two tries whether it answers.
	dialEvery = 20 * time.Millisecond
	// lastLines is how many lines of its log stand in an error.
	lastLines = 3
	maxLine   = 64 << 10
)

// Run runs the daemon until ctx ends and returns when all its processes have.
// A daemon that ends by itself is an error with rsync's own words.
func (r *Receiver) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.state.close()) }()
	// An rsync before 3.2 does not start over the file of one that was killed.
	if err := os.Remove(r.state.file(pidFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale pid file: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the daemon's log: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(r.rsync, "--daemon", "--no-detach", "--config="+r.state.file(confFile),
		"--address="+r.conf.Listen, "--port="+strconv.Itoa(r.conf.Port))
	// RSYNC_* and variables that a path could name stay behind.
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TZ=" + os.Getenv("TZ")}
	if _, ok := os.LookupEnv("TZ"); !ok {
		cmd.Env = cmd.Env[:2]
	}
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}

	// Pdeathsig fires when the thread that forked ends, so it must not.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := errors.Join(cmd.Start(), in.Close()); err != nil {
		return fmt.Errorf("start rsync: %w", err)
	}
	return r.serve(ctx, cmd, out)
}

// serve looks after the started daemon.
func (r *Receiver) serve(ctx context.Context, cmd *exec.Cmd, out io.Reader) error {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	var log daemonLog
	var reader, others sync.WaitGroup
	reader.Go(func() { log.read(out, r.conf.Log) })
	others.Go(func() { r.awaitAnswer(exited) })
	others.Go(func() { end(ctx, pid, exited) })

	waitErr := awaitExit(pid)
	close(exited)
	others.Wait()
	// The leader is not reaped yet, so the group's number cannot be another's.
	killErr := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(killErr, syscall.ESRCH) {
		killErr = nil
	}
	// Every process of the daemon holds the pipe: its end is theirs.
	reader.Wait()
	err := cmd.Wait()
	if ctx.Err() != nil {
		return errors.Join(waitErr, killErr)
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	if words := log.words(); words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	}
	return errors.Join(fmt.Errorf("rsync daemon ended: %w", err), waitErr, killErr)
}

// end ends the daemon's process group when ctx ends.
func end(ctx context.Context, pid int, exited <-chan struct{}) {
	select {
	case <-exited:
		return
	case <-ctx.Done():
	}
	_ = syscall.Kill(-pid, syscall.SIGTERM) // the only failure is that it has ended
	timer := time.NewTimer(termGrace)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// awaitAnswer closes ready when the daemon greets.
func (r *Receiver) awaitAnswer(exited <-chan struct{}) {
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	for {
		select {
		case <-exited:
			return
		case <-tick.C:
		}
		if greets(r.conf.dialAddr()) {
			select {
			case <-exited: // it was somebody else who greeted
			default:
				close(r.ready)
			}
			return
		}
	}
}

// dialAddr is where a daemon that listens on every address is met.
func (c Config) dialAddr() string {
	host := c.Listen
	if addr := c.address(); addr.IsUnspecified() {
		host = "127.0.0.1"
		if addr.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(time.Second)) != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "@RSYNCD:")
}

// awaitExit returns when the child has ended but before it is reaped.
func awaitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for rsync: %w", err)
		}
	}
}

// daemonLog reads what the daemon says; its last lines are for an error. It
// belongs to the reading goroutine until that has ended.
type daemonLog struct{ last []string }

var (
	// stamp stands before each line of rsync's log.
	stamp = regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\d+\] `)
	// trouble is what an operator wants to hear of.
	trouble = regexp.MustCompile(`(?i)^rsync: |^rsync error|error|failed|denied|refused|unknown module|warning`)
)

func (l *daemonLog) read(out io.Reader, log *slog.Logger) {
	lines := bufio.NewReaderSize(out, maxLine)
	for {
		text, _, err := lines.ReadLine()
		if err != nil {
			return // the last process of the daemon has ended
		}
		if line := stamp.ReplaceAllString(string(text), ""); line != "" {
			l.line(line, log)
		}
	}
}

func (l *daemonLog) line(line string, log *slog.Logger) {
	level := slog.LevelDebug
	if trouble.MatchString(line) {
		level = slog.LevelWarn
		if len(l.last) == lastLines {
			l.last = l.last[1:]
		}
		l.last = append(l.last, line)
	}
	log.Log(context.Background(), level, "rsync", "line", line)
}

// words are the last complaints, in one line, without repetitions: what rsync
// writes before its log is open comes twice.
func (l *daemonLog) words() string {
	var w []string
	for i, s := range l.last {
		if i == 0 || s != l.last[i-1] {
			w = append(w, s)
		}
	}
	return strings.Join(w, "; ")
}
