package transport

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fansync/fansync/scheduler"
)

const (
	// standbyDeletes is the most deletions a standby lets pass; the guard's
	// limit is known only when the batch is. A batch with more runs again.
	standbyDeletes = 512
	// standbyLife is how old one grows that is not used, unless rsync's own
	// time-out is less than a third longer.
	standbyLife = 45 * time.Second
	// minLife bounds what is learned of far sides that close them sooner. One
	// that ends younger has not come so far as to wait.
	minLife = time.Second
	// survivals is how many must grow old until a longer life is tried again.
	survivals = 16
	// pauseMin and pauseMax bound the time between tries while they do not come
	// so far as to wait.
	pauseMin, pauseMax = time.Second, time.Minute
	// roomFor is how long a daemon without a free connection is spared.
	roomFor = 10 * time.Minute
	// lookEvery is how often waiting ones are looked at.
	lookEvery = time.Second
	// closeGrace is how long one may take to end after its list was closed.
	closeGrace = time.Second
	// slotGrace is how long a daemon takes to see that a connection is free.
	slotGrace = 50 * time.Millisecond
	// startDelay is how long a new one leaves the processors to the batch that
	// took the last.
	startDelay = 20 * time.Millisecond
	// soonFor is how old one may be that is not ready and yet waited for.
	soonFor = 250 * time.Millisecond
	// roomTries is how often a run asks for a connection before the remote has
	// failed.
	roomTries = 3
)

// crowded is what a daemon says that has no connection left.
var crowded = regexp.MustCompile(`^@ERROR: max connections `)

// standbys are the rsyncs that wait for a list for one remote. They are started
// and ended by Keep, which owns them; take hands one to a Send.
type standbys struct {
	*Rsync
	wake chan struct{} // capacity 1
	all  sync.WaitGroup

	mu      sync.Mutex
	kept    bool // Keep runs
	live    bool
	idle    []*standby // the oldest first
	limit   int        // --max-delete of new ones
	room    int        // how many the daemon has room for
	roomAt  time.Time  // when that is forgotten
	life    time.Duration
	aged    int // how many have grown old since life was learned
	pause   time.Duration
	nextTry time.Time // none is started before
	started time.Time // when a batch took the last one; zero when it has ended
}

func newStandbys(r *Rsync) *standbys {
	s := &standbys{Rsync: r, wake: make(chan struct{}, 1), limit: standbyDeletes, room: r.cfg.Standbys}
	s.life = s.maxLife()
	return s
}

func (s *standbys) maxLife() time.Duration {
	if t := s.cfg.Timeout; t > 0 {
		return min(standbyLife, t*3/4)
	}
	return standbyLife
}

// Keep keeps standbys while the remote is live, until ctx ends. When it has
// returned none is left; no Send may run any more when ctx ends.
func (r *Rsync) Keep(ctx context.Context) {
	s := r.standbys
	// The rate of an rsync is set when it starts.
	if r.cfg.Standbys <= 0 || r.band.total > 0 || !canWait() {
		return
	}
	s.mu.Lock()
	s.kept = true
	s.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.tend())
	}
	s.mu.Lock()
	s.kept = false
	s.retireLocked(func(*standby) bool { return true })
	s.mu.Unlock()
	s.all.Wait()
}

// Live says whether the remote takes batches now: standbys are kept only then.
// Those there are end when it does not.
func (r *Rsync) Live(on bool) {
	s := r.standbys
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == on {
		return
	}
	s.live = on
	if !on {
		s.retireLocked(func(*standby) bool { return true })
	}
	s.signal()
}

// Ready is how many standbys wait for a list now, and whether another is on its
// way that is still ahead of a run that starts now.
func (r *Rsync) Ready() (n int, soon bool) {
	s := r.standbys
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.idle {
		if one.ready() {
			n++
		} else {
			soon = soon || time.Since(one.born) < soonFor
		}
	}
	return n, soon
}

func (s *standbys) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// tend replaces what is dead, old or no longer fits, and returns when to look
// again.
func (s *standbys) tend() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return time.Hour
	}
	now := time.Now()
	if !s.roomAt.IsZero() && now.After(s.roomAt) {
		s.room, s.roomAt = s.cfg.Standbys, time.Time{}
	}
	args := s.args(plainBatch(-1), false)
	s.retireLocked(func(one *standby) bool {
		switch {
		case one.hungUp():
			s.diedLocked(one)
			return true
		case now.Sub(one.born) >= s.life:
			if s.aged++; s.aged%survivals == 0 {
				s.life = min(s.maxLife(), s.life*2)
			}
			return true
		}
		return one.limit > s.limit || !slices.Equal(one.args, args)
	})
	if wait := max(s.nextTry.Sub(now), s.started.Add(startDelay).Sub(now)); wait > 0 {
		return min(wait, lookEvery)
	}
	for len(s.idle) < min(s.room, s.cfg.Standbys) {
		s.addLocked()
	}
	return min(lookEvery, s.life)
}

// addLocked starts one more.
func (s *standbys) addLocked() {
	s.all.Add(1)
	s.idle = append(s.idle, s.start(s.limit, func(one *standby) {
		defer s.all.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.idle, one); i >= 0 {
			s.idle = slices.Delete(s.idle, i, i+1)
			s.diedLocked(one)
			s.signal()
		}
	}))
}

// diedLocked learns from one that ended before it was given a list.
func (s *standbys) diedLocked(one *standby) {
	age := time.Since(one.born)
	switch {
	case !one.alive() && one.says(crowded):
		s.sparedLocked(len(s.idle))
	case age < minLife:
		s.holdLocked(time.Now())
	default:
		s.life, s.aged = max(minLife, min(s.life, age)*3/4), 0
	}
}

// says reports whether a line of a standby that has ended matches.
func (s *standby) says(line *regexp.Regexp) bool {
	select {
	case <-s.ended:
		return s.errs.says(line) || s.out.says(line)
	default:
		return false
	}
}

// says reports whether a line that is kept matches.
func (t *transcript) says(line *regexp.Regexp) bool {
	return slices.ContainsFunc(t.lines(), line.MatchString)
}

// holdLocked starts none for a while.
func (s *standbys) holdLocked(now time.Time) {
	s.pause = min(max(2*s.pause, pauseMin), pauseMax)
	s.nextTry = now.Add(s.pause)
}

// sparedLocked keeps no more than n of them for a while.
func (s *standbys) sparedLocked(n int) {
	s.room, s.roomAt = max(0, n), time.Now().Add(roomFor)
}

// retireLocked ends the ones that are to go. A daemon's are closed, not killed,
// or its log would be full of lost connections. A local one is killed: at the
// end of its list rsync would make the destination if it is missing.
func (s *standbys) retireLocked(goes func(*standby) bool) {
	s.idle = slices.DeleteFunc(s.idle, func(one *standby) bool {
		if !goes(one) {
			return false
		}
		close(one.lists)
		if s.local != nil {
			one.kill(errUnused)
			return true
		}
		timer := time.AfterFunc(closeGrace, func() { one.kill(errUnused) })
		s.all.Go(func() {
			<-one.ended
			timer.Stop()
		})
		return true
	})
}

// take gives the standby that can carry b, or nil.
func (s *standbys) take(b scheduler.Batch) *standby {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.MaxDelete > 0 {
		s.limit = min(standbyDeletes, b.MaxDelete)
	}
	if len(s.idle) == 0 {
		return nil
	}
	args := s.args(plainBatch(-1), false)
	s.retireLocked(func(one *standby) bool {
		return one.limit > s.limit || !slices.Equal(one.args, args) || one.hungUp()
	})
	defer s.signal()
	i := slices.IndexFunc(s.idle, (*standby).ready)
	if i < 0 {
		// One that is on its way is still ahead of one that has yet to start.
		i = slices.IndexFunc(s.idle, (*standby).alive)
	}
	if i < 0 {
		return nil
	}
	one := s.idle[i]
	s.idle = slices.Delete(s.idle, i, i+1)
	s.started = time.Now()
	if s.cfg.Dest.Kind == Daemon {
		_ = acknowledge(int(one.pid.Load())) // if we may not, it is only slower
	}
	return one
}

// used learns from one that was given a list. If it did not carry it, the
// others are as old and stand no better.
func (s *standbys) used(one *standby, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	s.started = time.Time{}
	if ok {
		s.pause = 0
		return
	}
	s.retireLocked(func(*standby) bool { return true })
	s.diedLocked(one)
}

// makeRoom ends all standbys for the sake of a run that got no connection, and
// keeps one less for a while; or, if there are none, waits for a run that has
// just ended to leave its own. It reports false if ctx has ended.
func (s *standbys) makeRoom(ctx context.Context) bool {
	s.mu.Lock()
	ending := slices.Clone(s.idle)
	if len(ending) > 0 {
		s.sparedLocked(len(ending) - 1)
	}
	s.retireLocked(func(*standby) bool { return true })
	s.mu.Unlock()
	for _, one := range ending {
		<-one.ended
	}
	timer := time.NewTimer(slotGrace)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// warm sends the batch by a standby, if there is one and it can. Not ok means
// that a run of its own is to be started, at once: whatever a standby fails of,
// it may have been its age.
func (v *voyage) warm(ctx context.Context) (res scheduler.Result, refused, ok bool) {
	b := v.batch
	unlimited := b
	unlimited.MaxDelete = -1
	if v.errand != sending || b.Form != scheduler.Flat || b.MaxDelete == 0 ||
		!slices.Equal(v.args(unlimited, false), v.args(plainBatch(-1), false)) {
		return res, false, false // it needs other options
	}
	one := v.standbys.take(b)
	if one == nil {
		return res, false, false
	}
	v.cfg.Log.DebugContext(ctx, "standby sends", "batch", b.ID, "items", len(b.Items), "age", time.Since(one.born))
	lines := &list{root: v.root, batch: b, before: strconv.Itoa(int(v.root.Fd())) + "/./"}
	one.send(ctx, lines)
	if one.state == nil || !one.fed {
		v.standbys.used(one, false)
		return res, false, false
	}
	res, refused = v.judge(ctx, lines, one.ran, v.pinned())
	switch {
	case refused, res.Class == scheduler.Canceled, isStuck(one.err):
		return res, refused, true
	case res.Class == transient, res.Class == permanent:
		v.standbys.used(one, false)
		return res, false, false
	}
	v.standbys.used(one, true)
	atLimit := res.Class == scheduler.DeleteLimit && b.MaxDelete > 0 && res.Stats.Deleted >= int64(b.MaxDelete)
	if res.Class == scheduler.OK || onlyVanished(res) || atLimit {
		return res, false, true
	}
	// More deletions than it lets pass, or paths that failed, which a run of
	// the usual kind names better.
	v.before = res.Stats
	return res, false, false
}

// onlyVanished reports whether nothing failed but what changed meanwhile.
func onlyVanished(res scheduler.Result) bool {
	return res.Class == scheduler.Partial && len(res.Failed) > 0 &&
		!slices.ContainsFunc(res.Failed, func(pe scheduler.PathError) bool { return !pe.Vanished })
}
