package watcher

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// walk arms the whole tree with some walkers at once, at the start and after
// records were lost, while the resolver goes on handling records. A directory
// is opened and listed without the tree's lock, watched and linked under it.
type walk struct {
	b *ino
	// reasons are those of the Rescans that are due when the walk has ended.
	reasons []Reason
	walkers sync.WaitGroup

	mu     sync.Mutex
	more   *sync.Cond // jobs came, or no more will
	jobs   []armJob
	active int
	ended  bool
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
	k := &walk{b: b, reasons: reasons, jobs: []armJob{{}}}
	k.more = sync.NewCond(&k.mu)
	b.walk = k
	for range min(max(2*runtime.GOMAXPROCS(0), 2), 8) {
		k.walkers.Go(k.run)
	}
}

// run is one walker. It ends when all is walked, or ended is set.
func (k *walk) run() {
	buf := make([]byte, direntBuffer)
	var kids []dirent
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		for len(k.jobs) == 0 && k.active > 0 && !k.ended {
			k.more.Wait()
		}
		if len(k.jobs) == 0 || k.ended {
			return
		}
		j := k.jobs[len(k.jobs)-1]
		k.jobs = k.jobs[:len(k.jobs)-1]
		k.active++
		k.mu.Unlock()
		var n *inoNode
		n, kids = k.visit(j, buf, kids[:0])
		k.mu.Lock()
		for _, e := range kids {
			k.jobs = append(k.jobs, armJob{parent: n, name: e.name})
		}
		clear(kids)
		k.active--
		if k.active == 0 && len(k.jobs) == 0 {
			// Only one walker comes here, once. Ready does not wait for the
			// resolver, which may be waiting for a receiver that waits for it.
			k.b.ready.Do(func() { close(k.b.r.w.ready) })
			k.b.done <- struct{}{}
		}
		k.more.Broadcast()
	}
}

// visit watches and lists one directory.
func (k *walk) visit(j armJob, buf []byte, kids []dirent) (*inoNode, []dirent) {
	b := k.b
	n, fd := k.open(j)
	if n == nil {
		return nil, kids
	}
	kids, err := list(fd, buf, true, kids)
	unix.Close(fd)
	b.mu.Lock()
	defer b.mu.Unlock()
	n.listed = err == nil
	if err != nil {
		if path, ok := b.tree.path(n); ok {
			b.unlisted(path, err)
		}
	}
	return n, kids
}

// open opens and watches the directory of a job; n is nil if there is none, or
// it is not to be watched.
func (k *walk) open(j armJob) (n *inoNode, fd int) {
	b := k.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		path, ok := b.jobPath(j)
		if !ok || b.r.ignored(path, true) {
			return nil, -1
		}
		b.mu.Unlock()
		fd, err := openDir(b.abs(path))
		b.mu.Lock()
		if now, ok := b.jobPath(j); !ok || now != path {
			// A directory above was moved meanwhile: what was opened may be
			// another one.
			if err == nil {
				unix.Close(fd)
			}
			continue
		}
		if err != nil {
			b.refused(j.parent, j.name, path, err)
			return nil, -1
		}
		if n, _ = b.adopt(j.parent, j.name, path, fd); n == nil {
			unix.Close(fd)
		}
		return n, fd
	}
}

// jobPath is where a job's directory is now; ok is false if nowhere. The
// caller holds mu.
func (b *ino) jobPath(j armJob) (path string, ok bool) {
	if j.parent == nil {
		return "", true
	}
	dir, ok := b.tree.path(j.parent)
	return join(dir, j.name), ok
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
	for _, n := range b.tree.wds {
		if n.seen != b.walkNo && n != b.tree.root {
			b.tree.drop(n)
		}
	}
	for n := range b.tree.blind {
		if n.seen != b.walkNo && n != b.tree.root {
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
	b.counts()
}

// stop ends the walkers.
func (b *ino) stop() {
	b.timer.Stop()
	k := b.walk
	if k == nil {
		return
	}
	k.mu.Lock()
	k.ended = true
	k.more.Broadcast()
	k.mu.Unlock()
	k.walkers.Wait()
}
