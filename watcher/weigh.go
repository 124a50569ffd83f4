package watcher

import (
	"context"
	"fmt"
	"time"
)

// Weights say when a mark on the filesystem costs more than watches of the
// root's own directories would. A record from outside costs the reader about a
// microsecond, and its writer two or three; a watch takes 1.3 KB of the
// kernel's memory and about 15 µs once.
type Weights struct {
	// Every is the time over which records are counted.
	Every time.Duration
	// Rate is how many records a second must come from outside, Share which
	// part of all they must be.
	Rate, Share float64
	// Dirs is the most directories that the root may have.
	Dirs int
}

// DefaultWeights ask for a minute in which nearly all was from outside and cost
// one core at least a percent or so, and for a tree that is watched in 0.3 s.
func DefaultWeights() Weights {
	return Weights{Every: time.Minute, Rate: 5000, Share: 0.9, Dirs: 20_000}
}

// weigher watches over the cost of a mark. Only the resolver uses it.
type weigher struct {
	Weights
	at            int64 // when it last looked
	read, outside uint64
	// found is set once it was busy: it does not look again.
	found                 bool
	foundRate, foundShare float64
}

// OutsideError says that a mark on the filesystem is worse than watches of the
// root's directories would be: they are few, and most changes are elsewhere.
type OutsideError struct {
	// Rate is how many records a second came from outside the root, Share
	// which part of all records they were.
	Rate, Share float64
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("%.0f %% of the changes on this filesystem, %.0f a second, are elsewhere, and there are few directories to watch", e.Share*100, e.Rate)
}

// busy reports, once, that most of what was read since it last looked, and
// much, came from outside.
func (w *weigher) busy(now int64, read, outside uint64) bool {
	passed := time.Duration(now - w.at)
	if w.found || passed < w.Every {
		return false
	}
	all, out := float64(read-w.read), float64(outside-w.outside)
	w.at, w.read, w.outside = now, read, outside
	w.foundRate, w.foundShare = out/passed.Seconds(), out/max(all, 1)
	w.found = w.foundRate >= w.Rate && w.foundShare >= w.Share
	return w.found
}

// hasFewDirs reports whether there are at most so many directories below path.
// It says false if ctx ends before that is known.
func hasFewDirs(ctx context.Context, path string, most int) bool {
	n := countDirs(ctx, path, uint64(most), make([]byte, direntBuffer))
	return n <= uint64(most) && ctx.Err() == nil
}
