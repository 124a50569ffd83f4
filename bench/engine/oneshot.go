package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/fansync/fansync/bench/engine/session"
)

// oneShot is an engine that works when it is told to: one rsync for each remote,
// all at once.
type oneShot struct {
	job  Job
	argv []string // the destination comes last
	// list writes standard input; nil means none.
	list   func(changed []string) ([]byte, error)
	exited chan struct{}

	mu   sync.Mutex
	cpu  float64
	over bool
}

// newOneShot checks what any of them needs.
func newOneShot(job Job, args []string) (*oneShot, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	rsync, err := program("rsync", "rsync")
	if err != nil {
		return nil, err
	}
	return &oneShot{job: job, argv: append([]string{rsync}, args...), exited: make(chan struct{})}, nil
}

// PID is 0: nothing runs but in Sync.
func (*oneShot) PID() int { return 0 }

// Exited is closed by Stop.
func (o *oneShot) Exited() <-chan struct{} { return o.exited }

func (o *oneShot) Sync(ctx context.Context, changed []string) error {
	input := os.DevNull
	if o.list != nil {
		text, err := o.list(changed)
		if err != nil {
			return err
		}
		input = o.job.Scratch + "/list"
		if err := os.WriteFile(input, text, 0o600); err != nil {
			return fmt.Errorf("write the list of changes: %w", err)
		}
	}
	errs := make([]error, len(o.job.Remotes))
	var running sync.WaitGroup
	for i, r := range o.job.Remotes {
		running.Go(func() {
			if err := o.send(ctx, r, input); err != nil && !r.Dead {
				errs[i] = fmt.Errorf("rsync to module %s: %w", r.Module, err)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// send runs one rsync.
func (o *oneShot) send(ctx context.Context, r Remote, input string) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	var output strings.Builder
	s, err := session.Start(session.Config{
		Argv: append(o.argv[:len(o.argv):len(o.argv)], r.url()), Dir: o.job.Scratch, Env: environ(),
		Stdin: in, Output: &output, Cgroup: o.job.Cgroup,
	})
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	select {
	case <-s.Done():
	case <-ctx.Done():
	}
	cpu, err := s.Stop(stopGrace)
	o.add(cpu, output.String())
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !s.State().Success():
		const most = 500
		said := output.String()
		return fmt.Errorf("%v: %s", s.State(), strings.TrimSpace(said[max(0, len(said)-most):]))
	default:
		return nil
	}
}

// add counts what one rsync took and logs what it said.
func (o *oneShot) add(cpu float64, said string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cpu += cpu
	if o.job.Log != nil && said != "" {
		// The log is for reading later; the work does not depend on it.
		_, _ = fmt.Fprint(o.job.Log, said)
	}
}

func (o *oneShot) Stop() (float64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		close(o.exited)
	}
	return o.cpu, nil
}

// plain is what cron would run.
type plain struct{}

func (plain) Name() string { return "rsync" }

func (plain) Live() bool { return false }

func (plain) Version(ctx context.Context) (string, error) {
	v, err := rsyncVersion(ctx)
	return "rsync " + v, err
}

func (plain) Start(_ context.Context, job Job) (Process, error) {
	o, err := newOneShot(job, []string{"-a", "--delete", job.Src + "/"})
	if err != nil {
		return nil, err
	}
	return o, nil
}
