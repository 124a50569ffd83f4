package watcher

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// The mark of a filesystem does not cover those mounted inside it. Each of them
// that is next below the root gets a branch, which is a Watcher of its own,
// with the backend that suits its filesystem and with branches of its own; its
// Events become the root's.

// branchSlots is the most slots the ring of a branch has: there may be many.
const branchSlots = 1 << 13

// branchState is how far a branch is. It only grows, but a blind branch may be
// replaced by another try.
type branchState uint8

const (
	// opening: its watcher is not ready yet.
	opening branchState = iota
	// standing: it is watched live.
	standing
	// blind: it cannot be watched, and is rescanned instead.
	blind
	// covered: nothing is to be seen of it, for another mount lies above it.
	covered
)

// branch is one filesystem mounted below the root. The resolver owns it.
type branch struct {
	path string // of the mount point
	// mount is the number of what is mounted there, as mountsBelow gives it.
	mount  int
	state  branchState
	cancel context.CancelFunc
	w      *Watcher // once it stands
	// owes says that its barrier want, or the request for it, is still due.
	owes bool
	want uint64
	// hopeless: no other try will do better.
	hopeless bool
	// early: it was mounted when the root's watching began, so nothing of it
	// needs a Rescan. again: it was blind, and this is another try.
	early, again bool
	// stale: mounts have changed since it was opened, maybe before a look at
	// it. The table may not show it, for it uses its numbers again.
	stale bool
	// uncovered: it is looked at again, having been covered.
	uncovered bool
}

// branchNews is what the goroutine of a branch tells the resolver: events, or
// else that the branch has another state.
type branchNews struct {
	b      *branch
	events []Event
	state  branchState
	w      *Watcher // with standing
	// err says why it is blind; nil, that what was mounted there is gone.
	err error
}

// branches are those of one root.
type branches struct {
	f   *fan
	ctx context.Context
	by  map[string]*branch // by mount point
	// news is filled by the branches' goroutines, woken is ready when there is
	// some. A full one holds the branches up, never their readers.
	news  chan branchNews
	woken chan struct{}
	going sync.WaitGroup
	// starting counts the early branches that are not ready, and start itself.
	starting atomic.Int64
	// round is the barrier that the branches were asked to meet, or 0.
	round uint64
	// ignoring serialises Config.Ignore once several resolvers call it.
	ignoring *sync.Mutex
	// said are the mount points known to be blind, already logged.
	said map[string]struct{}
}

func newBranches(f *fan) *branches {
	return &branches{
		f: f, by: map[string]*branch{}, said: map[string]struct{}{},
		news: make(chan branchNews, batches), woken: make(chan struct{}, 1),
	}
}

// start opens the branches of what is mounted, and makes the root ready as
// soon as they are: that does not wait for the resolver, which may be waiting
// for a receiver that waits for it.
func (t *branches) start(ctx context.Context) {
	t.ctx = ctx
	t.starting.Store(1)
	t.match(true)
	t.started()
}

func (t *branches) started() {
	if t.starting.Add(-1) == 0 && t.ctx.Err() == nil {
		close(t.f.r.w.ready)
	}
}

// match opens and closes branches until they are what is mounted. It returns
// the mount points that were opened or closed.
func (t *branches) match(early bool) (opened, closed []string) {
	want := map[string]int{}
	mounts := t.f.r.w.mounts
	for _, path := range nextBelow(sortedKeys(mounts)) {
		if !t.f.excludedDir(path) {
			want[path] = mounts[path]
		}
	}
	for path, b := range t.by {
		if mount, is := want[path]; !is || mount != b.mount {
			t.close(b)
			delete(t.said, path)
			closed = append(closed, path)
		}
	}
	for path, mount := range want {
		if t.by[path] == nil {
			t.open(path, mount, early)
			opened = append(opened, path)
		}
	}
	t.tell()
	return opened, closed
}

// nextBelow picks the paths that are not below another. all is sorted; the
// paths below one need not follow it at once ("a", "a-b", "a/c").
func nextBelow(all []string) (next []string) {
	is := map[string]struct{}{}
	for _, path := range all {
		is[path] = struct{}{}
	}
	for _, path := range all {
		if _, below := mountAbove(path, is); !below {
			next = append(next, path)
		}
	}
	return next
}

// mountAbove is the path of a set that is strictly above path.
func mountAbove[T any](path string, set map[string]T) (above string, ok bool) {
	for dir, _ := splitLast(path); dir != ""; dir, _ = splitLast(dir) {
		if _, ok = set[dir]; ok {
			return dir, true
		}
	}
	return "", false
}

// open starts the branch of a mount point.
func (t *branches) open(path string, mount int, early bool) {
	cfg := t.config(path)
	ctx, cancel := context.WithCancel(t.ctx)
	b := &branch{path: path, mount: mount, cancel: cancel, early: early, owes: t.round != 0}
	t.by[path] = b
	if early {
		t.starting.Add(1)
	}
	t.going.Go(func() {
		defer cancel()
		t.run(ctx, b, cfg, early)
	})
}

// receive handles the news at hand. No more than fit the channel: what comes
// meanwhile waits until the Events are sent.
func (t *branches) receive(now int64) {
	for range cap(t.news) {
		select {
		case n := <-t.news:
			if t.by[n.b.path] == n.b {
				t.handle(n, now)
			}
		default:
			return
		}
	}
	t.wake()
}

func (t *branches) handle(n branchNews, now int64) {
	b, r := n.b, t.f.r
	switch {
	case n.events != nil:
		for _, ev := range n.events {
			t.pass(b, ev)
		}
	case n.state == standing:
		b.state, b.w = standing, n.w
		if !b.early {
			r.rescan(b.path, NewMount, now)
		}
		delete(t.said, b.path)
		if b.owes {
			b.want = b.w.Barrier()
		}
		t.tell()
	case n.state == blind && n.err == nil:
		// Its root is gone, so the mounts have changed.
		t.close(b)
		r.rescan(b.path, NewMount, now)
		if _, is := r.w.mounts[b.path]; is {
			r.w.mounts[b.path] = -1
		}
		r.recheck = true
	case b.stale:
		t.reopen(b)
	default:
		if b.state == standing || !b.early && !(b.uncovered && n.state == covered) {
			r.rescan(b.path, NewMount, now)
		}
		b.state, b.w, b.owes = n.state, nil, false
		b.hopeless = errors.Is(n.err, errNotLive)
		t.sayBlind(b, n.err)
		t.tell()
	}
	t.meet()
}

// sayBlind logs once what cannot be watched.
func (t *branches) sayBlind(b *branch, err error) {
	if _, is := t.said[b.path]; is || b.state != blind {
		return
	}
	t.said[b.path] = struct{}{}
	cfg := t.f.r.w.cfg
	cfg.Log.Warn("what is mounted below the root is not watched live, only rescanned; exclude it if it need not be",
		"root", cfg.Root, "mount", b.path, "every", cfg.Repoll, "err", err)
}

// pass makes an Event of a branch one of the root.
func (t *branches) pass(b *branch, ev Event) {
	switch {
	case ev.Kind == Barrier:
		if ev.Barrier == b.want {
			b.owes = false
		}
		return
	case ev.Has(Gone):
		return // its goroutine ends
	case ev.Has(Hidden) && ev.Path == "":
		// Some file of the branch: the search is in all of the root.
	case ev.Path == "":
		ev.Path = b.path
	default:
		ev.Path = join(b.path, ev.Path)
	}
	if ev.From != "" {
		ev.From = join(b.path, ev.From)
	}
	t.f.r.emit(ev)
}

// close ends a branch, without waiting for that. Rescans that are due for it
// come before meet.
func (t *branches) close(b *branch) {
	b.cancel()
	delete(t.by, b.path)
}

// settled reports whether no branch has anything that a barrier must wait for;
// if not it asks them, and answers when all have met theirs.
func (t *branches) settled() bool {
	if t.round != 0 {
		return false
	}
	for _, b := range t.by {
		if b.state > standing {
			continue
		}
		t.round = t.f.r.upTo
		b.owes = true
		if b.w != nil {
			b.want = b.w.Barrier()
		}
	}
	return t.round == 0
}

// meet answers the barriers of the round if no branch owes anything any more.
func (t *branches) meet() {
	if t.round == 0 {
		return
	}
	for _, b := range t.by {
		if b.owes {
			return
		}
	}
	upTo := t.round
	t.round = 0
	t.f.r.answerTo(upTo)
}

// changed follows a change of the mount table.
func (t *branches) changed(paths []string, now int64) {
	for path, b := range t.by {
		switch {
		case b.state == opening:
			b.stale = true
		case b.state == covered || b.state == blind && !b.hopeless:
			if t.f.r.w.mounts[path] == b.mount {
				t.reopen(b)
			}
		}
	}
	opened, closed := t.match(false)
	fresh := map[string]struct{}{}
	for _, path := range opened {
		fresh[path] = struct{}{} // rescanned once it stands
	}
	told := map[string]struct{}{}
	for _, path := range append(closed, paths...) {
		_, isFresh := fresh[path]
		_, isTold := told[path]
		_, isBelow := mountAbove(path, t.by)
		if isFresh || isTold || isBelow || t.f.excludedDir(path) {
			continue
		}
		told[path] = struct{}{}
		t.f.r.rescan(path, NewMount, now)
	}
	t.meet()
}

// repoll asks for what is not watched live, and tries again to watch it.
func (t *branches) repoll(now int64) {
	for path, b := range t.by {
		if b.state != blind {
			continue
		}
		if b.hopeless {
			t.f.r.rescan(path, NewMount, now)
			continue
		}
		t.reopen(b) // its end, either way, is a Rescan
	}
}

// reopen tries a branch again that is not standing.
func (t *branches) reopen(b *branch) {
	t.close(b)
	t.open(b.path, b.mount, false)
	next := t.by[b.path]
	next.again, next.uncovered = b.state == blind, b.state == covered
}

// tell brings the list of what is not watched live up to date.
func (t *branches) tell() {
	all := map[string]int{}
	for path, b := range t.by {
		if b.state == blind || b.again && b.state == opening {
			all[path] = 0
		}
	}
	list := sortedKeys(all)
	t.f.r.w.count.mounts.Store(&list)
}

// excludedDir reports whether a directory, or one above it, is ignored.
func (f *fan) excludedDir(path string) bool {
	for i, c := range []byte(path) {
		if c == '/' && f.r.ignored(path[:i], true) {
			return true
		}
	}
	return f.r.ignored(path, true)
}
