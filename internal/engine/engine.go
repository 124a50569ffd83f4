package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/guard"
	"github.com/fansync/fansync/internal/links"
	"github.com/fansync/fansync/internal/plugin"
	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/transport"
	"github.com/fansync/fansync/watcher"
)

// Options are what is not configuration.
type Options struct {
	// Log may be nil.
	Log *slog.Logger
	// Strict makes New fail when a root is not there, instead of waiting for it.
	Strict bool
	// PluginsOnly tells plugins of every change and mirrors nothing; remotes are
	// left aside.
	PluginsOnly bool
	// Rsync is the program to run; "" means rsync from PATH.
	Rsync string
	// Events are told what happens to the remotes; root is the root's path.
	Events func(root string) scheduler.Events
	// Tune, Watch and Links may change a root's scheduler, watcher and index of
	// hard links before they are made: for tests that cannot wait for the
	// defaults, or want them small.
	Tune  func(*scheduler.Config)
	Watch func(*watcher.Config)
	Links func(*links.Config)
}

// Engine mirrors all roots of one configuration.
type Engine struct {
	conf    config.Config
	opts    Options
	log     *slog.Logger
	roots   []*root
	groups  watcher.Groups
	plugins *plugin.Hub // nil: there are none
	started time.Time
	pool    atomic.Pointer[scheduler.Pool] // nil unless Run runs
	// failed says that something failed since the failure log last looked.
	failed atomic.Bool
}

// New checks everything that can be checked before anything is started. The
// error names every problem, one per line.
func New(conf config.Config, opts Options) (*Engine, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.PluginsOnly {
		conf = withoutRemotes(conf)
	}
	conf = conf.WithDefaults()
	found := make([]*guard.Root, len(conf.Roots))
	if opts.Strict {
		for i, r := range conf.Roots {
			var err error
			if found[i], err = guard.Open(r.Path); err != nil {
				return nil, err
			}
		}
	}
	if err := conf.Validate(CheckRemote); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !opts.PluginsOnly {
		if err := transport.CheckVersion(ctx, opts.Rsync); err != nil {
			return nil, err
		}
	}
	e := &Engine{conf: conf, opts: opts, log: opts.Log, started: time.Now()}
	errs := []error{e.newPlugins()}
	for i, rc := range conf.Roots {
		r, err := newRoot(rc, e, found[i])
		errs = append(errs, err)
		e.roots = append(e.roots, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

// CheckRemote checks the parts of a remote that only the transport knows: the
// form of its destination, its password file and its options.
func CheckRemote(root config.Root, r config.Remote) error {
	_, err := sender(root, r, Options{}, nil, nil)
	return err
}

// CheckPlugins makes the plugins of conf and gives them up again, to find what is
// wrong with them and the secrets they read.
func CheckPlugins(conf config.Config) error {
	_, err := plugin.New(conf.Plugins, slog.New(slog.DiscardHandler))
	return err
}

// hiddenIgnored is the warning of hidden_writes = "ignore".
const hiddenIgnored = "hidden writes are ignored: a file that was changed under a name that is gone stays old at the remotes until it changes again, or everything is compared"

// modifyOff is the warning of modify = "off".
const modifyOff = "writes to open files are not heard of: a file goes when its writer closes it, and one that never closes, a truncate by path or a change of times alone waits until everything is compared"

// deleteOff and deleteListed are the warnings of those words for delete.
const (
	deleteOff    = "nothing is ever deleted at the remotes, so they keep what is removed or renamed at the source"
	deleteListed = "only what is seen to be removed is deleted at the remotes: what was removed while fansync did not run, or under a directory that was replaced, stays there"
)

// regexWalk is the warning of expressions that rsync cannot be told.
const regexWalk = "exclude_regex has an expression that no rsync pattern can say, so each comparison of directories is preceded by a walk and a trial run: exclude is cheaper"

// rootWarnings are what is allowed for a root but weakens its mirrors.
func rootWarnings(root config.Root) (all []string) {
	if root.HiddenWrites == "ignore" {
		all = append(all, hiddenIgnored)
	}
	if root.Delete == string(transport.DeleteOff) {
		all = append(all, deleteOff)
	}
	if root.Delete == string(transport.DeleteListed) {
		all = append(all, deleteListed)
	}
	if _, veto, err := root.Filter(); err == nil && veto != nil {
		all = append(all, regexWalk)
	}
	if root.Modify == "off" {
		all = append(all, modifyOff)
	}
	return all
}

// Warnings are what is allowed in conf but weakens a mirror, one line each.
func Warnings(conf config.Config) []string {
	var all []string
	for _, root := range conf.WithDefaults().Roots {
		for _, w := range rootWarnings(root) {
			all = append(all, fmt.Sprintf("root %q: %s", root.Path, w))
		}
		for _, m := range root.Remotes {
			s, err := sender(root, m, Options{}, nil, nil)
			if err != nil {
				continue // Validate tells
			}
			for _, w := range s.Warnings() {
				all = append(all, fmt.Sprintf("root %q: remote %q: %s", root.Path, m.Name, w))
			}
		}
	}
	return all
}

// Run mirrors until ctx ends; then it lets what is in flight end within the
// grace time. It returns nil after such a stop.
func (e *Engine) Run(ctx context.Context) error {
	pool, err := scheduler.NewPool(e.log)
	if err != nil {
		return err
	}
	defer pool.Close()
	pool.Limit(e.conf.MaxRsyncs)
	e.pool.Store(pool)
	defer e.pool.Store(nil)
	for _, r := range e.roots {
		if err := r.prepare(pool); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(e.roots))
	for i, r := range e.roots {
		wg.Go(func() {
			if errs[i] = r.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	var keeping sync.WaitGroup
	keeping.Go(func() { e.keepFailLog(ctx) })
	listening, stopListening := context.WithCancel(context.WithoutCancel(ctx))
	defer stopListening()
	if e.plugins != nil {
		keeping.Go(func() { e.plugins.Run(listening) })
	}
	wg.Wait()
	cancel()
	stopListening()
	keeping.Wait()
	return errors.Join(errs...)
}

// Flush returns when everything that was changed before the call is at every
// remote, or with an error that names what is late and why when ctx ends or
// waiting is useless.
func (e *Engine) Flush(ctx context.Context) error {
	errs := make([]error, len(e.roots))
	var wg sync.WaitGroup
	for i, r := range e.roots {
		wg.Go(func() {
			if err := r.flush(ctx); err != nil {
				errs[i] = fmt.Errorf("root %s: %w", r.conf.Path, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// ConfirmDeletes lets the deletions that guards hold back at the named remote
// pass, once; "" names all remotes.
func (e *Engine) ConfirmDeletes(remote string) error {
	found := false
	for _, r := range e.roots {
		switch err := r.confirmDeletes(remote); {
		case err == nil:
			found = true
		case !errors.Is(err, scheduler.ErrUnknownRemote):
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", scheduler.ErrUnknownRemote, remote)
	}
	return nil
}

// resolved is path without symlinks, as far as it exists.
func resolved(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return filepath.Clean(path)
}
