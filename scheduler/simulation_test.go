package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// node is a path at the simulated remote, or in the list of a run. For files
// time is the one that stands in the content.
type node struct {
	mode fs.FileMode
	data string
	time string
}

// simulation is a remote and the rsync to it: the list is made first, data is
// read later, a file of equal size and time is not sent, and directories get
// their times from the list when all is done.
type simulation struct {
	t       testing.TB
	root    string
	trouble func() int // percent of runs and paths that fail

	mu   sync.Mutex
	rng  *rand.Rand
	tree map[string]node
	air  map[uint64]*flight
	runs int
	// moves counts the runs of the Move forms, linked what they took from under
	// an old name without a look at its content.
	moves, linked int
}

func newSimulation(t testing.TB, root string, seed int64, trouble func() int) *simulation {
	return &simulation{
		t: t, root: root, trouble: trouble, rng: rand.New(rand.NewSource(seed)),
		tree: map[string]node{}, air: map[uint64]*flight{},
	}
}

func (s *simulation) chance(percent int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Intn(100) < percent
}

// pause lets the history go on, and reports whether the run was ended.
func (s *simulation) pause(ctx context.Context, most time.Duration) bool {
	s.mu.Lock()
	d := time.Duration(s.rng.Int63n(int64(most) + 1))
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return true
	case <-time.After(d):
		return false
	}
}

// fly checks that no two runs at a time overlap.
func (s *simulation) fly(b Batch) (land func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := &flight{batch: b}
	if b.Form == Move || b.Form == MoveRacy {
		for _, it := range b.Items {
			mine.bases = append(mine.bases, oldName(b, it.Path))
		}
		s.moves++
	}
	for _, other := range s.air {
		for _, it := range b.Items {
			if other.conflicts(it.Path) && !beside(other.batch, b, it.Path) && !beside(b, other.batch, it.Path) {
				s.t.Errorf("%q of %v meets %v", it.Path, b, other.batch)
			}
		}
		for _, path := range mine.bases {
			if other.conflicts(path) {
				s.t.Errorf("%q, from which %v takes data, meets %v", path, b, other.batch)
			}
		}
		if b.Form == Full || other.batch.Form == Full {
			s.t.Errorf("a full run beside another: %v, %v", b, other.batch)
		}
	}
	s.runs++
	s.air[b.ID] = mine
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.air, b.ID)
	}
}

// beside reports whether late, where it meets early at path, sends nothing but
// the attributes of directories above large files of early.
func beside(early, late Batch, path string) bool {
	big := &flight{batch: early}
	return early.Keep && early.ID < late.ID && !late.Form.Deep() && !slices.ContainsFunc(late.Items, func(it Item) bool {
		meets := it.Path == path || coalesce.Under(path, it.Path) || coalesce.Under(it.Path, path)
		return meets && big.conflicts(it.Path) && (it.Children || it.Missing || !big.below(it.Path))
	})
}

// run is one simulated run of rsync.
type run struct {
	*simulation
	b       Batch
	list    map[string]node
	missing []string
	wide    map[string]bool // directories whose extra entries are deleted; true: and below
	res     Result
	left    int // deletions allowed; negative: any number
	slow    time.Duration
	fresh   bool // of a Move: the new name was not there
}

// oldName is where a Move of b looks for path.
func oldName(b Batch, path string) string {
	return strings.TrimPrefix(b.From+strings.TrimPrefix("/"+path, strings.TrimSuffix("/"+b.To, "/")), "/")
}

func (s *simulation) Send(ctx context.Context, b Batch, _ func(Progress)) Result {
	defer s.fly(b)()
	canceled := Result{Class: Canceled, Code: -1}
	transient := Result{Class: Transient, Code: 12, Message: "connection reset"}
	if s.pause(ctx, 30*time.Millisecond) {
		return canceled
	}
	if s.chance(s.trouble()) {
		return transient
	}
	r := &run{simulation: s, b: b, list: map[string]node{}, wide: map[string]bool{}, left: b.MaxDelete, slow: 1}
	switch {
	case b.Keep && s.chance(30):
		r.slow = 1000
	case s.chance(20):
		r.slow = 10
	}
	s.mu.Lock()
	_, there := s.tree[b.To]
	s.mu.Unlock()
	r.fresh = b.Form == Move && !there
	r.makeList(ctx)
	if s.pause(ctx, r.slow*60*time.Millisecond) {
		return canceled
	}
	r.deleteExtra()
	unnamed := s.chance(s.trouble())
	for i, p := range slices.Sorted(maps.Keys(r.list)) {
		if i%8 == 0 && s.pause(ctx, r.slow*10*time.Millisecond) {
			return canceled
		}
		if s.chance(s.trouble() / 8) {
			return transient
		}
		if s.chance(s.trouble() / 2) {
			r.fail(p, "permission denied", false)
			continue
		}
		r.transfer(p)
	}
	if s.pause(ctx, 20*time.Millisecond) {
		return canceled
	}
	r.dateDirs()
	if unnamed && r.res.Class == Partial {
		r.res.Failed = nil
	}
	if r.res.Skipped > 0 {
		r.res.Class = DeleteLimit
	}
	r.res.Stats.Files = int64(len(r.list))
	return r.res
}

func (r *run) fail(path, message string, vanished bool) {
	if path == "" {
		return // rsync names a path
	}
	r.res.Class, r.res.Code, r.res.Message = Partial, 23, message
	r.res.Failed = append(r.res.Failed, PathError{Path: path, Message: message, Vanished: vanished})
}

// stat refuses to look through symlinks.
func (r *run) stat(path string) (node, error) {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if st, err := os.Lstat(filepath.Join(r.root, path[:i])); err == nil && !st.IsDir() {
			return node{}, unix.ENOTDIR
		}
	}
	return nodeAt(filepath.Join(r.root, path))
}

func nodeAt(abs string) (node, error) {
	st, err := os.Lstat(abs)
	if err != nil {
		return node{}, err
	}
	n := node{mode: st.Mode()}
	switch {
	case st.IsDir():
		n.time = fmt.Sprint(st.ModTime().UnixNano())
	case n.mode.IsRegular():
		data, err := os.ReadFile(abs)
		if err != nil {
			return node{}, err
		}
		n.data = string(data)
		if f := bytes.Fields(data); len(f) > 1 {
			n.time = string(f[1])
		}
	default:
		if n.data, err = os.Readlink(abs); err != nil {
			return node{}, err
		}
		n.mode = fs.ModeSymlink
	}
	return n, nil
}

func (r *run) makeList(ctx context.Context) {
	items := r.b.Items
	if r.b.Form == Full {
		items = []Item{{}}
	}
	for i, it := range items {
		if i%16 == 0 {
			r.pause(ctx, 2*time.Millisecond)
		}
		n, err := r.stat(it.Path)
		for p := it.Path; p != "" && !errors.Is(err, unix.ENOTDIR); {
			p = coalesce.Parent(p)
			if dir, err := r.stat(p); err == nil && dir.mode.IsDir() {
				r.list[p] = dir
			}
		}
		switch {
		case errors.Is(err, unix.ENOENT):
			r.missing = append(r.missing, it.Path)
			continue
		case err != nil:
			r.fail(it.Path, err.Error(), false)
			continue
		}
		r.list[it.Path] = n
		if n.mode.IsDir() && (it.Children || r.b.Form.Deep()) {
			r.enter(it.Path, r.b.Form.Deep())
		}
	}
}

func (r *run) enter(dir string, deep bool) {
	names, err := os.ReadDir(filepath.Join(r.root, dir))
	if err != nil {
		r.fail(dir, err.Error(), true)
		return
	}
	r.wide[dir] = deep
	for _, d := range names {
		p := strings.TrimPrefix(dir+"/"+d.Name(), "/")
		n, err := r.stat(p)
		if err != nil {
			r.fail(p, "vanished", true)
			continue
		}
		r.list[p] = n
		if deep && n.mode.IsDir() {
			r.enter(p, true)
		}
	}
}

// deleteExtra deletes what the list says, depth first.
func (r *run) deleteExtra() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(r.tree))) {
		gone := false
		if _, ok := r.list[p]; !ok {
			_, gone = r.wide[coalesce.Parent(p)]
			for q := p; !gone && q != ""; q = coalesce.Parent(q) {
				_, listed := r.list[q]
				_, inWide := r.wide[coalesce.Parent(q)]
				gone = inWide && !listed
			}
			gone = gone || slices.ContainsFunc(r.missing, func(m string) bool { return p == m || coalesce.Under(p, m) })
		}
		switch {
		case !gone:
		case r.left == 0:
			r.res.Skipped++
		default:
			r.left--
			r.res.Stats.Deleted++
			delete(r.tree, p)
		}
	}
}

func (r *run) transfer(p string) {
	listed := r.list[p]
	data := listed.data
	if listed.mode.IsRegular() && r.b.MaxSize > 0 && int64(len(data)) > r.b.MaxSize {
		return
	}
	if listed.mode.IsRegular() {
		r.mu.Lock()
		old, ok := r.tree[p]
		racy := r.b.Form.Racy()
		if r.fresh && !ok {
			old, ok = r.tree[oldName(r.b, p)]
			racy = false
			r.linked++
		}
		r.mu.Unlock()
		if ok && old.mode.IsRegular() && !racy && old.time == listed.time && len(old.data) == len(listed.data) {
			data = old.data
		} else {
			now, err := r.stat(p)
			if err != nil || !now.mode.IsRegular() {
				r.fail(p, "vanished", true)
				return
			}
			data = now.data
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for q := coalesce.Parent(p); q != ""; q = coalesce.Parent(q) {
		if n, ok := r.tree[q]; !ok || !n.mode.IsDir() {
			r.tree[q] = node{mode: fs.ModeDir}
		}
	}
	if !listed.mode.IsDir() {
		maps.DeleteFunc(r.tree, func(q string, _ node) bool { return coalesce.Under(q, p) })
		r.tree[p] = node{mode: listed.mode, data: data, time: listed.time}
		return
	}
	r.tree[p] = node{mode: listed.mode, time: r.tree[p].time}
}

func (r *run) dateDirs() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, n := range r.list {
		if have, ok := r.tree[p]; ok && n.mode.IsDir() && have.mode.IsDir() {
			r.tree[p] = node{mode: have.mode, time: n.time}
		}
	}
}

// differences compares the remote with the source.
func (s *simulation) differences() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	seen := map[string]bool{}
	err := filepath.WalkDir(s.root, func(abs string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p := strings.TrimPrefix(strings.TrimPrefix(abs, s.root), "/")
		want, err := nodeAt(abs)
		seen[p] = true
		if have, ok := s.tree[p]; err != nil || !ok || have != want {
			out = append(out, fmt.Sprintf("%q: have %+v (%v), want %+v (%v)", p, have, ok, want, err))
		}
		return nil
	})
	if err != nil {
		out = append(out, err.Error())
	}
	for p := range s.tree {
		if !seen[p] {
			out = append(out, fmt.Sprintf("%q: should not be there", p))
		}
	}
	return out
}
