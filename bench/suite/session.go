package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/remote"
	"github.com/fansync/fansync/bench/workload"
)

// session is what one cell has started and made. close ends and removes it.
type session struct {
	pair
	plan    *Plan
	needs   workload.Needs
	src     string   // the source
	mirrors []string // by remote; those of dead remotes stay as they were
	remotes []engine.Remote
	daemon  *remote.Daemon
	process engine.Process
	group   *measure.Group
	tracker *measure.Tracker
	log     io.Closer
	dirs    []string // to be removed
}

// open makes the source, its mirrors, equal to it, and the remotes.
func open(ctx context.Context, p *Plan, c pair, size workload.Size) (*session, error) {
	s := &session{pair: c, plan: p, needs: c.workload.Needs(size)}
	if err := p.fits(c.workload); err != nil {
		return s, err
	}
	base, err := os.MkdirTemp(p.SrcDir, "bench-src-*")
	if err != nil {
		return s, err
	}
	s.dirs = append(s.dirs, base)
	far, err := os.MkdirTemp(p.DstDir, "bench-dst-*")
	if err != nil {
		return s, err
	}
	s.dirs = append(s.dirs, far)
	s.src = filepath.Join(base, "src")
	if err := os.Mkdir(s.src, 0o755); err != nil {
		return s, err
	}
	if err := c.workload.Prepare(ctx, s.src, size); err != nil {
		return s, fmt.Errorf("prepare the tree: %w", err)
	}
	// One file stays whatever happens: a source that becomes empty is a case of
	// its own, which a careful engine takes for an accident.
	if err := os.WriteFile(filepath.Join(s.src, "bench-stays"), nil, 0o644); err != nil {
		return s, err
	}
	n := max(s.needs.Remotes, 1)
	for i := range n {
		m := filepath.Join(far, fmt.Sprintf("m%d", i))
		s.mirrors = append(s.mirrors, m)
		cmd := exec.CommandContext(ctx, "rsync", "-a", "--modify-window=-1", "--", s.src+"/", m+"/")
		if out, err := cmd.CombinedOutput(); err != nil {
			return s, fmt.Errorf("make the mirror equal before the run: %w: %s", err, out)
		}
	}
	return s, s.serve(ctx)
}

// serve starts the daemon of all remotes. Their order is: quick, slow, dead.
func (s *session) serve(ctx context.Context) error {
	quick := len(s.awaited())
	if quick < 1 {
		return fmt.Errorf("workload %s leaves no remote to wait for", s.workload.Name())
	}
	dir, err := s.scratch("daemon")
	if err != nil {
		return err
	}
	cfg := remote.Config{Dir: dir}
	for i, path := range s.mirrors {
		m := remote.Module{Name: fmt.Sprintf("m%d", i), Path: path}
		if i >= quick {
			m.Dead = i >= quick+s.needs.Slow
			if !m.Dead {
				m.KBs = s.needs.SlowKBs
			}
		}
		cfg.Modules = append(cfg.Modules, m)
	}
	if s.daemon, err = remote.Start(ctx, cfg); err != nil {
		return err
	}
	for i, m := range cfg.Modules {
		if i >= quick && !s.pair.engine.Live() {
			break // it would only wait for those that nobody waits for
		}
		at := s.daemon.Addr(m.Name)
		s.remotes = append(s.remotes, engine.Remote{Addr: at.Addr().String(), Port: int(at.Port()), Module: m.Name, Dead: m.Dead})
	}
	return nil
}

// scratch makes a directory that close removes.
func (s *session) scratch(what string) (string, error) {
	dir, err := os.MkdirTemp("", "bench-"+what+"-*")
	if err == nil {
		s.dirs = append(s.dirs, dir)
	}
	return dir, err
}

// launch starts the engine and the tracking of what it uses.
func (s *session) launch(ctx context.Context) error {
	scratch, err := s.scratch("engine")
	if err != nil {
		return err
	}
	var log io.Writer = io.Discard
	if s.plan.LogDir != "" {
		f, err := os.Create(s.plan.logName(s.pair))
		if err != nil {
			return err
		}
		s.log, log = f, f
	}
	if s.group, err = measure.NewGroup(); err != nil {
		return err
	}
	s.process, err = s.engine.Start(ctx, engine.Job{
		Src: s.src, Remotes: s.remotes, Scratch: scratch, Log: log, Cgroup: s.group.FD(),
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.engine.Name(), err)
	}
	if s.process.PID() == 0 && s.group.Kind() != measure.Cgroup2 {
		return nil // there is nothing to follow; Stop tells the CPU time
	}
	s.tracker, err = measure.Track(s.process.PID(), s.group)
	return err
}

// usage is what the engine has used; nothing where that is told by stop only.
func (s *session) usage() (measure.Usage, error) {
	if s.tracker == nil {
		return measure.Usage{}, nil
	}
	return s.tracker.Usage()
}

// awaited are the mirrors that must become equal.
func (s *session) awaited() []string {
	return s.mirrors[:len(s.mirrors)-s.needs.Slow-s.needs.Dead]
}

// latencyDir is the directory at the first mirror in which names are awaited.
func (s *session) latencyDir() string {
	return filepath.Join(s.mirrors[0], filepath.FromSlash(s.needs.LatencyDir))
}

// stop ends the engine, and tells the CPU time of all that it ever did. It may
// be called again.
func (s *session) stop() (cpuSeconds float64, err error) {
	if s.process == nil {
		return 0, nil
	}
	cpuSeconds, err = s.process.Stop()
	s.process = nil
	return cpuSeconds, err
}

// close ends what was started and removes what was made.
func (s *session) close() error {
	_, err := s.stop()
	errs := []error{err}
	if s.tracker != nil {
		s.tracker.Stop()
	}
	if s.group != nil {
		errs = append(errs, s.group.Close())
	}
	if s.daemon != nil {
		errs = append(errs, s.daemon.Stop())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	for _, dir := range s.dirs {
		errs = append(errs, removeAll(dir))
	}
	return errors.Join(errs...)
}

// removeAll removes a tree, also one with directories that cannot be entered,
// and also while an rsync of a stopped engine still ends.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	for try := 0; err != nil && try < 20; try++ {
		time.Sleep(50 * time.Millisecond)
		err = os.RemoveAll(dir)
	}
	return err
}
