package watcher

import (
	"bytes"
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

	// All below is guarded by b.mu.
	more   *sync.Cond // jobs came, or no more will
	jobs   []walkJob
	active int // walkers that are visiting a directory
	idle   int // and that wait for one
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
	k := &walk{b: b, reasons: reasons, jobs: []walkJob{{names: "\x00"}}}
	k.more = sync.NewCond(&b.mu)
	b.walk = k
	for range min(max(2*runtime.GOMAXPROCS(0), 2), 8) {
		k.walkers.Go(k.run)
	}
}

// run is one walker. It ends when all is walked, or ended is set.
func (k *walk) run() {
	w := walker{walk: k, entries: make([]byte, direntBuffer)}
	w.root = append(w.root, k.b.r.w.cfg.Root...)
	k.b.mu.Lock()
	defer k.b.mu.Unlock()
	for {
		for len(k.jobs) == 0 && k.active > 0 && !k.ended {
			k.idle++
			k.more.Wait()
			k.idle--
		}
		if len(k.jobs) == 0 || k.ended {
			return
		}
		parent, name := k.take()
		k.active++
		w.visit(parent, name)
		k.active--
		if k.active == 0 && len(k.jobs) == 0 {
			// Only one walker comes here, once. Ready does not wait for the
			// resolver, which may be waiting for a receiver that waits for it.
			k.b.ready.Do(func() { close(k.b.r.w.ready) })
			k.b.done <- struct{}{}
			k.more.Broadcast()
		}
	}
}

// take returns the next directory to visit.
func (k *walk) take() (parent inoRef, name string) {
	j := &k.jobs[len(k.jobs)-1]
	end := 1 + int(j.names[0])
	parent, name, j.names = j.parent, j.names[1:end], j.names[end:]
	if j.names == "" {
		k.jobs[len(k.jobs)-1] = walkJob{}
		k.jobs = k.jobs[:len(k.jobs)-1]
	}
	return parent, name
}

// walker is what one walker needs, so that nothing is allocated per directory.
type walker struct {
	*walk
	entries []byte // what the kernel lists
	kids    []byte // as walkJob.names
	// root is the root's path; path and check hold it with a path below it and
	// a NUL at the end.
	root, path, check []byte
}

// visit watches and lists one directory. The caller holds mu, which is given up
// in between.
func (w *walker) visit(parent inoRef, name string) {
	b := w.b
	n, fd := w.open(parent, name)
	if n == 0 {
		return
	}
	ref := b.tree.ref(n)
	b.mu.Unlock()
	var err error
	w.kids, err = listDirs(fd, w.entries, w.kids[:0])
	unix.Close(fd)
	b.mu.Lock()
	if n = b.tree.at(ref); n == 0 {
		return
	}
	b.tree.node(n).listed = err == nil
	if err != nil {
		if path, ok := b.tree.path(n); ok {
			b.unlisted(path, err)
		}
	}
	if len(w.kids) > 0 {
		w.jobs = append(w.jobs, walkJob{parent: ref, names: string(w.kids)})
		if w.idle > 0 {
			w.more.Broadcast()
		}
	}
}

// open opens and watches the directory (parent, name); n is 0 if there is none,
// or it is not to be watched. The caller holds mu, which is given up in between.
func (w *walker) open(parent inoRef, name string) (n inoID, fd int) {
	b := w.b
	for {
		var rel []byte
		var ok bool
		if w.path, rel, ok = w.place(w.path, parent, name); !ok {
			return 0, -1
		}
		if b.r.w.cfg.Ignore != nil && b.r.ignored(string(rel), true) {
			return 0, -1
		}
		moves := b.tree.moves
		b.mu.Unlock()
		fd, err := openDirBytes(w.path)
		b.mu.Lock()
		if b.tree.moves != moves {
			if w.check, _, ok = w.place(w.check, parent, name); !ok || !bytes.Equal(w.check, w.path) {
				// A directory above was moved meanwhile: what was opened may
				// be another one.
				if err == nil {
					unix.Close(fd)
				}
				continue
			}
		}
		if err != nil {
			b.refused(b.tree.at(parent), name, string(rel), err)
			return 0, -1
		}
		var wd int32
		if wd, err = b.watch(fd); err != nil {
			b.refused(b.tree.at(parent), name, string(rel), err)
		} else {
			n, _ = b.adopt(b.tree.at(parent), name, wd)
		}
		if n == 0 {
			unix.Close(fd)
		}
		return n, fd
	}
}

// place puts into buf where the directory (parent, name) is now, with a NUL at
// the end; rel is the part of it that is relative to the root. ok is false if
// it is nowhere. The caller holds mu.
func (w *walker) place(buf []byte, parent inoRef, name string) (path, rel []byte, ok bool) {
	path = append(buf[:0], w.root...)
	below := len(path)
	if parent.id != 0 {
		if path[below-1] != '/' {
			path = append(path, '/')
		}
		below = len(path)
		if path, ok = w.b.tree.appendPath(path, w.b.tree.at(parent)); !ok {
			return path, nil, false
		}
		if len(path) > below {
			path = append(path, '/')
		}
		path = append(path, name...)
	}
	path = append(path, 0)
	return path, path[below : len(path)-1], true
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
