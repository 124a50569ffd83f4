package watcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// backend is what the resolver needs of fanotify or inotify. All methods are
// called by the resolver's goroutine.
type backend interface {
	// start begins to watch what exists.
	start(ctx context.Context)
	// handle turns a record into Events. p is valid during the call only.
	handle(s *slot, p payload)
	// lost is told that records are missing for a reason, and sees to the
	// Rescan of the root.
	lost(why Reason, now int64)
	// mounted is told at which paths below the root the mounts changed, as far
	// as the mount table shows it, and what mount points there are now.
	mounted(changed, all []string, now int64)
	// remounted is told that the root's filesystem was mounted anew.
	remounted(now int64)
	// settle is called whenever all records at hand were handled or a batch is
	// full, before the resolver waits for anything.
	settle(now int64)
	// settled reports whether barriers may be answered.
	settled() bool
	// due is ready when expire wants to be called.
	due() <-chan time.Time
	expire(now int64)
	// walked is ready when finish wants to be called.
	walked() <-chan struct{}
	finish(now int64)
	// repoll is called every Config.Repoll.
	repoll(now int64)
	// stop ends what start began. Called once, after ctx has ended.
	stop()
}

// resolver turns records into Events.
type resolver struct {
	w    *Watcher
	back backend
	// out are the Events not yet sent, next those about to be.
	out  backlog
	next []Event
	// upTo is the newest barrier met, answered the newest one sent.
	upTo, answered uint64
	barrierTime    int64
	repolled       int64
	rootTrouble    bool // already logged
	// weigh is nil unless the backend may turn out to be the wrong one; few
	// takes the answer to whether the root has few directories.
	weigh *weigher
	few   chan bool
	// remounted and recheck are for tell.
	remounted, recheck bool
	gone               bool
}

func newResolver(w *Watcher) *resolver {
	r := &resolver{w: w, repolled: Now(), few: make(chan bool, 1)}
	if cfg := w.cfg; cfg.Weigh != nil && cfg.Backend == BackendAuto && w.kind == BackendFanotify {
		r.weigh = &weigher{Weights: *cfg.Weigh, at: Now()}
	}
	if w.kind == BackendFanotify {
		r.back = newFan(r)
	} else {
		r.back = newIno(r)
	}
	return r
}

// run is the resolver's loop. It returns nil when ctx ends or the root is gone.
func (r *resolver) run(ctx context.Context, broken <-chan error) error {
	ctx, cancel := context.WithCancel(ctx)
	var counting sync.WaitGroup
	defer counting.Wait()
	defer cancel()
	poll := time.NewTicker(pollRoot)
	defer poll.Stop()
	r.back.start(ctx)
	for {
		r.empty(ctx)
		r.answer()
		r.back.settle(Now())
		events := r.offer()
		r.w.count.backlog.Store(uint64(r.out.len()))
		r.w.count.merged.Store(r.out.merged)
		if events == nil && r.gone {
			return nil
		}
		wake, walked := r.w.ring.wake, r.back.walked()
		if r.full() {
			wake, walked = nil, nil
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return err
		case events <- r.next:
			r.sent()
		case <-wake:
		case <-r.back.due():
			r.back.expire(Now())
		case <-walked:
			r.back.finish(Now())
			r.tell()
		case <-poll.C:
			r.checkRoot()
			r.tell()
			now := Now()
			if now-r.repolled >= int64(r.w.cfg.Repoll) {
				r.repolled = now
				r.back.repoll(now)
			}
			c := &r.w.count
			if r.weigh != nil && r.weigh.busy(now, c.read.Load(), c.outside.Load()) {
				most := r.weigh.Dirs
				counting.Go(func() { r.few <- hasFewDirs(ctx, r.w.cfg.Root, most) })
			}
		case few := <-r.few:
			if few {
				return &OutsideError{Rate: r.weigh.foundRate, Share: r.weigh.foundShare}
			}
			// Whoever has many directories once has them for long.
			r.weigh = nil
		}
	}
}

// full reports whether the receiver is so far behind that records must wait in
// the ring.
func (r *resolver) full() bool { return r.out.len() >= r.w.cfg.MaxBacklog }

// empty handles the records at hand, and now and then sends a batch meanwhile
// if the receiver takes it at once.
func (r *resolver) empty(ctx context.Context) {
	for handled := 1; !r.gone && !r.full(); handled++ {
		s := r.w.ring.peek()
		if s == nil {
			break
		}
		r.one(s)
		r.w.ring.pop()
		r.tell()
		if handled%maxBatch != 0 {
			continue
		}
		r.back.settle(Now())
		select {
		case r.offer() <- r.next:
			r.sent()
		case <-ctx.Done():
			return
		default:
		}
	}
}

// offer makes the next batch ready and returns where to send it: nil if there
// is nothing to send.
func (r *resolver) offer() chan<- []Event {
	if len(r.next) == 0 {
		if r.out.len() == 0 {
			return nil
		}
		r.next = r.out.take(maxBatch)
	}
	return r.w.events
}

// sent notes that the receiver has the next batch.
func (r *resolver) sent() {
	c := &r.w.count
	c.sent.Add(uint64(len(r.next)))
	c.lag.Store(Now() - r.next[0].Time)
	r.next = nil
}

// one handles the slot s.
func (r *resolver) one(s *slot) {
	switch s.kind {
	case slotRecord:
		r.back.handle(s, r.w.ring.payload(s))
	case slotLost:
		r.w.cfg.Log.Warn("event ring full: the root will be compared again", "root", r.w.cfg.Root)
		r.back.lost(RingFull, s.time)
	case slotOverflow:
		r.w.cfg.Log.Warn("kernel queue overflow: the root will be compared again", "root", r.w.cfg.Root)
		r.back.lost(QueueOverflow, s.time)
	case slotBad:
		r.w.cfg.Log.Error("event record not understood: the root will be compared again", "root", r.w.cfg.Root)
		r.back.lost(ResolveFailed, s.time)
	case slotMounts:
		r.checkMounts(s.time)
	case slotBarrier:
		r.upTo, r.barrierTime = s.at, s.time
		r.back.settle(s.time)
		r.answer()
	}
}

// answer sends the barriers met, unless a walk must be over first, or branches
// must meet theirs.
func (r *resolver) answer() {
	if r.answered != r.upTo && r.back.settled() {
		r.answerTo(r.upTo)
	}
}

// answerTo sends the barriers up to id.
func (r *resolver) answerTo(id uint64) {
	for r.answered < id {
		r.answered++
		r.emit(Event{Kind: Barrier, Barrier: r.answered, Time: r.barrierTime})
	}
}

// emit queues an Event.
func (r *resolver) emit(ev Event) {
	if !r.gone {
		r.out.add(ev)
	}
}

// rescan queues a Rescan.
func (r *resolver) rescan(path string, why Reason, now int64) {
	r.w.count.rescan(why)
	r.emit(Event{Path: path, Kind: Rescan | Dir, Reason: why, Time: now})
}

// ignored asks the configuration about a path.
func (r *resolver) ignored(path string, isDir bool) bool {
	return r.w.cfg.Ignore != nil && path != "" && r.w.cfg.Ignore(path, isDir)
}

// checkRoot sees whether the root's path still leads to the root. If not, Gone
// is the last Event.
func (r *resolver) checkRoot() {
	if r.gone {
		return
	}
	now := Now()
	id, err := identify(r.w.cfg.Root)
	switch {
	case err != nil && !vanished(err):
		if !r.rootTrouble {
			r.w.cfg.Log.Warn("look at the watch root", "err", err)
		}
		r.rootTrouble = true
	case err != nil || !id.same(r.w.id):
		r.w.cfg.Log.Warn("watch root is gone", "root", r.w.cfg.Root)
		r.emit(Event{Kind: Gone, Time: now})
		r.gone = true
	case id.mount != r.w.id.mount:
		r.w.id.mount = id.mount
		r.remounted = true
	default:
		r.rootTrouble = false
	}
}

// tell passes on to the backend what was found while it was handling a record.
func (r *resolver) tell() {
	if r.remounted && !r.gone {
		r.remounted = false
		r.back.remounted(Now())
	}
	if r.recheck && !r.gone {
		r.recheck = false
		r.checkMounts(Now())
	}
}

// unmounted notes that the filesystem of a directory below the root was
// unmounted, even if it was mounted again at the same place.
func (r *resolver) unmounted(path string) {
	for dir := path; dir != ""; dir, _ = splitLast(dir) {
		if _, is := r.w.mounts[dir]; is {
			r.w.mounts[dir] = -1
			r.recheck = true
			return
		}
	}
	// It was the root's.
	r.checkRoot()
}

// checkMounts finds out what changed in the mount table.
func (r *resolver) checkMounts(now int64) {
	r.checkRoot()
	if r.gone {
		return
	}
	mounts, err := mountsBelow(r.w.cfg.Root)
	if err != nil {
		r.w.cfg.Log.Warn("look at mounts below the watch root", "err", err)
		return
	}
	changed := changedMounts(r.w.mounts, mounts)
	r.w.mounts = mounts
	if len(changed) > 0 {
		r.w.cfg.Log.Info("mounts below the watch root changed", "root", r.w.cfg.Root, "paths", changed)
	}
	r.back.mounted(changed, sortedKeys(mounts), now)
}

// vanished reports whether err says that nothing, or something other than a
// directory, is at a path.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
