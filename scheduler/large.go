package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// bigFile is the size from which a file is large on a fast remote: half a
	// second at 1 Gbit/s, which is what a small change may have to wait for.
	// On a slower one it is what takes bigTime there, but not less than bigLeast,
	// below which a run of its own costs more than it saves.
	bigFile  = 64 << 20
	bigLeast = 1 << 20
	bigTime  = 500 * time.Millisecond
	// plainTime and bulkyTime are how long one batch of either kind should take
	// at most, as far as that can be told; a single file may take longer.
	plainTime = time.Second
	bulkyTime = 20 * time.Second
	// tiny files always find a place in a batch: they are what must not wait.
	tiny = 64 << 10
	// rateLeast is the least that must have gone over the wire in a run for it
	// to tell of the remote's rate.
	rateLeast = 1 << 20
	// yieldAfter is how long a large file has been in the air before it may be
	// cut for what would delete its temporary file at the remote. It doubles
	// each time, for the remote has to read again what it has, up to
	// 1<<yieldMost times as much.
	yieldAfter = int64(30 * time.Second)
	yieldMost  = 8
)

// noBig is a size that no file has.
const noBig = 1<<63 - 1

// bulky is the purpose of batches of large files. They have flights of their
// own, beside which there is always room for another.
const bulky = plain + 1

// rank orders purposes in time; those of one rank go by age.
func (p purpose) rank() purpose { return min(p, plain) }

// speed is what is known of how fast a remote is.
type speed struct {
	rate float64 // bytes a second; 0: not known
	cuts int     // large files that were cut since the last that arrived
	// spared is which part of the bytes of large files, listed of late, did not go
	// over the wire: the remote had them.
	spared float64
}

// listed takes in what a run with large files of so many bytes sent.
func (p *speed) listed(bytes, wire int64) {
	if bytes > 0 {
		p.spared = (p.spared + 1 - min(1, float64(wire)/float64(bytes))) / 2
	}
}

// large is how many bytes of large files one run should list. After a full run
// all are listed, and most are there already.
func (p *speed) large() int64 {
	return int64(float64(p.in(bulkyTime, 16*bigFile)) / max(1-p.spared, 1e-6))
}

// learn takes in what a run sent in d.
func (p *speed) learn(wire int64, d time.Duration) {
	if wire < rateLeast || d <= 0 {
		return
	}
	rate := float64(wire) / d.Seconds()
	if p.rate == 0 {
		p.rate = rate
		return
	}
	p.rate += (rate - p.rate) / 4
}

// in is how many bytes go in d, most if that is not known or more.
func (p *speed) in(d time.Duration, most int64) int64 {
	if p.rate == 0 {
		return most
	}
	return int64(min(p.rate*d.Seconds(), float64(most)))
}

// bigSize is the size from which a file is large for the remote now.
func (r *remote) bigSize() int64 {
	if r.cfg.BigFile < 0 {
		return noBig
	}
	return min(r.cfg.BigFile, max(bigLeast, r.speed.in(bigTime, bigFile)))
}

// bulks are the flights with large files.
func (r *remote) bulks() int {
	n := 0
	for _, f := range r.flights {
		if f.big {
			n++
		}
	}
	return n
}

// room is how many more flights may begin, of small files and of large ones.
func (r *remote) room() (plain, bulk int) {
	all, bulks := len(r.flights), r.bulks()
	if r.attempts > 0 {
		return 1 - (all - bulks), 1 - all
	}
	bulk = min(max(1, r.conf.Parallel-1)-bulks, max(r.conf.Parallel, 2)-all)
	if r.full != nil && r.full.due <= r.cfg.Now() {
		bulk = 0
	}
	return max(1, r.conf.Parallel-bulks) - (all - bulks), bulk
}

// newest is the flight of small files that began last, or nil.
func (r *remote) newest() *flight {
	for _, f := range slices.Backward(r.flights) {
		if !f.big {
			return f
		}
	}
	return nil
}

// holdLarge puts large files back for which there is no room, and reports
// whether there were any.
func (r *remote) holdLarge(s *sorting, now int64) bool {
	if _, room := r.room(); room > 0 {
		return false
	}
	held := false
	for k, b := range s.buckets {
		if k.purpose == bulky {
			r.putBack(b.entries(), now)
			delete(s.buckets, k)
			held, s.waits = true, true
		}
	}
	return held
}

// wideItems are the items of a bucket below which files are to be found that no
// entry names.
func wideItems(b *bucket) []Item {
	var items []Item
	if b.form.Plain() != b.form {
		return nil // it sends hardly any of their data
	}
	for _, p := range b.placed {
		if !p.item.Missing && (b.form.Deep() || p.item.Children && p.entry.Has(coalesce.Children)) {
			items = append(items, p.item)
		}
	}
	return items
}

// trim keeps of a bucket what one run should carry, the oldest first, and puts
// the rest back.
func (r *remote) trim(b *bucket, now int64) (trimmed bool) {
	limit, free := max(r.speed.in(plainTime, 4*bigFile), bigLeast), int64(tiny)
	switch b.purpose {
	case plain:
	case bulky:
		limit, free = r.speed.large(), -1
	default:
		return false
	}
	if b.bytes <= limit || b.form.Deep() || b.form.Plain() != b.form {
		return false
	}
	slices.SortStableFunc(b.placed, func(x, y placed) int { return cmp.Compare(x.entry.Since, y.entry.Since) })
	kept := newBucket(b.kind)
	var over []coalesce.Entry
	for i, p := range b.placed {
		if i > 0 && p.size > free && kept.bytes+p.size > limit {
			over = append(over, p.entry)
			continue
		}
		kept.add(p)
	}
	*b = *kept
	r.putBack(over, now)
	return len(over) > 0
}

// light reports whether sending e touches nothing but the attributes of a
// directory: that may go while a large file below it is in the air, whose run
// ends by setting the time that the directory had when it began.
func light(e coalesce.Entry) bool {
	const heavy = coalesce.Subtree | coalesce.Children | coalesce.Moved | coalesce.Gone | coalesce.Uncounted | coalesce.Ghost
	return e.Path != "" && e.Has(coalesce.Dir) && !e.Any(heavy) && !e.Has(coalesce.Racy|coalesce.Name)
}

// besides reports whether path is a directory above large files that are in the
// air, and no other flight is in its way.
func (r *remote) besides(path string) bool {
	found := false
	for _, f := range r.flights {
		if !f.conflicts(path) {
			continue
		}
		if !f.big || !f.below(path) {
			return false
		}
		found = true
	}
	return found
}

// postpone lets a directory wait for the large files below it, as news that is
// sent when they have landed.
func (r *remote) postpone(dir string, e coalesce.Entry, now int64) {
	for _, f := range r.flights {
		if f.big && f.below(dir) {
			f.follow(coalesce.Entry{Path: dir, Flags: coalesce.Attr | coalesce.Dir, Since: e.Since, Last: now, Seq: e.Seq})
			return
		}
	}
}

// follow makes e dirty when f has ended.
func (f *flight) follow(e coalesce.Entry) {
	if old, ok := f.after[e.Path]; ok {
		e.Since, e.Seq = min(e.Since, old.Since), min(e.Seq, old.Seq)
	} else if f.after == nil {
		f.after = map[string]coalesce.Entry{}
	}
	f.after[e.Path] = e
}

// obstruct is told that e waits for a flight with a large file, and ends that
// when it must: what e asks for would delete what the flight has at the remote,
// or there is no such file any more.
func (r *remote) obstruct(f *flight, e coalesce.Entry, now int64) {
	_, same := f.item(e.Path)
	if !same && !light(e) && e.Since < now-patience && f.below(e.Path) {
		r.late.add(e.Path) // no more large files are begun below it
	}
	switch {
	case f.cut:
	case e.Has(coalesce.Gone) && r.lost(f):
		r.log.Debug("large file is gone while it is sent", "path", f.batch.Items[0].Path)
		f.cut, f.heir = true, e.Path
		f.cancel()
	case !same && !light(e) && e.Path != "" && f.below(e.Path) && e.Since < now-patience:
		r.yield(f, now)
	}
}

// bequeath lets the removal that f was ended for stand for f's own entries, and
// reports false if it is no more.
func (r *remote) bequeath(f *flight) bool {
	e, ok := r.dirty.Get(f.heir)
	if f.heir == "" || !ok || !e.Has(coalesce.Gone) {
		return false
	}
	r.dirty.Remove(e.Path)
	since, seq := oldest(f.entries)
	e.Since, e.Seq = min(e.Since, since), min(e.Seq, seq)
	r.dirty.Add(e)
	return true
}

// lost reports whether the source has none of the flight's files any more.
func (r *remote) lost(f *flight) bool {
	root, err := r.cfg.Source.OpenDir(false)
	if err != nil {
		return false
	}
	look := newLooker(root)
	defer r.closeLooker(look)
	return !slices.ContainsFunc(f.batch.Items, func(it Item) bool {
		at, err := look.look(it.Path)
		return err != nil || !at.missing && at.path == it.Path
	})
}

// yield ends a flight with large files, which go on later from where they are.
// If it is too early for that, the remote looks again in time.
func (r *remote) yield(f *flight, now int64) bool {
	if f.cut {
		return true
	}
	if !r.conf.Resumes {
		return false
	}
	at := f.begun + yieldAfter<<min(r.speed.cuts, yieldMost)
	if now < at {
		r.look(at)
		return false
	}
	r.log.Debug("large file waits for other work", "path", f.batch.Items[0].Path)
	r.speed.cuts++
	f.cut = true
	f.cancel()
	return true
}

// clear reports whether nothing new may begin, because a full run is due and
// every flight will end soon. Large files are ended for it; until they may be,
// small changes go on.
func (r *remote) clear(now int64) bool {
	for _, f := range r.flights {
		if f.big && !r.yield(f, now) {
			return false
		}
	}
	return true
}

// settledAfter reports whether no large file will be known to wait when f, which
// is to begin, has succeeded.
func (r *remote) settledAfter(waits bool) bool {
	return !waits && r.cursor == "" && r.bulks() == 0 && r.full == nil && len(r.suspects) == 0 && len(r.troubles.by) == 0
}
