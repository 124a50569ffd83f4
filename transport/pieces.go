package transport

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fansync/fansync/scheduler"
)

// pieceDir holds, in each directory of the remote, what a cut run had received
// of a large file, so that the next run goes on from there. It is no part of
// the mirror: it is neither sent nor deleted with what the source lacks, but
// goes with its directory, and when nothing is left to go on with.
const pieceDir = ".fansync-partial"

// Filter rules for it, of which the first that matches counts.
var (
	// keepPieces is for runs that look for themselves: hidden here and kept
	// there, but perishable.
	keepPieces = []string{"--filter=-p " + pieceDir + "/"}
	// countPieces is for runs that delete nothing and tell what they would.
	countPieces = []string{"--filter=H " + pieceDir + "/", "--filter=R " + pieceDir + "/"}
	// dropPieces deletes pieces and nothing else, and sends nothing.
	dropPieces = []string{"--filter=H " + pieceDir + "/", "--filter=R " + pieceDir + "/", "--filter=Pp *", "--existing", "--ignore-existing"}
)

// maxPieces is how many directories with pieces are remembered. The others are
// found by the next full run.
const maxPieces = 1000

// ownWay are options by which rsync writes files in another way, or is told not
// to keep pieces.
var ownWay = words("inplace append append-verify partial-dir delay-updates write-devices no-partial no-partial-dir")

// resumes reports whether runs with these options may keep pieces. To a local
// destination rsync copies whole files, without a look at what is there.
func resumes(d Dest, options []string) bool {
	whole := d.Kind == Local
	for _, o := range options {
		name, _, _ := strings.Cut(o, "=")
		switch {
		case ownWay[strings.TrimPrefix(name, "--")]:
			return false
		case name == "--whole-file" || name == "-W":
			whole = true
		case name == "--no-whole-file" || name == "--no-W":
			whole = false
		}
	}
	return !whole
}

// IsPrivate reports whether path, relative to a root, lies in a directory that
// rsyncs of ours keep for themselves in a mirror. What they do there is no news
// to who mirrors the mirror.
func IsPrivate(path string) bool {
	for rest, more := path, strings.Contains(path, pieceDir); more; {
		var name string
		if name, rest, more = strings.Cut(rest, "/"); name == pieceDir {
			return true
		}
	}
	return false
}

// Resumes reports whether a run with large files that is cut goes on where it
// was, the next time.
func (r *Rsync) Resumes() bool { return r.resumes }

// keepsPieces reports whether a run keeps what it has when it is cut.
func (r *Rsync) keepsPieces(b scheduler.Batch) bool {
	return r.resumes && b.Keep
}

// pieceArgs are the options about pieces for a batch.
func (r *Rsync) pieceArgs(b scheduler.Batch) []string {
	var args []string
	if r.keepsPieces(b) {
		args = append(args, "--partial-dir="+pieceDir)
	}
	switch {
	case counts(b):
		args = append(args, countPieces...)
	case b.Form.Deep() || hasChildren(b.Items):
		args = append(args, keepPieces...)
	}
	return args
}

// counts reports whether a batch tells what would be deleted of everything.
func counts(b scheduler.Batch) bool {
	return b.MaxDelete == 0 && (b.Part || b.Form == scheduler.Full)
}

// pieces are the directories of the remote that may have a pieceDir.
type pieces struct {
	mu   sync.Mutex
	dirs map[string]bool
}

func (p *pieces) note(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirs == nil {
		p.dirs = map[string]bool{}
	}
	if len(p.dirs) < maxPieces {
		p.dirs[dir] = true
	}
}

// some are directories for one run, sorted.
func (p *pieces) some() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.dirs))
}

func (p *pieces) forget(dirs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, dir := range dirs {
		delete(p.dirs, dir)
	}
}

// Send carries one batch, and then, if no large file waits any more, deletes
// pieces that nobody will go on with. It is safe for concurrent use.
func (r *Rsync) Send(ctx context.Context, b scheduler.Batch, progress func(scheduler.Progress)) scheduler.Result {
	var res scheduler.Result
	if len(b.Shards) > 0 {
		res = r.sendShards(ctx, b, progress)
	} else {
		res = r.carry(ctx, b, whole(b, progress))
	}
	if r.keepsPieces(b) && res.Class != scheduler.OK {
		for _, it := range b.Items {
			r.pieces.note(dirOf(it.Path))
		}
	}
	if b.Settled && res.Class == scheduler.OK {
		res.Touched = r.dropPieces(ctx)
	}
	return res
}

// dropPieces deletes the pieces at the remote. It returns the directories that
// had some.
func (r *Rsync) dropPieces(ctx context.Context) []string {
	dirs := r.pieces.some()
	if len(dirs) == 0 {
		return nil
	}
	b := scheduler.Batch{Form: scheduler.Flat, MaxDelete: -1}
	for _, dir := range dirs {
		b.Items = append(b.Items, scheduler.Item{Path: dir, Children: true})
	}
	args := append(r.baseArgs(), "--delete")
	args = append(args, dropPieces...)
	res, _ := r.run(ctx, b, append(args, r.common()...), naming, nil)
	if res.Class != scheduler.OK && res.Class != scheduler.Partial {
		r.cfg.Log.DebugContext(ctx, "delete pieces of files", "remote", r.cfg.Dest.String(), "message", res.Message)
		return nil
	}
	r.pieces.forget(dirs)
	return dirs
}

// notePieces takes out of a counting run's outcome what it tells of pieces: they
// are no deletions that anybody has to answer for.
func (r *Rsync) notePieces(b scheduler.Batch, o *outcome) {
	if !counts(b) {
		return
	}
	for _, t := range []*transcript{o.out, o.err} {
		found := 0
		t.leftover = slices.DeleteFunc(t.leftover, func(c complaint) bool {
			dir, is := strings.CutSuffix(c.name, pieceDir)
			if !is || dir != "" && dir[len(dir)-1] != '/' {
				return false
			}
			r.pieces.note(strings.TrimSuffix(dir, "/"))
			found++
			return true
		})
		// rsync complains where a directory keeps at least one file. The line
		// with the count may have come by the other stream.
		for _, s := range []*transcript{o.out, o.err} {
			n := min(found, s.skipped)
			s.skipped -= n
			found -= n
			if n > 0 && s.skipped == 0 {
				s.limited = false
			}
		}
	}
	if o.code == codeMaxDelete && !o.out.limited && !o.err.limited {
		o.code = 0
	}
}
