package watcher

import (
	"sync/atomic"
	"time"
)

// Stats are totals since New, except where they say "now". All but Sent
// include what is mounted below the root and watched by itself. The JSON names
// are part of the interface of `fansync status --json`.
type Stats struct {
	// Read counts kernel records decoded, Merged the Events folded into others
	// that waited, Sent those delivered.
	Read   uint64 `json:"read"`
	Merged uint64 `json:"merged"`
	Sent   uint64 `json:"sent"`
	// Backlog is the number of Events waiting for the receiver now, and Lag how
	// long ago the oldest of the last batch delivered was read.
	Backlog uint64        `json:"backlog"`
	Lag     time.Duration `json:"lag_ns"`
	// Outside counts records of paths outside the root, Ignored those of
	// excluded paths, Nameless those that name no path (a change of a link
	// count, or of a directory that was gone when looked at).
	Outside  uint64 `json:"outside"`
	Ignored  uint64 `json:"ignored"`
	Nameless uint64 `json:"nameless"`
	// Hidden counts the changes found of files whose changed name was gone,
	// HiddenUnknown those of which it is not known which file it is, if any.
	// fanotify only.
	Hidden        uint64 `json:"hidden"`
	HiddenUnknown uint64 `json:"hidden_unknown"`
	// Resolved counts directory handles looked up in the filesystem; CacheHits
	// and CacheMisses count records whose directory was, or was not, known.
	// fanotify only.
	Resolved    uint64 `json:"resolved"`
	CacheHits   uint64 `json:"cache_hits"`
	CacheMisses uint64 `json:"cache_misses"`
	// Nodes is the number of directories known now.
	Nodes uint64 `json:"nodes"`
	// RingHigh is the most slots ever in use; RingDropped counts records
	// dropped because the ring was full.
	RingHigh    uint64 `json:"ring_high"`
	RingDropped uint64 `json:"ring_dropped"`
	// Rescans counts by reason how often all of a part had to be asked for.
	Rescans map[Reason]uint64 `json:"rescans"`
	// Watches is the number of inotify watches now.
	Watches uint64 `json:"watches"`
	// UnwatchedDirs is the number of directories not watched live now, because
	// of a limit; their changes are found by rescans.
	UnwatchedDirs uint64 `json:"unwatched_dirs"`
	// UnwatchedPaths are the first 20 of these, in byte order; each stands for all
	// below it. It may be older than UnwatchedDirs by Config.Repoll.
	UnwatchedPaths []string `json:"unwatched_paths"`
	// UnwatchedMounts are the mount points below the root that cannot be
	// watched live now, only rescanned.
	UnwatchedMounts []string `json:"unwatched_mounts"`
	// Unreadable counts directories found that could not be opened.
	Unreadable uint64 `json:"unreadable"`
}

var reasons = [...]Reason{QueueOverflow, RingFull, WatchLimit, ResolveFailed, NewMount, Restarted}

// counters is Stats while it is being written, by any of the goroutines.
type counters struct {
	read, merged, sent         atomic.Uint64
	backlog                    atomic.Uint64
	lag                        atomic.Int64 // nanoseconds
	outside, ignored, nameless atomic.Uint64
	resolved, hits, misses     atomic.Uint64
	hidden, suspected          atomic.Uint64
	nodes                      atomic.Uint64
	ringHigh, ringDropped      atomic.Uint64
	watches, unwatched         atomic.Uint64
	unreadable                 atomic.Uint64
	rescans                    [len(reasons)]atomic.Uint64
	mounts, blind              atomic.Pointer[[]string]
}

func (c *counters) rescan(why Reason) {
	for i, r := range reasons {
		if r == why {
			c.rescans[i].Add(1)
		}
	}
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Read: c.read.Load(), Merged: c.merged.Load(), Sent: c.sent.Load(),
		Backlog: c.backlog.Load(), Lag: time.Duration(c.lag.Load()),
		Outside: c.outside.Load(), Ignored: c.ignored.Load(), Nameless: c.nameless.Load(),
		Hidden: c.hidden.Load(), HiddenUnknown: c.suspected.Load(),
		Resolved: c.resolved.Load(), CacheHits: c.hits.Load(), CacheMisses: c.misses.Load(),
		Nodes:    c.nodes.Load(),
		RingHigh: c.ringHigh.Load(), RingDropped: c.ringDropped.Load(),
		Watches: c.watches.Load(), UnwatchedDirs: c.unwatched.Load(), Unreadable: c.unreadable.Load(),
		Rescans: make(map[Reason]uint64, len(reasons)),
	}
	for i, r := range reasons {
		s.Rescans[r] = c.rescans[i].Load()
	}
	if m := c.mounts.Load(); m != nil {
		s.UnwatchedMounts = append(s.UnwatchedMounts, *m...)
	}
	if m := c.blind.Load(); m != nil && s.UnwatchedDirs > 0 {
		s.UnwatchedPaths = append(s.UnwatchedPaths, *m...)
	}
	return s
}
