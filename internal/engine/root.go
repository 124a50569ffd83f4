package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/filter"
	"github.com/fansync/fansync/internal/guard"
	"github.com/fansync/fansync/internal/links"
	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/transport"
	"github.com/fansync/fansync/watcher"
)

// rootCheck is how often the root's identity is checked, and looked for while
// it is missing.
const rootCheck = time.Second

// maxShards is how many rsyncs share a comparison of everything if nothing else
// is asked for.
const maxShards = 4

// errNotWatched says that no session watches a root now.
var errNotWatched = errors.New("not watched now")

// root is one directory tree on its way to its remotes.
type root struct {
	conf   config.Root
	engine *Engine
	log    *slog.Logger
	// excluded reports what the filters leave out.
	excluded func(path string, isDir bool) bool
	sched    *scheduler.Scheduler
	// senders are those of the remotes, by name; not changed after prepare.
	senders map[string]*transport.Rsync
	// outside is why auto does not try fanotify again. Only sessions use it.
	outside *watcher.OutsideError

	mu      sync.Mutex
	guard   *guard.Root      // nil until the root has been found
	watch   *watcher.Watcher // nil between sessions
	links   *links.Index     // nil between sessions
	began   chan struct{}    // closed when the next session begins
	watched bool             // there has been a session
	problem string           // why there is no session, or why sends are suspended
	base    uint64           // barrier numbers of earlier sessions
	last    uint64           // newest barrier number given out
}

// newRoot returns a root; its identity g is nil if it is to be looked for.
func newRoot(conf config.Root, e *Engine, g *guard.Root) (*root, error) {
	f, veto, err := conf.Filter()
	if err != nil {
		return nil, err
	}
	return &root{conf: conf, engine: e, excluded: excluded(f, veto), guard: g, began: make(chan struct{}), log: e.log.With("root", conf.Path)}, nil
}

// excluded joins the two ways to leave out a path.
func excluded(f *filter.Filter, veto func(string, bool) bool) func(path string, isDir bool) bool {
	if veto == nil {
		return f.Excluded
	}
	return func(path string, isDir bool) bool { return f.Excluded(path, isDir) || veto(path, isDir) }
}

// prepare makes the scheduler and its senders.
func (r *root) prepare(pool *scheduler.Pool) error {
	cfg := scheduler.Config{
		Source: r, Pool: pool, Now: watcher.Now, Log: r.log,
		Grace: time.Duration(r.engine.conf.Grace), Skip: r.ignores, Listed: r.conf.Delete == string(transport.DeleteListed),
	}
	if r.conf.Delete != string(transport.DeleteOff) {
		cfg.Limits = guard.Limits{Share: r.conf.Guard.MaxDeleteShare, Files: r.conf.Guard.MaxDeleteFiles}
	}
	cfg.Events = r.events()
	cfg.Events.State = r.keepsReady(cfg.Events.State)
	for _, w := range rootWarnings(r.conf) {
		r.log.Warn("option weakens the mirror", "warning", w)
	}
	r.senders = map[string]*transport.Rsync{}
	for _, m := range r.conf.Remotes {
		if r.engine.opts.PluginsOnly {
			cfg.Remotes = append(cfg.Remotes, scheduler.RemoteConfig{Name: m.Name, Sender: noSender{}, MaxDirty: m.MaxDirty})
			continue
		}
		s, err := sender(r.conf, m, r.engine.opts, r.openForRun, r.log.With("remote", m.Name))
		if err != nil {
			return err
		}
		for _, w := range s.Warnings() {
			r.log.Warn("option weakens the mirror", "remote", m.Name, "warning", w)
		}
		r.senders[m.Name] = s
		cfg.Remotes = append(cfg.Remotes, scheduler.RemoteConfig{
			Name: m.Name, Sender: s, MaxDirty: m.MaxDirty, Parallel: m.Parallel, Ready: s.Ready, Resumes: s.Resumes(), Limits: s.Limits(),
			Shards: r.engine.shards(m),
		})
	}
	if r.engine.opts.Tune != nil {
		r.engine.opts.Tune(&cfg)
	}
	sched, err := scheduler.New(cfg)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sched = sched
	return err
}

// events are told to who asked for them, and to the engine's own listeners.
func (r *root) events() scheduler.Events {
	var ev scheduler.Events
	if r.engine.opts.Events != nil {
		ev = r.engine.opts.Events(r.conf.Path)
	}
	ended := ev.Ended
	ev.Ended = func(remote string, b scheduler.Batch, res scheduler.Result, took time.Duration) {
		if res.Class == scheduler.Partial || res.Class == scheduler.Transient || res.Class == scheduler.Permanent {
			r.engine.failed.Store(true)
		}
		if ended != nil {
			ended(remote, b, res, took)
		}
	}
	r.tellPlugins(&ev)
	return ev
}

// shards is how many rsyncs share a comparison of everything with remote m.
func (e *Engine) shards(m config.Remote) int {
	n := m.Shards
	if n == 0 {
		remotes := 0
		for _, r := range e.conf.Roots {
			remotes += len(r.Remotes)
		}
		n = min(maxShards, (runtime.NumCPU()+remotes-1)/remotes)
	}
	if e.conf.MaxRsyncs > 0 {
		n = min(n, e.conf.MaxRsyncs)
	}
	return max(1, n)
}

// sender makes the transport of one remote.
func sender(root config.Root, m config.Remote, opts Options, open func() (*os.File, error), log *slog.Logger) (*transport.Rsync, error) {
	f, veto, err := root.Filter()
	if err != nil {
		return nil, err
	}
	full, err := root.FullFilter()
	if err != nil {
		return nil, err
	}
	dest, err := transport.ParseDest(m.Dest)
	if err != nil {
		return nil, err
	}
	if err := overlap(root, dest); err != nil {
		return nil, err
	}
	return transport.New(transport.Config{
		Root: resolved(root.Path), Dest: dest, PasswordFile: m.PasswordFile, SSH: m.SSH,
		Options: m.RsyncOptions, Filters: f.Rules(), Program: opts.Rsync, Standbys: *m.Standbys, OpenRoot: open, Log: log,
		Limits:      transport.Limits{BWLimit: m.BWLimit, Nice: m.Nice, IONice: m.IONice, Compress: m.Compress},
		FullFilters: full.Rules(), Veto: veto, Delete: transport.Delete(root.Delete), Timeout: time.Duration(m.Timeout),
	})
}

// overlap is an error if the source and a local destination hold each other.
// A source that is not there yet is checked again when it is watched.
func overlap(root config.Root, dest transport.Dest) error {
	if _, err := os.Stat(root.Path); err != nil {
		return nil
	}
	return transport.CheckOverlap(resolved(root.Path), dest)
}

// open takes the root's identity.
func (r *root) open() error {
	g, err := guard.Open(r.conf.Path)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.problem = err.Error()
		return err
	}
	r.guard, r.problem = g, ""
	return nil
}

// OpenDir opens the root and verifies that it is the one that was found.
func (r *root) OpenDir(needEntries bool) (*os.File, error) {
	r.mu.Lock()
	g := r.guard
	r.mu.Unlock()
	if g == nil {
		return nil, fmt.Errorf("root %s has not been found yet", r.conf.Path)
	}
	return g.OpenDir(needEntries)
}

// ignores reports whether path, relative to the root, is no part of the mirror.
func (r *root) ignores(path string, dir bool) bool {
	return transport.IsPrivate(path) || r.excluded(path, dir)
}

func (r *root) openForRun() (*os.File, error) { return r.OpenDir(false) }

// run serves the root until ctx ends.
func (r *root) run(ctx context.Context) error {
	changes := make(chan coalesce.Change)
	r.sched.Pause("the root is being looked for")
	defer r.keepStandbys()()
	scheduled := make(chan error, 1)
	// The scheduler outlives ctx by the grace time: its input ends first.
	go func() { scheduled <- r.sched.Run(context.WithoutCancel(ctx), changes) }()
	var periodic sync.WaitGroup
	periodic.Go(func() { r.compareNowAndThen(ctx) })
	err := r.sessions(ctx, changes)
	periodic.Wait()
	close(changes)
	return errors.Join(err, <-scheduled)
}

// compareNowAndThen makes everything due to be compared as often as the
// configuration says.
func (r *root) compareNowAndThen(ctx context.Context) {
	if r.conf.FullEvery <= 0 {
		return
	}
	tick := time.NewTicker(time.Duration(r.conf.FullEvery))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.sched.Full(fmt.Sprintf("full_every = %q", r.conf.FullEvery))
		case <-ctx.Done():
			return
		}
	}
}

// sessions watches the root, again and again if it goes and comes back.
func (r *root) sessions(ctx context.Context, changes chan<- coalesce.Change) error {
	for r.find(ctx) {
		r.sched.Pause("watches are being set up")
		if err := r.session(ctx, changes); err != nil {
			if errors.As(err, &r.outside) {
				r.log.Warn("watch backend changes, and everything is compared again", "reason", r.outside)
				continue
			}
			if r.engine.opts.Strict && !r.watched {
				return err
			}
			r.setProblem(err.Error())
			r.sched.Suspend(err.Error())
			r.log.Error("watch", "err", err)
			sleep(ctx, 5*rootCheck)
		}
	}
	return nil
}

// find waits until the root is there, and is the one that it was.
func (r *root) find(ctx context.Context) bool {
	said := ""
	for ctx.Err() == nil {
		err := r.check()
		if err == nil {
			r.setProblem("")
			return true
		}
		if err.Error() != said {
			said = err.Error()
			r.log.Warn("root", "problem", said)
			r.setProblem(said)
			r.sched.Suspend(said)
		}
		sleep(ctx, rootCheck)
	}
	return false
}

func (r *root) check() error {
	r.mu.Lock()
	g := r.guard
	r.mu.Unlock()
	if g == nil {
		return r.open()
	}
	return g.Check()
}

func (r *root) setProblem(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = s
}

// flush asks for a barrier and waits until it holds at every remote. A root
// that is not watched yet is waited for, unless something is wrong with it.
func (r *root) flush(ctx context.Context) error {
	for {
		r.mu.Lock()
		if r.watch != nil {
			id := r.base + r.watch.Barrier()
			r.last = max(r.last, id)
			r.mu.Unlock()
			return r.sched.Wait(ctx, id)
		}
		problem, began := r.problem, r.began
		r.mu.Unlock()
		if problem != "" {
			return fmt.Errorf("%w: %s", errNotWatched, problem)
		}
		select {
		case <-began:
		case <-time.After(rootCheck):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errNotWatched, ctx.Err())
		}
	}
}

func (r *root) confirmDeletes(remote string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sched == nil {
		return errNotWatched
	}
	if err := r.sched.ConfirmDeletes(remote); err != nil {
		return err
	}
	if r.guard != nil {
		r.guard.AcceptEmpty()
	}
	return nil
}

// sleep returns after d or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
