package links

import (
	"hash/maphash"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

const (
	// farSlack is slack where the times come from another machine's clock.
	farSlack = 10 * time.Minute
	// maxAge is more than the oldest event of a Change is ever old.
	maxAge = 2 * time.Minute
	// tick is more than the kernel's coarse clock lags behind, 10 ms at most.
	tick = 50 * time.Millisecond
	// toldPaths bounds the files that a search can leave out, some 80 bytes
	// each; markedPaths the paths that have marks, some 60 bytes each.
	toldPaths   = 1 << 17
	markedPaths = 1 << 16
	// toldTrees bounds the directories that are known to be told whole.
	toldTrees = 1 << 12
)

// suspicion says that some file may have been changed under a name that was
// gone before anybody looked. The zero value suspects nothing.
type suspicion struct {
	on bool
	// since and last are when the oldest and the newest hint came, noted is when
	// the first was noted, all as watcher.Now gives it.
	since, last, noted int64
	// offset is the wall clock's lead over watcher.Now, the smallest that may
	// hold for what is suspected; until is when the last hint was noted, by the
	// wall clock. Nanoseconds.
	offset, until int64
}

// join suspects what o suspects too.
func (s *suspicion) join(o suspicion) {
	switch {
	case !o.on:
	case !s.on:
		*s = o
	default:
		s.since, s.last, s.noted = min(s.since, o.since), max(s.last, o.last), min(s.noted, o.noted)
		s.offset, s.until = min(s.offset, o.offset), max(s.until, o.until)
	}
}

// doubts are what an Index needs to suspect, and to leave out of what a search
// finds the files that were told.
type doubts struct {
	// blind: the events do not tell of changes under names that are gone.
	// blindAt: so it is for a path, while blind is not set.
	blind   bool
	blindAt func(path string) bool
	pending suspicion
	clock   clock
	// began is when the Index was made: older changes are the business of the
	// full run that every session begins with.
	began int64
	// told and marks are by the path's hash.
	told  fifo[uint64, state]
	marks fifo[uint64, mark]
	seed  maphash.Seed
	// trees are directories that were told to be compared contents and all, and
	// since when, as looks.since.
	trees fifo[string, int64]
	// moved are the old paths, by the new ones, of directories that the remotes
	// may take from there, contents unseen: what was told there is told.
	moved fifo[string, string]
}

// state is a file as it was when its path was looked at to be told. While it
// has the same time of change nothing has happened to it: every write, chmod,
// link, unlink and rename sets that time, and nobody else can.
type state struct {
	file  inode
	ctime int64
}

// mark says when a path was last written to or changed by chmod, and when a
// file was last taken away from it; 0: never.
type mark struct{ wrote, left int64 }

func newDoubts(blind bool) doubts {
	now := watcher.Now()
	return doubts{
		blind: blind, blindAt: func(string) bool { return false }, began: now, clock: clock{offset: time.Now().UnixNano() - now},
		told: newFIFO[uint64, state](toldPaths), marks: newFIFO[uint64, mark](markedPaths), seed: maphash.MakeSeed(),
		trees: newFIFO[string, int64](toldTrees), moved: newFIFO[string, string](toldTrees),
	}
}

// suspect notes a hint of the given times.
func (d *doubts) suspect(since, last int64) {
	d.pending.join(suspicion{
		on: true, since: since, last: last, noted: watcher.Now(),
		offset: d.clock.offset, until: time.Now().UnixNano(),
	})
}

// observe brings the clock up to date before entries are judged.
func (d *doubts) observe(entries []coalesce.Entry) {
	now := watcher.Now()
	oldest := now
	for _, e := range entries {
		oldest = min(oldest, e.Since)
	}
	d.clock.observe(now, time.Now().UnixNano(), oldest)
}

// judge suspects what an entry gives reason to, after a look at its path.
//
//   - A directory that is new, by creation or by a rename: before its watch
//     stood, links in it may have come and gone.
//   - A directory that was that new when it went, or that was not empty before:
//     what was in it cannot be looked at.
//   - A path that was written to and that a file was taken away from: these may
//     be the same file, with another name elsewhere. The kernel does not tell
//     which of two files under one name was written, and one Change may end
//     between the two events.
//   - A path that a file was taken away from twice, or that is in use again: it
//     may have been a directory meanwhile.
func (d *doubts) judge(e coalesce.Entry, a attrs, missing bool) {
	if !d.blind && !d.blindAt(e.Path) {
		return
	}
	gone := e.Any(coalesce.Gone | coalesce.Ghost)
	changed := e.Any(coalesce.Wrote | coalesce.Attr)
	var doubt bool
	if e.Has(coalesce.Dir) || a.dir() {
		fresh := e.Any(coalesce.Born|coalesce.Ghost|coalesce.Subtree|coalesce.Moved) || a.dir() && e.Has(coalesce.Name)
		doubt = fresh || gone && (changed || e.Has(coalesce.Uncounted) || e.Deletes > 1)
	} else {
		left := missing || gone || e.Has(coalesce.Moved) || e.Deletes > 0
		doubt = d.mark(e, changed, left) || e.Has(coalesce.Uncounted) || e.Deletes > 1 || e.Deletes > 0 && !gone
	}
	if doubt {
		d.suspect(e.Since, e.Last)
	}
}

// judgeAll judges entries without a look at their paths.
func (d *doubts) judgeAll(entries []coalesce.Entry) {
	for _, e := range entries {
		d.judge(e, attrs{}, false)
	}
}

// mark notes what happened to the entry's path, and reports whether it was
// changed and left within slack.
func (d *doubts) mark(e coalesce.Entry, changed, left bool) bool {
	if !changed && !left {
		return false
	}
	key := maphash.String(d.seed, e.Path)
	m, _ := d.marks.get(key)
	if changed {
		m.wrote = e.Last
	}
	if left {
		m.left = e.Last
	}
	d.marks.put(key, m)
	apart := max(m.wrote, m.left) - min(m.wrote, m.left)
	return m.wrote != 0 && m.left != 0 && apart <= int64(slack)
}

// remember notes that an entry tells a file's content as it was at a look. Of a
// file that changed within the present tick of the kernel's clock that cannot be
// known, unless the look itself makes the next time of change differ.
func (d *doubts) remember(e coalesce.Entry, a attrs, at looks) {
	switch {
	case !d.blind && !d.pending.on && !d.blindAt(e.Path):
	case e.Has(coalesce.Subtree) && e.From != "":
		d.moved.put(e.Path, e.From)
	case e.Has(coalesce.Subtree) && e.Any(coalesce.Moved|coalesce.Racy):
		d.trees.put(e.Path, at.since)
	case e.Any(coalesce.Content|coalesce.Racy) && a.regular() && (at.fine || a.ctime < at.since):
		d.told.put(maphash.String(d.seed, e.Path), state{a.file, a.ctime})
	}
}

// known reports whether a file is as it was when it was told.
func (d *doubts) known(f found) bool {
	told := func(path string) bool {
		s, ok := d.told.get(maphash.String(d.seed, path))
		return ok && s == state{f.attrs.file, f.attrs.ctime}
	}
	if told(f.link.path) {
		return true
	}
	for dir := f.link.path; dir != ""; {
		dir = coalesce.Parent(dir)
		if since, ok := d.trees.get(dir); ok && f.attrs.ctime < since {
			return true
		}
		if from, ok := d.moved.get(dir); ok && told(from+f.link.path[len(dir):]) {
			return true
		}
	}
	return false
}

// clock keeps the wall clock's lead over watcher.Now.
type clock struct {
	// offset is the smallest lead that may hold for an event of an entry still
	// to come; so a wall clock put forward leads further back, not astray.
	offset int64
	// ahead is when a larger one was first seen, by watcher.Now; 0: not.
	ahead int64
}

// observe compares the two clocks; oldest is the time of the oldest event at
// hand. A larger lead holds once no event can be older than its discovery.
func (c *clock) observe(now, wall, oldest int64) {
	offset := wall - now
	if offset > c.offset && c.ahead == 0 {
		c.ahead = now
	}
	if offset <= c.offset || oldest >= c.ahead+int64(maxAge) {
		c.offset, c.ahead = offset, 0
	}
}
