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
	"sync"
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
	// moves is set as long as renames may be sent as such.
	moves    atomic.Bool
	standbys *standbys
	resumes  bool
	pieces   pieces
	band     *bandwidth
	unniced  sync.Once // it was said that priorities cannot be set
}

var _ scheduler.Sender = (*Rsync)(nil)

// New checks the configuration. Nothing runs and nothing is connected.
func New(cfg Config) (*Rsync, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Rsync{cfg: cfg, band: &bandwidth{}}
	var err error
	if r.band.total, err = parseRate(cfg.Limits.BWLimit); err != nil {
		return nil, err
	}
	if r.options, r.warnings, err = checkOptions(cfg.Options); err != nil {
		return nil, err
	}
	r.resumes = cfg.Delete.mirrors() && resumes(cfg.Dest, r.options)
	r.moves.Store(cfg.Delete.mirrors() && allowMoves(r.options))
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
	r.standbys = newStandbys(r)
	return r, nil
}

// Warnings are one line each for the options that weaken the mirror.
func (r *Rsync) Warnings() []string { return r.warnings }

// carry sends one batch.
func (r *Rsync) carry(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	if b.Form != scheduler.Full && len(b.Items) == 0 {
		return scheduler.Result{}
	}
	if b.Form != scheduler.Full && !b.Part {
		progress = nil
	}
	switch b.Form {
	case scheduler.Fuzzy:
		return r.sendFuzzy(ctx, b)
	case scheduler.Move, scheduler.MoveRacy:
		return r.sendMove(ctx, b)
	}
	if !r.byRules.Load() {
		res, refused := r.run(ctx, b, r.args(b, progress != nil), sending, progress)
		if !refused || r.cfg.Delete == DeleteOff {
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
	res, _ := r.run(ctx, scheduler.Batch{MaxDelete: -1}, r.probeArgs(), probing, nil)
	return res
}

// errand is what a run is for.
type errand uint8

const (
	sending errand = iota
	// naming only deletes what its rules name.
	naming
	// probing changes nothing.
	probing
)

// run is one rsync. refused says that it ended because the receiver takes no
// names to delete.
func (r *Rsync) run(ctx context.Context, b scheduler.Batch, args []string, why errand, progress func(scheduler.Progress)) (res scheduler.Result, refused bool) {
	if ctx.Err() != nil {
		return *refuse(scheduler.Canceled, "the run to %s was ended before it began", r.cfg.Dest), false
	}
	root, err := r.cfg.OpenRoot()
	if err != nil {
		return *refuse(permanent, "open the source root: %v", err), false
	}
	defer root.Close()
	if r.local != nil {
		if res := r.local.check(why != probing); res != nil {
			return *res, false
		}
	}
	cwd, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(root.Fd())))
	if err != nil {
		return *refuse(transient, "find the name of the source root: %v", err), false
	}
	v := &voyage{Rsync: r, batch: b, root: root, cwd: cwd, errand: why}
	if res, refused, ok := v.warm(ctx); ok {
		return res, refused
	}
	if b.MaxDelete > 0 && v.before.Deleted > 0 {
		b.MaxDelete -= int(v.before.Deleted)
		args = r.args(b, progress != nil)
	}
	return v.cold(ctx, args, progress)
}

// voyage is one batch on its way, with the source root as it was verified for
// it.
type voyage struct {
	*Rsync
	batch scheduler.Batch
	root  *os.File
	cwd   string // the root's name
	errand
	// rules are those that only this batch needs.
	rules []string
	// before is what a standby has done of it.
	before scheduler.Stats
}

// pinned is the directory behind the root's descriptor, whatever the root's
// name stands for by now.
func (v *voyage) pinned() string { return filepath.Join(descriptors(), strconv.Itoa(int(v.root.Fd()))) }

// cold starts an rsync for the batch. If the daemon has no connection left,
// those that wait for work make room.
func (v *voyage) cold(ctx context.Context, args []string, progress func(scheduler.Progress)) (res scheduler.Result, refused bool) {
	var err error
	part, give := v.band.take(v.batch)
	defer give()
	args = append(bwArgs(part), args...)
	if v.rules, err = v.extraRules(ctx); err != nil {
		return v.noRules(ctx, err), false
	}
	for try := 1; ; try++ {
		lines := &list{root: v.root, batch: v.batch}
		out, errs := &stdout{progress: progress}, &transcript{}
		p := process{
			program: v.cfg.Program,
			args:    args,
			dir:     v.pinned(),
			feed:    func(w io.WriteCloser) error { return lines.feed(w) },
			stdout:  out.read,
			stderr:  errs.read,
			timeout: max(0, v.cfg.Timeout),
			begun:   v.setPriority,
			hurry:   v.cfg.Dest.Kind == Daemon,
		}
		v.cfg.Log.DebugContext(ctx, "rsync starts", "batch", v.batch.ID, "form", v.batch.Form, "items", len(v.batch.Items), "program", p.program, "args", args)
		state, err := p.runWith(ctx, v.rules)
		if state == nil {
			return v.notStarted(err), false
		}
		res, refused = v.judge(ctx, lines, ran{state, err, out, errs}, v.cwd)
		addWork(&res.Stats, v.before)
		if res.Class != transient || !errs.says(crowded) || try == roomTries || !v.standbys.makeRoom(ctx) {
			return res, refused
		}
	}
}

// ran is what an rsync left behind.
type ran struct {
	state *os.ProcessState
	err   error // of the process, as run gives it
	out   *stdout
	errs  *transcript
}

// judge says what came of the batch. cwd is what rsync calls the root.
func (v *voyage) judge(ctx context.Context, lines *list, end ran, cwd string) (res scheduler.Result, refused bool) {
	o := newOutcome(end.state)
	o.out, o.err, o.stats = &end.out.transcript, end.errs, end.out.stats
	o.canceled = ctx.Err() != nil
	o.unlisted = lines.failed
	o.kept = len(v.cfg.Filters) > 0 || len(v.rules) > 0 || keepsFiles(v.options)
	v.notePieces(v.batch, &o)
	res = o.result(v.cfg.Dest, newResolver(v.root, cwd, v.cfg.Dest, v.batch))
	if err := end.err; err != nil && (res.Class == scheduler.OK || res.Class == scheduler.Partial || isStuck(err)) {
		// Part of the list may be missing, so nothing may be assumed.
		res.Class, res.Message, res.Failed = transient, oneLine(fmt.Sprintf("rsync to %s: %v", v.cfg.Dest, err)), nil
	}
	v.cfg.Log.DebugContext(ctx, "rsync ended", "batch", v.batch.ID, "code", res.Code, "class", res.Class,
		"message", res.Message, "failed", len(res.Failed), "wire", res.Stats.Wire)
	return res, o.refusesNames()
}

// setPriority gives a run that has just begun the priorities of the limits.
func (r *Rsync) setPriority(pid int) {
	if err := r.cfg.Limits.apply(pid); err != nil {
		r.unniced.Do(func() { r.cfg.Log.Warn("rsync runs with ordinary priority", "err", err) })
	}
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
