package transport

import (
	"cmp"
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

// rulesMost bounds the names of one run: rsync compares every entry of their
// directories with every rule.
const rulesMost = 1000

// ruled is a batch for a remote that cannot be told names to delete: the
// directories that held them go, one level each, under rules that hide and
// protect all their other entries.
type ruled struct {
	// rest goes first, in the batch's own form.
	rest scheduler.Batch
	runs []ruledRun
	// asked are the batch's other items, missing those to be deleted and gone
	// these by their directories.
	asked   map[string]scheduler.Item
	missing map[string]bool
	gone    map[string][]string
}

// ruledRun is one run that only deletes.
type ruledRun struct {
	batch scheduler.Batch
	// first go before the user's rules, last after them, whose protection holds.
	first, last []string
}

func byRules(b scheduler.Batch) *ruled {
	p := &ruled{rest: b, asked: map[string]scheduler.Item{}, missing: map[string]bool{}, gone: map[string][]string{}}
	p.rest.Items = nil
	var names []string
	for _, it := range b.Items {
		// A name that is none is refused with the rest, before rsync sees it.
		if !it.Missing || it.Path == "" || !filepath.IsLocal(it.Path) || filepath.Clean(it.Path) != it.Path {
			p.rest.Items = append(p.rest.Items, it)
			p.asked[it.Path] = it
			continue
		}
		names = append(names, it.Path)
		p.missing[it.Path] = true
		p.gone[dirOf(it.Path)] = append(p.gone[dirOf(it.Path)], it.Path)
	}
	// The rest deletes them itself.
	names = slices.DeleteFunc(names, p.covers)
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(strings.Compare(dirOf(x), dirOf(y)), strings.Compare(x, y))
	})
	for chunk := range slices.Chunk(names, rulesMost) {
		run := ruledRun{batch: b}
		run.batch.Form, run.batch.Items, run.batch.Keep = scheduler.Flat, nil, false
		run.first, run.last = rulesFor(chunk)
		for _, dir := range dirsOf(chunk) {
			run.batch.Items = append(run.batch.Items, scheduler.Item{Path: dir, Children: true})
		}
		p.runs = append(p.runs, run)
	}
	return p
}

// dirsOf are the directories of names, in the order of the names.
func dirsOf(names []string) []string {
	var dirs []string
	for _, name := range names {
		dirs = append(dirs, dirOf(name))
	}
	return slices.Compact(dirs)
}

// rulesFor hide everything from the sender but the directories of names and
// the names themselves, which may have come back, and protect what else is in
// these directories at the receiver.
func rulesFor(names []string) (first, last []string) {
	dirs := dirsOf(names)
	shown := map[string]bool{"": true}
	first = []string{"S /."}
	for _, path := range append(dirs, names...) {
		for at := path; !shown[at]; at = dirOf(at) {
			shown[at] = true
			first = append(first, "S /"+pattern(at, false))
		}
	}
	first = append(first, "H *")
	for _, name := range names {
		last = append(last, "R /"+pattern(name, false))
	}
	for _, dir := range dirs {
		if dir != "" {
			dir = pattern(dir, true) + "/"
		}
		last = append(last, "P /"+dir+"*")
	}
	return first, last
}

// pattern is path as rsync's filters match it. There a backslash is one unless
// the pattern has a wildcard, its own or another.
func pattern(path string, wild bool) string {
	if !wild && !strings.ContainsAny(path, "*?[") {
		return path
	}
	var b strings.Builder
	for _, c := range []byte(path) {
		if strings.IndexByte(`*?[\\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// sendByRules is Send for such a remote.
func (r *Rsync) sendByRules(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	p := byRules(b)
	var res scheduler.Result
	if len(p.rest.Items) > 0 || b.Form == scheduler.Full {
		res, _ = r.run(ctx, p.rest, r.args(p.rest, progress != nil), sending, progress)
	}
	for _, run := range p.runs {
		switch res.Class {
		case scheduler.OK, scheduler.Partial:
		case scheduler.DeleteLimit:
			// What else would be deleted is still to be counted.
			run.batch.MaxDelete = 0
		default:
			return res
		}
		if run.batch.MaxDelete > 0 {
			run.batch.MaxDelete = max(0, b.MaxDelete-int(res.Stats.Deleted))
		}
		more, _ := r.run(ctx, run.batch, r.ruledArgs(run), naming, nil)
		res = sum(res, more)
	}
	if res.Class == scheduler.DeleteLimit {
		res.Message = limitMessage(r.cfg.Dest, res.Skipped)
	}
	return p.translate(res)
}

// sum is the result of two runs, of which the first carried what it could.
func sum(a, b scheduler.Result) scheduler.Result {
	// A partial run without names may have failed anywhere.
	nameless := func(r scheduler.Result) bool { return r.Class == scheduler.Partial && len(r.Failed) == 0 }
	lost := nameless(a) || nameless(b)
	if b.Class == scheduler.OK || b.Class == scheduler.Partial && a.Class == scheduler.DeleteLimit {
		b.Class, b.Message, b.Code = a.Class, a.Message, a.Code
	}
	b.Failed = append(a.Failed, b.Failed...)
	if lost {
		b.Failed = nil
	}
	b.Skipped += a.Skipped
	b.DeletesSkipped = b.DeletesSkipped || a.DeletesSkipped
	b.Stats.Files += a.Stats.Files
	b.Stats.Bytes += a.Stats.Bytes
	addWork(&b.Stats, a.Stats)
	return b
}

// addWork adds what another run of the same batch has done.
func addWork(s *scheduler.Stats, other scheduler.Stats) {
	s.Created += other.Created
	s.Deleted += other.Deleted
	s.Transferred += other.Transferred
	s.Wire += other.Wire
	s.Others += other.Others
	s.Literal += other.Literal
}

// translate makes complaints about the directories such about what was to be
// deleted from them too.
func (p *ruled) translate(res scheduler.Result) scheduler.Result {
	if len(p.missing) == 0 || len(res.Failed) == 0 {
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
		if _, dir := p.gone[pe.Path]; dir && !pe.Vanished || p.covers(pe.Path) || len(names) == 0 {
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
	return res
}

// concerned are the names to be deleted that a complaint about path means.
func (p *ruled) concerned(path string) []string {
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
func (p *ruled) covers(path string) bool {
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
