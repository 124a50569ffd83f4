package transport

import (
	"context"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fansync/fansync/scheduler"
)

// refusal is what a receiver says that takes a name to be deleted for an
// attack: rsync 3.4.3 (RsyncProject/rsync#910), and older ones with the
// security patches of that time, as Debian 12 has.
var refusal = regexp.MustCompile(`^invalid file mode 00 for .* \[[Rr]eceiver\]`)

// refusesNames reports whether the receiver ended because of a name to be
// deleted. By ssh its last words may be lost: then it is tried without names.
func (o outcome) refusesNames() bool {
	lines := o.err.lines()
	return o.code == codeProtocol && !o.canceled && (len(lines) == 0 || slices.ContainsFunc(lines, refusal.MatchString))
}

// parents is a batch for a remote that cannot be told names to delete: the
// directories that held them go, one level each, and what they no longer have
// is deleted. That costs a look at all their entries.
type parents struct {
	// rest goes first, in the batch's own form; dirs, if it has items, after it.
	// Of a flat batch all goes at once.
	rest, dirs scheduler.Batch
	// asked are the batch's other items, missing those to be deleted and gone
	// these by their directories.
	asked   map[string]scheduler.Item
	missing map[string]bool
	gone    map[string][]string
}

func byParents(b scheduler.Batch) *parents {
	p := &parents{rest: b, dirs: b, asked: map[string]scheduler.Item{}, missing: map[string]bool{}, gone: map[string][]string{}}
	p.rest.Items, p.dirs.Items, p.dirs.Form = nil, nil, scheduler.Flat
	for _, it := range b.Items {
		// A name that is none is refused with the rest, before rsync sees it.
		if !it.Missing || it.Path == "" || !filepath.IsLocal(it.Path) || filepath.Clean(it.Path) != it.Path {
			p.rest.Items = append(p.rest.Items, it)
			p.asked[it.Path] = it
			continue
		}
		p.missing[it.Path] = true
		p.gone[dirOf(it.Path)] = append(p.gone[dirOf(it.Path)], it.Path)
	}
	for dir := range p.gone {
		p.dirs.Items = append(p.dirs.Items, scheduler.Item{Path: dir, Children: true})
	}
	if b.Form == scheduler.Flat {
		// Of two items of one path the wider one comes first, and stays.
		p.rest.Items, p.dirs.Items = append(p.dirs.Items, p.rest.Items...), nil
	}
	for _, one := range []*scheduler.Batch{&p.rest, &p.dirs} {
		slices.SortStableFunc(one.Items, func(x, y scheduler.Item) int { return strings.Compare(x.Path, y.Path) })
		one.Items = slices.CompactFunc(one.Items, func(x, y scheduler.Item) bool { return x.Path == y.Path })
	}
	return p
}

// sendByParents is Send for such a remote.
func (r *Rsync) sendByParents(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	p := byParents(b)
	var res scheduler.Result
	if len(p.rest.Items) > 0 || b.Form == scheduler.Full {
		res, _ = r.run(ctx, p.rest, r.args(p.rest, progress != nil), true, progress)
	}
	if len(p.dirs.Items) > 0 && (res.Class == scheduler.OK || res.Class == scheduler.Partial) {
		more, _ := r.run(ctx, p.dirs, r.args(p.dirs, false), true, nil)
		res = sum(res, more)
	}
	return p.translate(res)
}

// sum is the result of two runs, of which the first was OK or Partial.
func sum(a, b scheduler.Result) scheduler.Result {
	if b.Class == scheduler.OK {
		b.Class, b.Message, b.Code = a.Class, a.Message, a.Code
	}
	b.Failed = append(a.Failed, b.Failed...)
	b.DeletesSkipped = b.DeletesSkipped || a.DeletesSkipped
	b.Stats.Files += a.Stats.Files
	b.Stats.Created += a.Stats.Created
	b.Stats.Deleted += a.Stats.Deleted
	b.Stats.Transferred += a.Stats.Transferred
	b.Stats.Bytes += a.Stats.Bytes
	b.Stats.Wire += a.Stats.Wire
	return b
}

// translate makes complaints about the directories such about what was to be
// deleted from them. Their other entries were not asked for: complaints about
// these come when they are.
func (p *parents) translate(res scheduler.Result) scheduler.Result {
	if res.Class != scheduler.Partial || len(p.missing) == 0 || len(res.Failed) == 0 {
		return res
	}
	failed := map[string]scheduler.PathError{}
	note := func(path string, pe scheduler.PathError) {
		pe.Vanished = pe.Vanished || failed[path].Vanished
		pe.Path = path
		failed[path] = pe
	}
	for _, pe := range res.Failed {
		names := p.concerned(pe.Path)
		for _, name := range names {
			note(name, pe)
		}
		if _, dir := p.gone[dirOf(pe.Path)]; p.covers(pe.Path) || len(names) == 0 && !dir {
			note(pe.Path, pe)
		}
	}
	if res.DeletesSkipped {
		// rsync does not say where.
		for name := range p.missing {
			note(name, res.Failed[0])
		}
	}
	res.Failed = slices.SortedFunc(maps.Values(failed), func(x, y scheduler.PathError) int { return strings.Compare(x.Path, y.Path) })
	if len(res.Failed) == 0 {
		res.Class, res.Message = scheduler.OK, ""
	}
	return res
}

// concerned are the names to be deleted that a complaint about path means.
func (p *parents) concerned(path string) []string {
	if names, is := p.gone[path]; is {
		return names
	}
	for at := path; at != ""; at = dirOf(at) {
		if p.missing[at] {
			return []string{at}
		}
	}
	return nil
}

// covers reports whether the batch asked for path, by itself or with others.
func (p *parents) covers(path string) bool {
	for at := path; ; at = dirOf(at) {
		it, is := p.asked[at]
		if is && (at == path || p.rest.Form.Deep() || it.Children && dirOf(path) == at) {
			return true
		}
		if at == "" {
			return false
		}
	}
}

// dirOf is the directory that holds path, "" for the root and in it.
func dirOf(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}
