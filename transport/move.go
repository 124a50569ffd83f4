package transport

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/fansync/fansync/scheduler"
)

// sendMove carries a batch of the Move forms in up to three runs:
//
//  1. An ordinary one makes the directory To and those above it, so that what is
//     at the remote under these names is a directory and no link to one. rsync
//     tells whether it was there before: if so, what lies in it may have equal
//     sizes and times and other content, so the form becomes MoveRacy.
//  2. One with To as the root of the transfer, at both ends, has --link-dest name
//     From. In MoveRacy no file is linked: its data is told by differences from
//     the one under the old name, and written to a new file.
//  3. Symlinks and special files go by an ordinary run, if there are any: a
//     linked one would be changed together with what comes to the old name.
//
// A regular file that was linked is one with that under the old name until this
// is deleted. rsync writes to a new file and renames it, so the content of
// neither is ever changed by the other's; with an option such as --inplace there
// are no moves. What comes to the old name before that goes as DeepRacy, which
// makes a new file of every regular one.
//
// What does not fit, or fails in its first run, goes as if it were new.
func (r *Rsync) sendMove(ctx context.Context, b scheduler.Batch) scheduler.Result {
	plain := b
	plain.Form, plain.From, plain.To = b.Form.Plain(), "", ""
	filters, ok := r.movable(b)
	if !ok {
		return r.carry(ctx, plain, nil)
	}
	before, err := r.quietWay(ctx, b.To)
	if err != nil {
		return r.carry(ctx, plain, nil)
	}
	var made scheduler.Result
	if b.To != "" {
		made = r.carry(ctx, scheduler.Batch{ID: b.ID, Items: []scheduler.Item{{Path: b.To}}, MaxDelete: b.MaxDelete}, nil)
	}
	switch {
	case made.Class == scheduler.Transient || made.Class == scheduler.Canceled:
		return made
	case made.Class != scheduler.OK:
		return r.carry(ctx, plain, nil)
	case made.Stats.Created == 0:
		b.Form = scheduler.MoveRacy
	}
	if b.Form == scheduler.MoveRacy && r.cfg.Dest.Kind == Local {
		return r.carry(ctx, plain, nil)
	}
	dir, after, err := openWay(r.cfg.OpenRoot, b.To)
	if err != nil {
		return r.carry(ctx, plain, nil)
	}
	if !slices.Equal(before, after) {
		// The first run may have seen a symlink at To, and the remote has that now:
		// the second would go where it leads.
		_ = dir.Close() // it was only opened
		return r.carry(ctx, plain, nil)
	}
	sub := r.at(b.To, dir, filters)
	part := relative(b)
	args := sub.args(part, false)
	if r.cfg.Dest.Kind == Daemon && !isPlain(b.From) {
		args = slices.Insert(args, 0, "-s")
	}
	last := len(args) - 2 // the source and the destination
	args = slices.Insert(args, last, "--link-dest="+r.cfg.Dest.oldPlace(b.From, b.To), "--no-links", "--no-D")
	res, _ := sub.run(ctx, part, args, sending, nil)
	if res.Class == scheduler.Permanent {
		return r.instead(ctx, plain, res)
	}
	for i, pe := range res.Failed {
		res.Failed[i].Path = strings.Trim(b.To+"/"+pe.Path, "/")
	}
	res = sum(made, res)
	if res.Class == scheduler.OK || res.Class == scheduler.Partial && len(res.Failed) > 0 {
		if others := res.Stats.Others; others > 0 {
			res = sum(res, r.carry(ctx, scheduler.Batch{ID: b.ID, Form: scheduler.Deep, Items: b.Items, MaxDelete: b.MaxDelete}, nil))
		}
	}
	return res
}

// sendFuzzy carries a Fuzzy batch.
func (r *Rsync) sendFuzzy(ctx context.Context, b scheduler.Batch) scheduler.Result {
	plain := b
	plain.Form = b.Form.Plain()
	if !r.moves.Load() || r.cfg.Dest.Kind == Local {
		return r.carry(ctx, plain, nil)
	}
	// Names to be deleted are none of it.
	res, _ := r.run(ctx, b, slices.Insert(r.args(b, false), 0, "--fuzzy"), sending, nil)
	if res.Class == scheduler.Permanent {
		return r.instead(ctx, plain, res)
	}
	return res
}

// instead sends a batch as if it were new. If the remote takes that, it does not
// take moves, which ended as refused says: a daemon may refuse the options.
func (r *Rsync) instead(ctx context.Context, plain scheduler.Batch, refused scheduler.Result) scheduler.Result {
	res := r.carry(ctx, plain, nil)
	if taken := res.Class == scheduler.OK || res.Class == scheduler.Partial; taken && r.moves.Swap(false) {
		r.cfg.Log.WarnContext(ctx, "the remote does not take renames, so their data is sent again",
			"remote", r.cfg.Dest.String(), "said", refused.Message)
	}
	return res
}

// at is the sender for the directory to below the root, open as dir, and its
// counterpart at the remote.
func (r *Rsync) at(to string, dir *os.File, filters []string) *Rsync {
	sub := &Rsync{cfg: r.cfg, options: r.options, standbys: r.standbys, resumes: r.resumes, band: r.band}
	sub.byRules.Store(r.byRules.Load())
	sub.cfg.OpenRoot = func() (*os.File, error) { return dir, nil }
	sub.cfg.Filters = filters
	if to != "" {
		sub.cfg.Dest.Path = strings.TrimPrefix(strings.TrimRight(r.cfg.Dest.Path, "/")+"/"+to, "/")
		if strings.HasPrefix(r.cfg.Dest.Path, "/") {
			sub.cfg.Dest.Path = "/" + sub.cfg.Dest.Path
		}
	}
	return sub
}

// relative is the batch as it is from its directory To.
func relative(b scheduler.Batch) scheduler.Batch {
	items := make([]scheduler.Item, len(b.Items))
	for i, it := range b.Items {
		it.Path = strings.TrimPrefix(strings.TrimPrefix(it.Path, b.To), "/")
		items[i] = it
	}
	b.Items = items
	return b
}

// oldPlace is the directory from, below the destination, as --link-dest names it
// when to is the root of the transfer.
func (d Dest) oldPlace(from, to string) string {
	switch {
	case d.Kind == Daemon: // absolute means from the module on
		return "/" + strings.Trim(d.Path+"/"+from, "/")
	case strings.HasPrefix(d.Path, "/"):
		return "/" + strings.Trim(d.Path+"/"+from, "/")
	case to == "":
		return "./" + from
	}
	return strings.Repeat("../", strings.Count(to, "/")+1) + from
}

// movable reports whether the batch can be sent as a move, and the filters to be
// sent with it.
func (r *Rsync) movable(b scheduler.Batch) (filters []string, ok bool) {
	if r.cfg.Veto != nil || len(r.cfg.FullFilters) > 0 {
		return nil, false // they know whole paths
	}
	if !r.moves.Load() || r.cfg.Dest.Kind == Local && b.Form == scheduler.MoveRacy {
		return nil, false
	}
	if r.cfg.Dest.Kind != Local && (strings.ContainsAny(b.From+b.To, "*?[\\") || strings.HasPrefix(b.To, "~")) {
		return nil, false // the remote rsync would expand it
	}
	return moveFilters(r.cfg.Filters, b.From, b.To)
}

// unmovable are parts of options with which a move could spoil what is under the
// old name, or would not do what it is for.
var unmovable = []string{"inplace", "append", "write-devices", "-dest", "size-only", "existing"}

// allowMoves reports whether nothing in the options speaks against moves.
func allowMoves(options []string) bool {
	return !slices.ContainsFunc(options, func(o string) bool {
		return slices.ContainsFunc(unmovable, func(part string) bool { return strings.Contains(o, part) })
	})
}

// moveFilters are the rules that hold below both directories. A rule that looks
// at more than the last component means another path when the root of the
// transfer is another one, and may hide under one of the names what it shows
// under the other: then ok is false, unless it cannot concern either.
func moveFilters(rules []string, from, to string) (kept []string, ok bool) {
	for _, rule := range rules {
		_, pattern, found := strings.Cut(rule, " ")
		body := strings.TrimSuffix(pattern, "/")
		switch {
		case !found:
			return nil, false
		case !strings.Contains(body, "/") && !strings.Contains(body, "**"):
			kept = append(kept, rule)
		case body == "" || body[0] != '/' || concerns(body[1:], from) || concerns(body[1:], to):
			return nil, false
		}
	}
	return kept, true
}

// concerns reports whether a pattern tied to the root may match something at,
// above or below path.
func concerns(pattern, path string) bool {
	if path == "" {
		return true
	}
	names := strings.Split(path, "/")
	for i, part := range strings.Split(pattern, "/") {
		if i == len(names) || strings.ContainsAny(part, "*?[\\") {
			return true
		}
		if part != names[i] {
			return false
		}
	}
	return true
}
