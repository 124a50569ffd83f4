package watcher

import (
	"slices"
	"strings"
	"sync"
)

// kids are the watchers of a root's branches, for Stats.
type kids struct {
	mu   sync.Mutex
	live map[*Watcher]string // by mount point
	past Stats               // the totals of those that have ended
}

// add makes a watcher's totals count as the root's. What it returns is to be
// called when the watcher has ended.
func (k *kids) add(path string, w *Watcher) (remove func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.live == nil {
		k.live = map[*Watcher]string{}
	}
	k.live[w] = path
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.live, w)
		s := w.Stats()
		k.past.addTotals(&s)
	}
}

// blind is Watcher.Blind for the branches.
func (k *kids) blind(path string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for w, at := range k.live {
		if below, is := strings.CutPrefix(path, at); is && (below == "" || below[0] == '/') {
			return w.Blind(strings.TrimPrefix(below, "/"))
		}
	}
	return false
}

// into adds up what the branches have counted. Events are counted when the
// root sends them.
func (k *kids) into(s *Stats) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.addTotals(&k.past)
	for w, path := range k.live {
		one := w.Stats()
		s.addTotals(&one)
		s.Backlog += one.Backlog
		s.Nodes += one.Nodes
		s.Watches += one.Watches
		s.UnwatchedDirs += one.UnwatchedDirs
		for _, m := range one.UnwatchedMounts {
			s.UnwatchedMounts = append(s.UnwatchedMounts, join(path, m))
		}
	}
	slices.Sort(s.UnwatchedMounts)
}

// addTotals adds all of b that never shrinks, but Sent.
func (s *Stats) addTotals(b *Stats) {
	s.Read += b.Read
	s.Merged += b.Merged
	s.Outside += b.Outside
	s.Ignored += b.Ignored
	s.Nameless += b.Nameless
	s.Hidden += b.Hidden
	s.HiddenUnknown += b.HiddenUnknown
	s.Resolved += b.Resolved
	s.CacheHits += b.CacheHits
	s.CacheMisses += b.CacheMisses
	s.RingHigh = max(s.RingHigh, b.RingHigh)
	s.RingDropped += b.RingDropped
	s.Unreadable += b.Unreadable
	if s.Rescans == nil {
		s.Rescans = map[Reason]uint64{}
	}
	for why, n := range b.Rescans {
		s.Rescans[why] += n
	}
}
