package mirrortest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Pacing says whether a History pauses.
type Pacing uint8

const (
	// SeededPace lets the seed decide: two seeds of three work in a burst.
	SeededPace Pacing = iota
	// Burst never pauses.
	Burst
	// Paced pauses now and then, between operations and in the midst of them,
	// for microseconds to 30 ms.
	Paced
)

const (
	// maxDepth bounds the depth at which a directory is made; a renamed
	// subtree may reach a little deeper.
	maxDepth = 6
	// maxFile bounds the files' sizes, bytes.
	maxFile = 512 << 10
	// maxHeld bounds the files kept open.
	maxHeld = 4
	// maxOutside bounds what waits in the holding area.
	maxOutside = 6
)

// HistoryOptions shape a History. The zero value is usable. Which operations
// a seed gives depends on these options too, except Pace, Between and Outside.
type HistoryOptions struct {
	// MaxOps is the number of operations after which Step returns io.EOF.
	// Zero means no limit.
	MaxOps int
	// MaxPaths is how many paths the tree may hold. Zero means 150.
	MaxPaths int
	// NoFifos leaves named pipes out.
	NoFifos bool
	// InnerLinks makes no symbolic link that is absolute or climbs by "..":
	// such links do not pass unchanged through a daemon without chroot.
	InnerLinks bool
	// Inotify leaves out what inotify says nothing of: writes through a file
	// kept open whose directory was removed, or whose name another file has
	// got, while it has other names in the tree.
	Inotify bool
	// Owners adds chown, for root.
	Owners bool
	// Pace says whether there are pauses.
	Pace Pacing
	// Outside is the holding area that entries are moved to and come back
	// from, on the same filesystem as the tree; it is made if it is missing.
	// "" means the tree's path with ".outside" added.
	Outside string
	// Between is called after operation i, counted from 0. nil means nothing.
	Between func(i int)
}

// History works a random history of operations, drawn from a seed, into a
// real tree. The draws rest on the seed and on the History's own picture of
// the tree, which nobody else may change. It is for one goroutine.
type History struct {
	seed   uint64
	opts   HistoryOptions
	rng    *rand.Rand
	pauses *rand.Rand // its own stream: pauses do not change the operations
	paced  bool

	tree, outside       *entry
	treePath, outerPath string

	held   []heldFile
	serial uint64 // numbers contents and made-up names
	round  int    // counts Runs

	line []string // the parts of the running operation
	log  []string
	err  error // the first failure; the picture is void after it
}

// heldFile is open for appending.
type heldFile struct {
	file *os.File
	// entry is the name it was opened by, was that name's path then.
	entry *entry
	was   string
}

// NewHistory prepares a history in dir, which is made if it is missing and
// must be empty. Nothing happens to it before Step or Run; that it cannot be
// used is their error.
func NewHistory(seed uint64, dir string, opts HistoryOptions) *History {
	if opts.MaxPaths == 0 {
		opts.MaxPaths = 150
	}
	h := &History{
		seed: seed, opts: opts,
		rng:      rand.New(rand.NewPCG(seed, 1)),
		pauses:   rand.New(rand.NewPCG(seed, 2)),
		paced:    opts.Pace == Paced || opts.Pace == SeededPace && seed%3 == 0,
		tree:     &entry{kind: directory},
		outside:  &entry{kind: directory},
		treePath: filepath.Clean(dir), outerPath: opts.Outside,
	}
	if h.outerPath == "" {
		h.outerPath = h.treePath + ".outside"
	}
	for _, d := range []string{h.treePath, h.outerPath} {
		h.err = errors.Join(h.err, emptyDir(d))
	}
	return h
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("prepare history: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("prepare history: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("prepare history: directory %q is not empty", dir)
	}
	return nil
}

// Step performs the next operation. io.EOF says that MaxOps is reached. Any
// other error is lasting.
func (h *History) Step() error {
	if h.err != nil {
		return h.err
	}
	i := len(h.log)
	if h.opts.MaxOps > 0 && i >= h.opts.MaxOps {
		return io.EOF
	}
	h.line = nil
	name := h.draw()
	text := fmt.Sprintf("%d %s: %s", i, name, strings.Join(h.line, "; "))
	h.log = append(h.log, text)
	if h.err != nil {
		h.err = fmt.Errorf("history of seed %d, operation %s: %w", h.seed, text, h.err)
		return h.err
	}
	h.pause(2)
	if h.opts.Between != nil {
		h.opts.Between(i)
	}
	return nil
}

// draw picks operations by weight until one finds what it needs in the tree.
func (h *History) draw() string {
	if h.tree.count() > h.opts.MaxPaths*4/5 && h.chance(60) {
		opRemoveAll(h)
		if len(h.line) > 0 {
			return "remove all"
		}
	}
	for {
		n := h.rng.IntN(totalWeight)
		for _, op := range operations {
			if n -= op.weight; n >= 0 {
				continue
			}
			op.do(h)
			if len(h.line) > 0 {
				return op.name
			}
			break
		}
	}
}

// Run performs up to n operations, fewer if MaxOps is reached.
func (h *History) Run(n int) error {
	h.round++
	for range n {
		if err := h.Step(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Close closes the files that operations left open, so that the tree rests.
// The last of their data was written before; Step may be called again.
func (h *History) Close() error {
	var err error
	for _, f := range h.held {
		err = errors.Join(err, f.file.Close())
	}
	h.held = nil
	return err
}

// Log tells the operations so far, one a line, with quoted paths. Paths that
// begin with "outside:" lie in the holding area.
func (h *History) Log() []string { return slices.Clone(h.log) }

// chance is true percent times of a hundred.
func (h *History) chance(percent int) bool { return h.rng.IntN(100) < percent }

func pick[T any](h *History, from []T) T { return from[h.rng.IntN(len(from))] }

// pause sleeps one time in oneIn if the history is paced. It is part of the
// workload: it moves the borders of the batches that a mirror sees.
func (h *History) pause(oneIn int) {
	if h.paced && h.pauses.IntN(oneIn) == 0 {
		scale := []time.Duration{50 * time.Microsecond, 500 * time.Microsecond, 3 * time.Millisecond, 30 * time.Millisecond}
		most := scale[[]int{0, 0, 0, 1, 1, 1, 2, 2, 2, 3}[h.pauses.IntN(10)]]
		time.Sleep(time.Duration(h.pauses.Int64N(int64(most))))
	}
}

// any draws one entry of the tree, not its root, that ok accepts, or nil.
func (h *History) any(ok func(*entry) bool) *entry { return h.below(h.tree, ok) }

func (h *History) below(top *entry, ok func(*entry) bool) *entry {
	var found []*entry
	top.walk(func(e *entry) {
		if ok(e) {
			found = append(found, e)
		}
	})
	if len(found) == 0 {
		return nil
	}
	return pick(h, found)
}

func (h *History) file() *entry { return h.any(isFile) }

func isFile(e *entry) bool     { return e.kind == regular }
func isDir(e *entry) bool      { return e.kind == directory }
func isNotDir(e *entry) bool   { return e.kind != directory }
func isFullDir(e *entry) bool  { return e.kind == directory && len(e.kids) > 0 }
func isEmptyDir(e *entry) bool { return e.kind == directory && len(e.kids) == 0 }
func hasBytes(e *entry) bool   { return e.kind == regular && e.ino.size > 0 }

// unheard reports whether nobody who watches the tree can hear of a change
// under the name e, though it changes a file that has another name in the tree:
// the directory that holds e, or did so to the last, lies outside, or it is one
// of the things that inotify says nothing of.
func (h *History) unheard(e *entry) bool {
	if h.any(func(f *entry) bool { return f.ino == e.ino }) == nil {
		return false
	}
	taken := e.parent == nil && e.left.child(e.name) != nil
	removed := false
	top := e
	for top != h.tree && top != h.outside {
		if top.parent != nil {
			top = top.parent
			continue
		}
		removed = removed || top != e
		top = top.left
	}
	return top == h.outside || h.opts.Inotify && (taken || removed)
}

// dir draws a directory, the root as likely as any, that may get entries.
func (h *History) dir() *entry {
	return h.dirWhere(func(e *entry) bool { return e.depth() < maxDepth })
}

func (h *History) dirWhere(ok func(*entry) bool) *entry {
	found := []*entry{h.tree}
	h.tree.walk(func(e *entry) {
		if e.kind == directory && ok(e) {
			found = append(found, e)
		}
	})
	return pick(h, found)
}

// home draws a directory that e can be moved to: not into itself, not too
// deep.
func (h *History) home(e *entry) *entry {
	height := e.height()
	return h.dirWhere(func(d *entry) bool { return !d.within(e) && d.depth()+height <= maxDepth })
}

// fresh draws a name that dir does not hold yet.
func (h *History) fresh(dir *entry) string {
	for range 8 {
		var name string
		switch n := h.rng.IntN(100); {
		case n < 60:
			name = pick(h, plainNames)
		case n < 98:
			name = pick(h, oddNames)
		default:
			name = longName(pick(h, plainNames))
		}
		if dir.child(name) == nil {
			return name
		}
	}
	return h.made("n")
}

// made makes up a name that was never used.
func (h *History) made(prefix string) string {
	h.serial++
	return fmt.Sprintf("%s%d", prefix, h.serial)
}

// room reports whether n more paths are allowed.
func (h *History) room(n int) bool { return h.tree.count()+n <= h.opts.MaxPaths }

func (h *History) size() int64 { return pick(h, sizes) }

// target draws what a symbolic link holds.
func (h *History) target() string {
	if h.opts.InnerLinks || h.chance(60) {
		return pick(h, innerTargets)
	}
	return pick(h, outerTargets)
}

// join is the real path of name in dir.
func (h *History) join(dir *entry, name string) string {
	path := h.treePath
	if dir.root() == h.outside {
		path = h.outerPath
	}
	if rel := dir.path(); rel != "" {
		path += "/" + rel
	}
	if name != "" {
		path += "/" + name
	}
	return path
}

// real is the entry's real path.
func (h *History) real(e *entry) string { return h.join(e, "") }

// show is the entry as it stands in the log.
func (h *History) show(e *entry) string {
	if e.root() == h.outside {
		return fmt.Sprintf("outside:%q", e.path())
	}
	return fmt.Sprintf("%q", e.path())
}
