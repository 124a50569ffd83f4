package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/filter"
	"github.com/fansync/fansync/scheduler"
)

// maxRuleArgs is how many bytes of further rules go as arguments; more go in a
// file.
const maxRuleArgs = 64 << 10

// deletedFormat is the --out-format of a dry run; deletedMark begins its lines
// about deletions.
const (
	deletedFormat = "--out-format=fansync:%o:%n"
	deletedMark   = "fansync:del.:"
)

// extraRules are the rules that only this run needs, before all others: what a
// whole comparison leaves alone, and what Config.Veto says, name by name.
func (v *voyage) extraRules(ctx context.Context) ([]string, error) {
	b := v.batch
	if v.errand != sending {
		return nil, nil
	}
	rules := v.fullRules(b)
	if v.cfg.Veto == nil || !b.Form.Deep() && !hasChildren(b.Items) {
		return rules, nil
	}
	hidden, err := v.vetoed(v.root, b)
	if err != nil {
		return nil, fmt.Errorf("look for what the filters exclude: %w", err)
	}
	rules = append(rules, hidden...)
	if v.cfg.Delete.mirrors() {
		kept, err := v.protected(ctx, rules)
		if err != nil {
			return nil, fmt.Errorf("look for what the filters keep at the remote: %w", err)
		}
		rules = append(rules, kept...)
	}
	return rules, nil
}

// fullRules leave alone what FullFilters name: a full run neither sends nor
// deletes it. Other runs that compare directories only do not delete it, unless
// it is listed as missing.
func (r *Rsync) fullRules(b scheduler.Batch) []string {
	switch {
	case len(r.cfg.FullFilters) == 0:
		return nil
	case b.Form == scheduler.Full || b.Part:
		return slices.Clone(r.cfg.FullFilters)
	case !b.Form.Deep() && !hasChildren(b.Items):
		return nil
	}
	var rules []string
	for _, it := range b.Items {
		if it.Missing && it.Path != "" {
			rules = append(rules, "R /"+pattern(it.Path, false), "R /"+pattern(it.Path, true)+"/**")
		}
	}
	for _, rule := range r.cfg.FullFilters {
		if pattern, ok := strings.CutPrefix(rule, "- "); ok {
			rules = append(rules, "P "+pattern)
		}
	}
	return rules
}

// vetoed are rules for what the source has and Veto excludes, as far as the
// batch compares directories. A directory stands for what it holds.
func (r *Rsync) vetoed(root *os.File, b scheduler.Batch) ([]string, error) {
	var rules []string
	plain, err := filter.Parse(r.cfg.Filters)
	if err != nil {
		return nil, err
	}
	base := "/proc/self/fd/" + strconv.Itoa(int(root.Fd()))
	for _, it := range b.Items {
		wide := b.Form.Deep() || it.Children
		if !wide || it.Missing || it.Path != "" && !isRealDir(root, it.Path) {
			continue
		}
		err := r.vetoedBelow(base, it.Path, b.Form.Deep(), plain, func(path string) { rules = append(rules, "- /"+pattern(path, false)) })
		if err != nil {
			return nil, err
		}
	}
	if b.Form == scheduler.Full {
		err = r.vetoedBelow(base, "", true, plain, func(path string) { rules = append(rules, "- /"+pattern(path, false)) })
	}
	return rules, err
}

// vetoedBelow calls found for the topmost excluded paths below dir, which lies
// in base.
func (r *Rsync) vetoedBelow(base, dir string, deep bool, plain *filter.Filter, found func(path string)) error {
	entries, err := os.ReadDir(base + "/" + dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // it went away: news of that is under way
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := e.Name()
		if dir != "" {
			path = dir + "/" + path
		}
		switch {
		case r.cfg.Veto(path, e.IsDir()):
			found(path)
		case e.IsDir() && deep && !plain.Excluded(path, true):
			if err := r.vetoedBelow(base, path, true, plain, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// protected are rules for what the run would delete though Veto excludes it.
// rsync tells in a run that changes nothing.
func (v *voyage) protected(ctx context.Context, rules []string) ([]string, error) {
	b := v.batch
	b.MaxDelete = -1
	b.Items = slices.DeleteFunc(slices.Clone(b.Items), func(it scheduler.Item) bool { return it.Missing })
	var kept []string
	errs := &transcript{}
	lines := &list{root: v.root, batch: b}
	p := process{
		program: v.cfg.Program,
		args:    append([]string{"--dry-run", deletedFormat}, v.args(b, false)...),
		dir:     v.pinned(),
		feed:    func(w io.WriteCloser) error { return lines.feed(w) },
		stdout: func(out io.Reader) {
			eachLine(out, func(line []byte) {
				name, ok := strings.CutPrefix(string(line), deletedMark)
				if !ok {
					return
				}
				path := unescape(name)
				dir := strings.HasSuffix(path, "/")
				path = strings.TrimSuffix(path, "/")
				if v.cfg.Veto(path, dir) {
					kept = append(kept, "- /"+pattern(path, false))
				}
			})
		},
		stderr:  errs.read,
		timeout: max(0, v.cfg.Timeout),
		begun:   v.setPriority,
	}
	state, err := p.runWith(ctx, rules)
	if state == nil || err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("try what would be deleted: %w", err)
	}
	if code := state.ExitCode(); code != 0 && code != codePartial && code != codeVanished {
		o := newOutcome(state)
		o.out, o.err, o.canceled = &transcript{}, errs, ctx.Err() != nil
		res := o.result(v.cfg.Dest, newResolver(v.root, "", v.cfg.Dest, b))
		return nil, &dryRunError{res}
	}
	return kept, nil
}

// dryRunError says that the remote did not take the run that changes nothing.
type dryRunError struct{ result scheduler.Result }

func (e *dryRunError) Error() string { return e.result.Message }

// noRules is the result of a run whose rules could not be found.
func (r *Rsync) noRules(ctx context.Context, err error) scheduler.Result {
	var dry *dryRunError
	switch {
	case ctx.Err() != nil:
		return *refuse(scheduler.Canceled, "the run to %s was ended before it began", r.cfg.Dest)
	case errors.As(err, &dry):
		return dry.result
	}
	return *refuse(transient, "rsync to %s: %v", r.cfg.Dest, err)
}

// runWith is run with further rules, before the others.
func (p *process) runWith(ctx context.Context, rules []string) (state *os.ProcessState, err error) {
	if len(rules) == 0 {
		return p.run(ctx)
	}
	args, size := filters(rules), 0
	for _, arg := range args {
		size += len(arg)
	}
	if size > maxRuleArgs {
		file, failed := ruleFile(rules)
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, os.Remove(file)) }()
		args = filters([]string{". " + file})
	}
	// After --from0, by which the file's rules end in NULs.
	with := *p
	with.args = slices.Insert(slices.Clone(p.args), slices.Index(p.args, "--from0")+1, args...)
	return with.run(ctx)
}

// ruleFile writes the rules to a file of its own, each ended by a NUL. rsync
// opens such a file by its name only. The caller removes it.
func ruleFile(rules []string) (string, error) {
	f, err := os.CreateTemp("", "fansync-rules-*")
	if err != nil {
		return "", fmt.Errorf("make a file for rules: %w", err)
	}
	_, err = f.WriteString(strings.Join(rules, "\x00") + "\x00")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write rules: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return f.Name(), nil
}
