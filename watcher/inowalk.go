package watcher

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

// walk arms the whole tree with some walkers at once, at the start and after
// records were lost, while the resolver goes on handling records. A directory
// is opened, watched and listed without the tree's lock, and linked under it.
type walk struct {
	b *ino
	// reasons are those of the Rescans that are due when the walk has ended.
	reasons []Reason
	walkers sync.WaitGroup

	// All below is guarded by b.mu.
	more   *sync.Cond // jobs came, or no more will
	jobs   []walkJob
	names  int // in jobs
	active int // walkers that are visiting directories
	idle   int // and that wait for some
	ended  bool
}

// walkJob is the directories of one parent that are to be visited.
type walkJob struct {
	parent inoRef // zero for the root itself
	// names has before each name a byte for its length. Most directories hold
	// none, so this is one allocation for many.
	names string
}

// start arms what exists.
func (b *ino) start(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ctx = ctx
	b.startWalk(nil)
}

// startWalk begins a walk. The caller holds mu.
func (b *ino) startWalk(reasons []Reason) {
	b.walkNo++
	k := &walk{b: b, reasons: reasons, jobs: []walkJob{{names: "\x00"}}, names: 1}
	k.more = sync.NewCond(&b.mu)
	b.walk = k
	for range min(max(2*runtime.GOMAXPROCS(0), 2), 8) {
		k.walkers.Go(k.run)
	}
}

// lost starts another walk. The Rescan comes when it has ended: what happens
// in a directory before it is watched is not known.
func (b *ino) lost(why Reason, _ int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lostLocked(why)
}

func (b *ino) lostLocked(why Reason) {
	// The halves' other halves may be lost.
	for _, h := range b.halves {
		b.giveUp(h)
	}
	b.halves = nil
	if b.walk == nil {
		b.startWalk([]Reason{why})
	} else if !slices.Contains(b.again, why) {
		b.again = append(b.again, why)
	}
}

func (b *ino) walked() <-chan struct{} { return b.done }

// settled reports whether all directories are watched.
func (b *ino) settled() bool { return b.walk == nil }

// finish ends a walk: what it did not meet is no longer below the root.
func (b *ino) finish(now int64) {
	b.walk.walkers.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.tree.all {
		if b.tree.node(n).seen != b.walkNo {
			b.tree.drop(n)
		}
	}
	reasons := b.walk.reasons
	b.walk = nil
	if len(b.tree.blind) > 0 && !b.saidLimit {
		b.saidLimit = true
		b.sayLimit()
	}
	if b.walkNo == 1 {
		b.preflight()
	}
	for _, why := range reasons {
		b.r.rescan("", why, now)
	}
	b.announce(now)
	if len(b.again) > 0 {
		reasons, b.again = b.again, nil
		b.startWalk(reasons)
	}
	b.nameUnwatched()
	b.counts()
}

// stop ends the walkers.
func (b *ino) stop() {
	b.timer.Stop()
	b.mu.Lock()
	k := b.walk
	if k != nil {
		k.ended = true
		k.more.Broadcast()
	}
	b.mu.Unlock()
	if k != nil {
		k.walkers.Wait()
	}
}
