package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Backend names a way to learn of changes.
type Backend string

const (
	// BackendAuto takes fanotify if it works for the root, else inotify.
	BackendAuto Backend = "auto"
	// BackendFanotify watches the whole filesystem with one mark, and each one
	// mounted below the root as BackendAuto would. It needs CAP_SYS_ADMIN,
	// CAP_DAC_READ_SEARCH and a filesystem with file handles.
	BackendFanotify Backend = "fanotify"
	// BackendInotify watches every directory by itself. It needs no
	// privileges, but one watch (about 1.3 KB of kernel memory) per directory.
	BackendInotify Backend = "inotify"
)

// Config tells what to watch and how.
type Config struct {
	// Root is the directory to watch: absolute, clean, without symbolic links
	// in it. Required.
	Root string
	// Backend to use; "" means auto.
	Backend Backend
	// NoModify leaves out the kernel's records of writes to open files, which
	// cost whoever writes: a file is told once its writer closes it, truncate(2)
	// by path and a change of the modification time alone are not told at all.
	NoModify bool
	// Ignore reports whether a path, relative to the root, is excluded: it is
	// not reported, and if it is a directory neither is anything below it.
	// Calls never overlap. nil excludes nothing.
	Ignore func(path string, isDir bool) bool
	// RingSlots is how many records the ring between reader and resolver
	// holds, a power of two, at least 16. A slot takes about 120 bytes. 0
	// means 65536.
	RingSlots int
	// MaxBacklog is how many Events wait at most for the receiver, about 200
	// bytes each; above it records wait in the ring. 0 means 1<<19.
	MaxBacklog int
	// MaxNodes bounds the directories (inside the root or not) that fanotify
	// remembers, about 250 bytes each; when there are more, all are forgotten
	// and looked up again as needed. 0 means 1<<20.
	MaxNodes int
	// Repoll is how often a Rescan is sent for the parts that cannot be
	// watched live (watch limit reached, a filesystem such as proc mounted
	// below the root), to the next full second.
	// 0 means 10s.
	Repoll time.Duration
	// Weigh lets Run end with an OutsideError when BackendAuto has taken
	// fanotify and inotify turns out to be the better neighbour. nil never does.
	Weigh *Weights
	// Because is the reason told for the backend when it is not auto; "" says
	// that it was asked for.
	Because string
	// Groups, if it is given to several Watchers, lets those of one filesystem
	// share one fanotify mark and reader. nil shares with nobody.
	Groups *Groups
	// Log takes notes; nil discards them.
	Log *slog.Logger

	// For tests. boundedQueue makes fanotify keep the system's queue limit;
	// maxWatches, if not nil, makes inotify refuse more watches than that;
	// hold is called by the reader before each drain and may block.
	boundedQueue bool
	maxWatches   *atomic.Int64
	hold         func()
}

func (c Config) withDefaults() Config {
	if c.Backend == "" {
		c.Backend = BackendAuto
	}
	if c.RingSlots == 0 {
		c.RingSlots = 1 << 16
	}
	if c.MaxBacklog == 0 {
		c.MaxBacklog = 1 << 19
	}
	if c.MaxNodes == 0 {
		c.MaxNodes = 1 << 20
	}
	if c.Repoll == 0 {
		c.Repoll = 10 * time.Second
	}
	if c.Groups == nil {
		c.Groups = new(Groups)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate names the field that is wrong. It does not look at the filesystem.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case !filepath.IsAbs(c.Root) || filepath.Clean(c.Root) != c.Root:
		return fmt.Errorf("watch root %q: must be an absolute, clean path", c.Root)
	case c.Backend != BackendAuto && c.Backend != BackendFanotify && c.Backend != BackendInotify:
		return fmt.Errorf("watch backend %q: must be auto, fanotify or inotify", c.Backend)
	case c.RingSlots < minSlots || c.RingSlots&(c.RingSlots-1) != 0:
		return fmt.Errorf("watch ring of %d slots: must be a power of two, at least %d", c.RingSlots, minSlots)
	case c.MaxBacklog < 0 || c.MaxNodes < 0 || c.Repoll < 0:
		return fmt.Errorf("watch of %q: MaxBacklog, MaxNodes and Repoll must not be negative", c.Root)
	}
	return nil
}

const (
	// maxBatch is the most Events sent at once.
	maxBatch = 512
	// batches is how many batches wait for a receiver before the resolver does.
	batches = 16
	// pollRoot is how often the root is looked at: its unmounting, or the
	// moving of a directory above it, makes no record.
	pollRoot = time.Second
)

// Watcher watches one root. Make it with New, then call Run once.
type Watcher struct {
	cfg    Config
	why    string
	kind   Backend
	id     identity
	mounts map[string]int
	ring   *ring
	sink   *sink
	group  *group
	reader *reader // the group's
	events chan []Event
	ready  chan struct{}
	count  counters
	asked  atomic.Uint64
	kids   kids

	// mu guards the reader's descriptors against use after close.
	mu     sync.Mutex
	closed bool
}

// New chooses a backend and opens its descriptors. With fanotify everything
// changed from then on in the root's filesystem is reported; with inotify, and
// in what is mounted below the root, everything changed after Ready. The
// Watcher must be Run, or closed.
func New(cfg Config) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	real, err := filepath.EvalSymlinks(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("watch root %q: %w", cfg.Root, err)
	}
	if real != cfg.Root {
		return nil, fmt.Errorf("watch root %q: is reached through a symbolic link; use %q", cfg.Root, real)
	}
	w := &Watcher{cfg: cfg, events: make(chan []Event, batches), ready: make(chan struct{})}
	if w.id, err = identify(cfg.Root); err != nil {
		return nil, fmt.Errorf("watch root: %w", err)
	}
	if fd, err := openDir(cfg.Root); err != nil {
		return nil, fmt.Errorf("watch root: %w", &os.PathError{Op: "open", Path: cfg.Root, Err: err})
	} else {
		unix.Close(fd)
	}
	w.ring = newRing(cfg.RingSlots)
	w.sink = &sink{ring: w.ring, count: &w.count, asked: &w.asked, hold: cfg.hold, broken: make(chan error, 1)}
	if err := w.choose(); err != nil {
		return nil, err
	}
	// The reader is told of what is mounted later.
	if w.mounts, err = mountsBelow(cfg.Root); err != nil {
		w.Close()
		return nil, err
	}
	if id, err := identify(cfg.Root); err != nil || id != w.id {
		w.Close()
		return nil, fmt.Errorf("watch root %q: was replaced while it was being opened; try again", cfg.Root)
	}
	if fs, remote := fsName(cfg.Root); remote {
		cfg.Log.Warn("changes made by other hosts or behind the filesystem are not seen", "root", cfg.Root, "filesystem", fs)
	}
	cfg.Log.Info("watch backend chosen", "root", cfg.Root, "backend", string(w.kind), "reason", w.why)
	return w, nil
}

// choose opens or joins the group of the wanted or the best backend.
func (w *Watcher) choose() error {
	w.why = "inotify: " + cmp.Or(w.cfg.Because, "asked for")
	if w.cfg.Backend != BackendInotify {
		w.sink.decode = (&fanDecoder{ring: w.ring, count: &w.count}).decode
		g, why := w.cfg.Groups.joinFanotify(w.cfg, w.sink)
		switch {
		case g != nil:
			w.kind, w.why, w.group, w.reader = BackendFanotify, "fanotify: works here", g, g.reader
			if w.cfg.Backend == BackendFanotify {
				w.why = "fanotify: " + cmp.Or(w.cfg.Because, "asked for")
			}
			return nil
		case w.cfg.Backend == BackendFanotify:
			return fmt.Errorf("watch %q with fanotify: %s; use backend auto or inotify", w.cfg.Root, why)
		}
		w.why = "inotify: " + why
	}
	w.kind = BackendInotify
	w.sink.decode = (&inoDecoder{ring: w.ring, count: &w.count}).decode
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("watch %q with inotify: %w: raise the limit of instances: sysctl -w fs.inotify.max_user_instances=1024", w.cfg.Root, err)
	}
	if err == nil {
		w.group, err = w.cfg.Groups.found(fd, w.sink)
	}
	if err != nil {
		return fmt.Errorf("watch %q with inotify: %w", w.cfg.Root, err)
	}
	w.reader = w.group.reader
	return nil
}

// Backend returns the backend in use and why it was chosen.
func (w *Watcher) Backend() (Backend, string) { return w.kind, w.why }

// Blind reports whether a path, relative to the root, is watched with inotify:
// with the root, or because the filesystem mounted there cannot do better. Then
// no Event is Hidden. Any goroutine may call it.
func (w *Watcher) Blind(path string) bool { return w.kind == BackendInotify || w.kids.blind(path) }

// Events is where batches of at most 512 Events come from. The receiver owns
// each batch. It is closed when Run ends.
func (w *Watcher) Events() <-chan []Event { return w.events }

// Ready is closed once every directory that existed is watched. What changed
// before that may be unreported, so a first scan starts after it.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Stats returns the totals up to now. Any goroutine may call it.
func (w *Watcher) Stats() Stats {
	s := w.count.snapshot()
	w.kids.into(&s)
	return s
}

// Barrier asks for an Event with Kind Barrier and the number returned, which
// will follow all Events of changes made before the call, but not before Ready.
// Any goroutine may call it. If Run has ended, nothing comes.
func (w *Watcher) Barrier() uint64 {
	id := w.asked.Add(1)
	w.wake()
	return id
}

// wake makes the reader look at asked.
func (w *Watcher) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.reader.kick()
	}
}

// Close gives up a Watcher that will not be Run. After Run it does nothing.
func (w *Watcher) Close() {
	w.mu.Lock()
	closed := w.closed
	w.closed = true
	w.mu.Unlock()
	if !closed {
		w.cfg.Groups.leave(w.group, w.sink)
	}
}

// Run watches until ctx ends or the root is gone, and returns nil then. It
// returns an error if the kernel refuses to go on, and an OutsideError as
// Config.Weigh says. When it returns, Events is closed and all goroutines and
// descriptors are gone, but a reader shared with other Watchers
// (Config.Groups): that goes with the last of them. Call it once.
func (w *Watcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res := newResolver(w)
	w.cfg.Groups.start(w.group)
	err := res.run(ctx, w.sink.broken)
	cancel()
	res.back.stop()
	w.Close()
	close(w.events)
	if err != nil {
		return fmt.Errorf("watch %q: %w", w.cfg.Root, err)
	}
	return nil
}
