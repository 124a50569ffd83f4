package watcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// errNotLive says that a filesystem cannot be watched whatever is tried.
var errNotLive = errors.New("cannot be watched live")

// config is that of a branch's watcher.
func (t *branches) config(path string) Config {
	own := &t.f.r.w.cfg
	if own.Ignore != nil && t.ignoring == nil {
		mu, ignore := new(sync.Mutex), own.Ignore
		own.Ignore = func(path string, isDir bool) bool {
			mu.Lock()
			defer mu.Unlock()
			return ignore(path, isDir)
		}
		t.ignoring = mu
	}
	cfg := *own
	cfg.Root = strings.TrimSuffix(own.Root, "/") + "/" + path
	cfg.Backend = BackendAuto
	cfg.RingSlots = min(cfg.RingSlots, branchSlots)
	cfg.hold, cfg.Weigh = nil, nil
	if ignore := own.Ignore; ignore != nil {
		cfg.Ignore = func(below string, isDir bool) bool { return ignore(path+"/"+below, isDir) }
	}
	return cfg
}

// run is the goroutine of a branch: it watches, and passes on what it is told,
// until ctx ends or what is mounted is gone. It must not use the resolver.
func (t *branches) run(ctx context.Context, b *branch, cfg Config, early bool) {
	ready := sync.OnceFunc(func() {
		if early {
			t.started()
		}
	})
	defer ready()
	w, state, err := openBranch(cfg)
	if w == nil {
		ready()
		t.send(ctx, branchNews{b: b, state: state, err: err})
		return
	}
	remove := t.f.r.w.kids.add(b.path, w)
	defer remove()
	end := make(chan error, 1)
	t.going.Go(func() { end <- w.Run(ctx) })
	select {
	case <-w.Ready():
		ready()
		t.send(ctx, branchNews{b: b, state: standing, w: w})
	case err = <-end:
		end <- err
	}
	for events := range w.Events() {
		t.send(ctx, branchNews{b: b, events: events, state: standing})
	}
	t.send(ctx, branchNews{b: b, state: blind, err: <-end})
}

// openBranch makes the watcher of a mount point, or says how it is without.
func openBranch(cfg Config) (*Watcher, branchState, error) {
	fs, err := filesystemAt(cfg.Root)
	switch {
	case err != nil:
		return nil, blind, err
	case fs == "":
		return nil, covered, nil
	case synthetic(fs):
		return nil, blind, fmt.Errorf("filesystem %s: %w", fs, errNotLive)
	}
	var st unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, cfg.Root, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	switch {
	case vanished(err) || err == nil && st.Attributes_mask&st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0:
		return nil, covered, nil
	case err != nil:
		return nil, blind, fmt.Errorf("look at mount point: %w", err)
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return nil, blind, fmt.Errorf("a file is mounted: %w", errNotLive)
	}
	w, err := New(cfg)
	return w, blind, err
}

// send gives the resolver news, unless the branch is closed.
func (t *branches) send(ctx context.Context, n branchNews) {
	select {
	case t.news <- n:
		t.wake()
	case <-ctx.Done():
	}
}

// wake makes the resolver look for news.
func (t *branches) wake() {
	select {
	case t.woken <- struct{}{}:
	default:
	}
}
