package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fansync/fansync/bench/engine/session"
)

// stopGrace is how long an engine may take to end by itself.
const stopGrace = 5 * time.Second

// daemon is an engine that mirrors until it is stopped.
type daemon struct {
	session *session.Session
	// restore undoes what the engine changed on the machine; may be nil.
	restore func() error
}

// launch starts a daemon.
func launch(job Job, argv ...string) (*daemon, error) {
	s, err := session.Start(session.Config{Argv: argv, Dir: job.Scratch, Env: environ(), Output: job.Log, Cgroup: job.Cgroup})
	if err != nil {
		return nil, err
	}
	return &daemon{session: s}, nil
}

// environ is our environment without what would change rsync's behaviour.
func environ() []string {
	env := []string{}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RSYNC_") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			env = append(env, v)
		}
	}
	return append(env, "LC_ALL=C")
}

func (d *daemon) PID() int {
	select {
	case <-d.session.Done():
		return 0
	default:
		return d.session.PID()
	}
}

func (d *daemon) Exited() <-chan struct{} { return d.session.Done() }

func (d *daemon) Sync(context.Context, []string) error {
	return errors.New("this engine mirrors by itself and cannot be told to")
}

func (d *daemon) Stop() (float64, error) {
	cpu, err := d.session.Stop(stopGrace)
	if d.restore != nil {
		err = errors.Join(err, d.restore())
	}
	return cpu, err
}

// firstLine runs a program that tells its version and returns the first line of
// what it prints. Some do so with an exit code.
func firstLine(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environ()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("ask %s for its version: %w", argv[0], err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "", fmt.Errorf("ask %s for its version: it says nothing", argv[0])
	}
	return line, nil
}

// program finds a program in PATH.
func program(name, install string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not there: install %s", name, install)
	}
	return path, nil
}

// rsyncVersion is that of the rsync in PATH, such as "3.5.0".
func rsyncVersion(ctx context.Context) (string, error) {
	path, err := program("rsync", "rsync")
	if err != nil {
		return "", err
	}
	line, err := firstLine(ctx, path, "--version")
	if err != nil {
		return "", err
	}
	// "rsync  version 3.5.0  protocol version 32"
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "rsync" {
		return "", fmt.Errorf("%s is no rsync: it calls itself %q", path, line)
	}
	return f[2], nil
}
