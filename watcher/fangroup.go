package watcher

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Groups lets Watchers share what fanotify needs: those of one filesystem have
// one kernel queue, one mark and one reader between them, however many roots
// they watch, so the kernel queues each change once. Each Watcher still has a
// ring of its own: one that stalls loses its own records only. The zero value
// is ready. Any goroutine may use it, and it must not be copied.
type Groups struct {
	mu sync.Mutex
	by map[groupKey]*group
}

// groupKey tells one mounted filesystem from every other that is mounted now.
// The filesystem id alone does not: copies of one image share it.
type groupKey struct {
	major, minor uint32
	fsid         unix.Fsid
	// bounded groups have another queue.
	bounded bool
}

// group is a reader with the Watchers that it serves. Its Groups' mutex guards
// it. The first Watcher that runs starts the reader, the last that leaves ends
// it and closes the descriptors.
type group struct {
	*reader
	key     groupKey
	keyed   bool // it stands in Groups.by
	running bool
	done    chan struct{} // closed when the reader has ended
}

// filesystemKey is the key of the filesystem that holds root; ok is false if
// it is in doubt.
func filesystemKey(cfg Config) (key groupKey, ok bool) {
	var st unix.Statx_t
	var fs unix.Statfs_t
	if unix.Statx(unix.AT_FDCWD, cfg.Root, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st) != nil ||
		unix.Statfs(cfg.Root, &fs) != nil {
		return key, false
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return key, false
	}
	// A directory may have a device number that is not its filesystem's.
	dev := fmt.Sprintf("%d:%d", st.Dev_major, st.Dev_minor)
	if parseDevice(table, st.Mnt_id) != dev {
		return key, false
	}
	return groupKey{major: st.Dev_major, minor: st.Dev_minor, fsid: fs.Fsid, bounded: cfg.boundedQueue}, true
}

// joinFanotify attaches a sink to the group of the root's filesystem, a new one
// if there is none. If it is impossible, the group is nil and why says so.
func (gs *Groups) joinFanotify(cfg Config, s *sink) (g *group, why string) {
	key, keyed := filesystemKey(cfg)
	if keyed {
		if g := gs.attach(key, s, nil); g != nil {
			return gs.joined(g, cfg, s)
		}
	}
	fd, why := openFanotify(cfg)
	if fd < 0 {
		return nil, why
	}
	own, err := gs.found(fd, s)
	if err != nil {
		return nil, err.Error()
	}
	if keyed {
		if g := gs.attach(key, s, own); g != own {
			own.close() // another was quicker
			return gs.joined(g, cfg, s)
		}
	}
	return own, ""
}

// joined marks the filesystem of a sink that was attached to a group with
// others: its number may have been another one's before, whose mark is gone.
// To mark once more does no harm.
func (gs *Groups) joined(g *group, cfg Config, s *sink) (*group, string) {
	err := markFilesystem(g.reader.group, cfg)
	if err == nil {
		err = tryHandles(cfg.Root)
	}
	if err != nil {
		gs.leave(g, s)
		return nil, refusal(cfg.Root, err)
	}
	return g, ""
}

// found makes a group of a descriptor, for one sink. It owns the descriptor,
// also if it fails.
func (gs *Groups) found(fd int, s *sink) (*group, error) {
	r, err := newReader(fd)
	if err != nil {
		return nil, err
	}
	r.sinks.Store(&[]*sink{s})
	return &group{reader: r, done: make(chan struct{})}, nil
}

// attach adds a sink to the group of a key: what happens from then on is in its
// ring. If there is none it becomes own, which has the sink already or is nil.
func (gs *Groups) attach(key groupKey, s *sink, own *group) *group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.by[key]; g != nil {
		all := append(slices.Clone(*g.sinks.Load()), s)
		g.sinks.Store(&all)
		return g
	}
	if own != nil {
		if gs.by == nil {
			gs.by = map[groupKey]*group{}
		}
		own.key, own.keyed = key, true
		gs.by[key] = own
	}
	return own
}

// start makes the group's reader run if it does not yet.
func (gs *Groups) start(g *group) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g.running {
		return
	}
	g.running = true
	go func() {
		defer close(g.done)
		if err := g.reader.run(); err != nil {
			gs.broke(g, err)
		}
	}()
}

// broke tells all Watchers of a group that its reader has given up.
func (gs *Groups) broke(g *group, err error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.forget(g)
	for _, s := range *g.sinks.Load() {
		s.broken <- err
	}
}

// forget lets nobody join a group any more. The caller holds mu.
func (gs *Groups) forget(g *group) {
	if g.keyed {
		delete(gs.by, g.key)
		g.keyed = false
	}
}

// leave takes a sink away. With the last one the reader has ended and all
// descriptors are closed when it returns.
func (gs *Groups) leave(g *group, s *sink) {
	gs.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(*g.sinks.Load()), func(o *sink) bool { return o == s })
	g.sinks.Store(&all)
	running := g.running
	if len(all) == 0 {
		gs.forget(g)
	}
	gs.mu.Unlock()
	if len(all) > 0 {
		return
	}
	if running {
		g.stop.Store(true)
		g.kick()
		<-g.done
	}
	g.close()
}
