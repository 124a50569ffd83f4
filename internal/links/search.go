package links

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// hiddenFlags tell a file whose content, attributes and times may all have
	// been changed by somebody who set the times back.
	hiddenFlags = coalesce.Content | coalesce.Attr | coalesce.Wrote | coalesce.Racy
	// restFactor keeps the searches in the background below one part of this of
	// the time.
	restFactor = 100
	// tooMany is why everything is compared when a search finds more files than
	// can be told.
	tooMany = "too many files may have been changed under names that are gone"
)

// search looks for the files that a suspicion may be about. It may run beside
// the Index that began it, which gets it back when it has ended.
type search struct {
	suspicion
	began int64
	root  string
	skip  func(path string, isDir bool) bool
	most  int

	found           []found
	looks           looks
	dropped, unread int // as the walker counts them
	took            time.Duration
	err             error
}

// begin makes a search of what is suspected.
func (x *Index) begin() *search {
	s := &search{suspicion: x.pending, began: x.began, root: x.cfg.Root, skip: x.cfg.Skip, most: x.max}
	x.pending = suspicion{}
	return s
}

// run walks the tree. If ctx ends before, the error says so.
//
// What is looked for is exact: a write, a chmod, a link and an unlink all move
// the file's time of change, and nobody can set it. So no file that was changed
// under a name that went is missed, whatever its size and mtime. Others are
// found too: those of which a name came or went, or that were changed under
// their own names.
func (s *search) run(ctx context.Context) {
	began := time.Now()
	defer func() { s.took = time.Since(began) }()
	t, err := openTree(s.root)
	if err != nil {
		s.err = err
		return
	}
	defer t.close()
	s.looks = t.looks
	w := walker{tree: t, skip: s.skip, most: s.most, keep: s.wanted(t), stopped: ctx.Done()}
	w.run("")
	s.found, s.dropped, s.unread, s.err = w.found, w.dropped, w.unread, ctx.Err()
}

// wanted says which files may be meant: those that were changed since the
// suspicion began and were there when it was noted last. It begins with slack,
// for the reader lags behind the kernel and the kernel's clock is coarse; that
// costs little, since what was told meanwhile is left out.
func (s *search) wanted(t *tree) func(attrs) bool {
	if !t.timely {
		since := s.since - int64(farSlack) + s.offset
		return func(a attrs) bool { return a.ctime >= since }
	}
	since := max(s.since-int64(slack), s.began-int64(tick)) + s.offset
	return func(a attrs) bool {
		// A file from before the wall clock was put back is born after ctime.
		late := a.btime > s.until && a.btime <= a.ctime
		return a.ctime >= since && !late
	}
}

// report is what a search has found, less what was told and is as it was. After
// an error, and when it was stopped, the suspicion stands.
func (x *Index) report(s *search) (ch coalesce.Change) {
	defer x.publish()
	x.rest = time.Now().Add(max(x.cfg.Pause, restFactor*s.took))
	if s.err != nil {
		x.pending.join(s.suspicion)
		if !errors.Is(s.err, context.Canceled) {
			x.cfg.Log.Warn("cannot search for files that were changed under names that are gone", "root", x.cfg.Root, "error", s.err)
		}
		return ch
	}
	for _, f := range s.found {
		if x.known(f) {
			continue
		}
		e := coalesce.Entry{Path: f.link.path, Flags: hiddenFlags, Since: s.since, Last: s.last}
		x.remember(e, f.attrs, s.looks)
		ch.Entries = append(ch.Entries, e)
	}
	slices.SortFunc(ch.Entries, func(a, b coalesce.Entry) int { return strings.Compare(a.Path, b.Path) })
	if s.dropped > 0 {
		ch.Rescans = []coalesce.Rescan{{Reason: tooMany}}
	}
	x.searches++
	x.hidden += len(ch.Entries)
	level := slog.LevelDebug
	if len(ch.Entries) > 0 {
		level = slog.LevelInfo
	}
	x.cfg.Log.Log(context.Background(), level, "searched for files changed under names that are gone",
		"root", x.cfg.Root, "found", len(ch.Entries), "took", s.took, "unreadable", s.unread)
	return ch
}
