package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/fansync/fansync/scheduler"
)

// Rsync sends to one remote. It is a scheduler.Sender.
type Rsync struct {
	cfg      Config
	options  []string
	warnings []string
	local    *localDir // nil unless the destination is local
	// byRules is set once the remote has refused a name to be deleted.
	byRules atomic.Bool
}

var _ scheduler.Sender = (*Rsync)(nil)

// New checks the configuration. Nothing runs and nothing is connected.
func New(cfg Config) (*Rsync, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Rsync{cfg: cfg}
	var err error
	if r.options, r.warnings, err = checkOptions(cfg.Options); err != nil {
		return nil, err
	}
	if strings.ContainsRune(cfg.Program, '/') {
		// The run's working directory is another one.
		if r.cfg.Program, err = filepath.Abs(cfg.Program); err != nil {
			return nil, fmt.Errorf("find rsync program %q: %w", cfg.Program, err)
		}
	}
	if cfg.PasswordFile != "" {
		if r.cfg.PasswordFile, err = filepath.Abs(cfg.PasswordFile); err != nil {
			return nil, fmt.Errorf("find password file %q: %w", cfg.PasswordFile, err)
		}
	}
	if cfg.Dest.Kind == Local {
		r.local = &localDir{path: cfg.Dest.Path}
	}
	return r, nil
}

// Warnings are one line each for the options that weaken the mirror.
func (r *Rsync) Warnings() []string { return r.warnings }

// Send carries one batch. It is safe for concurrent use.
func (r *Rsync) Send(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	if b.Form != scheduler.Full && len(b.Items) == 0 {
		return scheduler.Result{}
	}
	if b.Form != scheduler.Full {
		progress = nil
	}
	if !r.byRules.Load() {
		res, refused := r.run(ctx, b, r.args(b, progress != nil), true, progress)
		if !refused {
			return res
		}
		if !r.byRules.Swap(true) {
			r.cfg.Log.WarnContext(ctx, "the remote's rsync refuses names to delete, so deletions go by filter rules, in runs of their own: install 3.5.0 or newer there, or one with that mended",
				"remote", r.cfg.Dest.String(), "said", res.Message)
		}
	}
	return r.sendByRules(ctx, b, progress)
}

// Probe tells whether the remote can be reached, lets us in, and has the
// module, and changes nothing on either side. That a batch will fit on its
// disk it cannot tell, nor that the parent of a missing directory exists.
func (r *Rsync) Probe(ctx context.Context) scheduler.Result {
	res, _ := r.run(ctx, scheduler.Batch{MaxDelete: -1}, r.probeArgs(), false, nil)
	return res
}

// run is one rsync. refused says that it ended because the receiver takes no
// names to delete.
func (r *Rsync) run(ctx context.Context, b scheduler.Batch, args []string, write bool, progress func(scheduler.Progress)) (res scheduler.Result, refused bool) {
	if ctx.Err() != nil {
		return *refuse(scheduler.Canceled, "the run to %s was ended before it began", r.cfg.Dest), false
	}
	root, err := r.cfg.OpenRoot()
	if err != nil {
		return *refuse(permanent, "open the source root: %v", err), false
	}
	defer root.Close()
	if r.local != nil {
		if res := r.local.check(write); res != nil {
			return *res, false
		}
	}
	cwd, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(root.Fd())))
	if err != nil {
		return *refuse(transient, "find the name of the source root: %v", err), false
	}
	lines := &list{root: root, batch: b}
	out, errs := &stdout{progress: progress}, &transcript{}
	p := process{
		program: r.cfg.Program,
		args:    args,
		root:    root,
		feed:    func(w io.WriteCloser) error { return lines.feed(w) },
		stdout:  out.read,
		stderr:  errs.read,
		timeout: max(0, r.cfg.Timeout),
	}
	r.cfg.Log.DebugContext(ctx, "rsync starts", "batch", b.ID, "form", b.Form, "items", len(b.Items), "program", p.program, "args", args)
	state, err := p.run(ctx)
	if state == nil {
		return r.notStarted(err), false
	}
	o := newOutcome(state)
	o.out, o.err, o.stats = &out.transcript, errs, out.stats
	o.canceled = ctx.Err() != nil
	o.unlisted = lines.failed
	o.kept = len(r.cfg.Filters) > 0 || keepsFiles(r.options)
	res = o.result(r.cfg.Dest, newResolver(root, cwd, r.cfg.Dest, b))
	if err != nil && (res.Class == scheduler.OK || res.Class == scheduler.Partial || errors.Is(err, errStuck)) {
		// Part of the list may be missing, so nothing may be assumed.
		res.Class, res.Message, res.Failed = transient, oneLine(fmt.Sprintf("rsync to %s: %v", r.cfg.Dest, err)), nil
	}
	r.cfg.Log.DebugContext(ctx, "rsync ended", "batch", b.ID, "code", res.Code, "class", res.Class,
		"message", res.Message, "failed", len(res.Failed), "wire", res.Stats.Wire)
	return res, o.refusesNames()
}

// notStarted is for an rsync that never ran.
func (r *Rsync) notStarted(err error) scheduler.Result {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return *refuse(permanent, "%v", ErrNoRsync)
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return *refuse(transient, "start rsync to %s: %v", r.cfg.Dest, err)
	}
	return *refuse(permanent, "start rsync to %s: %v", r.cfg.Dest, err)
}
