package measure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// CompareOptions chooses what Compare looks at. The zero value compares type,
// size, modification time to the nanosecond, mode, target of symbolic links,
// device number, and owner if we are root, of everything but the two roots.
type CompareOptions struct {
	// Content reads files of equal size.
	Content bool
	// DirTimes compares the modification times of directories too; not every
	// engine keeps them.
	DirTimes bool
	// Seconds compares times to the second only, as a plain rsync -a does.
	Seconds bool
	// Most ends the work after so many differences. Zero finds all, and takes
	// memory for each.
	Most int
}

// chunk is how many entries of one directory are compared in one go, so that a
// large directory keeps several threads busy.
const chunk = 1024

// Compare lists, by path, in what the tree at dst differs from the one at src:
// each path once, with the kinds of difference together, and below a directory
// that one side lacks every path. It works on all cores; memory goes with the
// largest directories and the depth, not with the tree. What changes
// meanwhile may be reported or not, and is no error.
func Compare(ctx context.Context, src, dst string, opts CompareOptions) ([]Difference, error) {
	c := &comparison{opts: opts, owners: os.Geteuid() == 0}
	c.pool.tickets = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	c.buffers.New = func() any { return new([2][64 << 10]byte) }
	var errs [2]error
	c.src, errs[0] = realDir(src)
	c.dst, errs[1] = realDir(dst)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.over.Store(true) })
	defer stop()
	c.directories("")
	c.pool.wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("compare: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.found, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
	return c.found, c.err
}

// realDir is a directory's path without symbolic links.
func realDir(dir string) (string, error) {
	path, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	if err == nil && !st.IsDir() {
		err = &fs.PathError{Op: "list", Path: path, Err: unix.ENOTDIR}
	}
	return path, err
}

type comparison struct {
	opts     CompareOptions
	owners   bool
	src, dst string
	pool     pool
	buffers  sync.Pool

	over  atomic.Bool // stop early: an error, or differences enough
	mu    sync.Mutex
	found []Difference
	err   error // the first
}

func (c *comparison) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.over.Store(true)
}

func (c *comparison) differ(path, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.Most > 0 && len(c.found) >= c.opts.Most {
		return
	}
	c.found = append(c.found, Difference{Path: path, What: what})
	if len(c.found) == c.opts.Most {
		c.over.Store(true)
	}
}

// directories compares what two directories of one name hold; rel is "" for the
// roots.
func (c *comparison) directories(rel string) {
	a, err := c.names(filepath.Join(c.src, rel))
	if err != nil {
		c.fail(err)
		return
	}
	b, err := c.names(filepath.Join(c.dst, rel))
	if err != nil {
		c.fail(err)
		return
	}
	for len(a)+len(b) > 0 && !c.over.Load() {
		// Both parts hold the names up to the same one.
		var partA, partB []string
		partA, a = a[:min(chunk, len(a))], a[min(chunk, len(a)):]
		if len(a) == 0 {
			partB, b = b, nil
		} else {
			end, _ := slices.BinarySearch(b, a[0])
			partB, b = b[:end], b[end:]
		}
		c.pool.run(func() { c.merge(rel, partA, partB) })
	}
}

// names lists a directory in order. One that is not there any more is empty.
func (c *comparison) names(dir string) ([]string, error) {
	names, err := readNames(dir)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

func readNames(dir string) (names []string, err error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err = f.Readdirnames(-1)
	if err = errors.Join(err, f.Close()); vanished(err) {
		return nil, nil
	}
	return names, err
}

// vanished reports whether something was removed, or replaced by another kind
// of thing, while we came to it.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ESTALE)
}

func (c *comparison) merge(rel string, a, b []string) {
	for len(a)+len(b) > 0 && !c.over.Load() {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			c.alone(c.src, join(rel, a[0]), "missing")
			a = a[1:]
		case len(a) == 0 || b[0] < a[0]:
			c.alone(c.dst, join(rel, b[0]), "extra")
			b = b[1:]
		default:
			c.pair(join(rel, a[0]))
			a, b = a[1:], b[1:]
		}
	}
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// alone reports a path that one side lacks, with all below it.
func (c *comparison) alone(root, rel, what string) {
	if c.over.Load() {
		return
	}
	c.differ(rel, what)
	st, ok := c.lstat(root + "/" + rel)
	if !ok || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	c.aloneIn(root, rel, what)
}

// aloneIn reports all that is in a directory as alone.
func (c *comparison) aloneIn(root, rel, what string) {
	names, err := c.names(root + "/" + rel)
	if err != nil {
		c.fail(err)
		return
	}
	for _, name := range names {
		c.alone(root, join(rel, name), what)
	}
}

// lstat is false for what is not there, and after an error.
func (c *comparison) lstat(path string) (st unix.Stat_t, ok bool) {
	switch err := unix.Lstat(path, &st); {
	case err == nil:
		return st, true
	case !vanished(err):
		c.fail(fmt.Errorf("compare: %w", &fs.PathError{Op: "lstat", Path: path, Err: err}))
	}
	return st, false
}

// pair compares two entries of one name and goes down if both are directories.
func (c *comparison) pair(rel string) {
	src, dst := c.src+"/"+rel, c.dst+"/"+rel
	a, okA := c.lstat(src)
	b, okB := c.lstat(dst)
	switch {
	case !okA && !okB: // removed from both by now, or an error
		return
	case !okA:
		c.alone(c.dst, rel, "extra")
		return
	case !okB:
		c.alone(c.src, rel, "missing")
		return
	}
	kind := a.Mode & unix.S_IFMT
	if other := b.Mode & unix.S_IFMT; kind != other {
		c.differ(rel, kindNames[kind]+" is "+kindNames[other])
		c.below(rel, kind, other)
		return
	}
	what, err := c.what(src, dst, &a, &b)
	if err != nil {
		c.fail(err)
		return
	}
	if len(what) > 0 {
		c.differ(rel, strings.Join(what, ", "))
	}
	if kind == unix.S_IFDIR {
		c.pool.run(func() { c.directories(rel) })
	}
}

// below reports what is in a directory that is none on the other side.
func (c *comparison) below(rel string, src, dst uint32) {
	root, what := c.src, "missing"
	if dst == unix.S_IFDIR {
		root, what = c.dst, "extra"
	} else if src != unix.S_IFDIR {
		return
	}
	c.aloneIn(root, rel, what)
}
