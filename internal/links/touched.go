package links

import (
	"math"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// slack is how far a file's times may lie before the event they belong to: the
// reader lags behind the kernel, whose clock is coarse, and the wall clock is
// being slewed.
const slack = 10 * time.Second

// proof says how an entry shows that a file was changed.
type proof uint8

const (
	// sure: the entry is news of the content or attributes.
	sure proof = iota
	// ifWritten: it may be news of a name only. The file was changed if its
	// mtime is not older than the entry.
	ifWritten
	// ifChanged: it stands for a whole directory whose history is not known.
	// The file was changed if its ctime is not older than the entry.
	ifChanged
)

// touch is why the other names of a file are to be looked at.
type touch struct {
	entry coalesce.Entry
	sure  bool
	// mtime and ctime are the wall clock's bounds in nanoseconds of ifWritten
	// and ifChanged; noBound for none.
	mtime, ctime int64
	// lost: a name through which the file was written is gone.
	lost bool
}

const noBound = math.MaxInt64

// proves reports whether the file, as it is now, was changed; timely says that
// its times can be compared with this machine's clock.
func (t touch) proves(a attrs, timely bool) bool {
	return t.sure || !timely || a.mtime >= t.mtime || a.ctime >= t.ctime
}

// touches are the files that the entries of one Expand speak of.
type touches map[inode]touch

func (ts touches) add(f inode, e coalesce.Entry, p proof) {
	t, ok := ts[f]
	if !ok {
		t = touch{entry: coalesce.Entry{Since: e.Since, Last: e.Last, Seq: e.Seq}, mtime: noBound, ctime: noBound}
	}
	t.entry.Since = min(t.entry.Since, e.Since)
	t.entry.Last = max(t.entry.Last, e.Last)
	if t.entry.Seq == 0 || e.Seq != 0 && e.Seq < t.entry.Seq {
		t.entry.Seq = e.Seq
	}
	t.lost = t.lost || e.Has(coalesce.Content|coalesce.Gone)
	switch p {
	case sure:
		t.sure = true
		t.entry.Flags |= e.Flags & (coalesce.Content | coalesce.Attr)
		if e.Has(coalesce.Content) && !e.Has(coalesce.Name) {
			t.entry.Flags |= coalesce.Racy
		}
	case ifWritten:
		t.mtime = min(t.mtime, bound(e))
	case ifChanged:
		t.ctime = min(t.ctime, bound(e))
	}
	if p != sure {
		t.entry.Flags |= coalesce.Content | coalesce.Attr
	}
	ts[f] = t
}

// bound is when the entry's first event was, by the wall clock, less slack.
func bound(e coalesce.Entry) int64 {
	ago := watcher.Now() - e.Since
	return time.Now().UnixNano() - ago - int64(slack)
}
