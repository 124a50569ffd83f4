package coalesce

import (
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mirror is a remote, with as much of a scheduler as the entries' promises are
// made for: it looks at the source when it sends, compares sizes and times
// unless an entry forbids it, and lets ghosts vanish that no batch took to the
// remote.
type mirror struct {
	src, root *inode
	dirty     *Set
	flight    []Entry
	// sent are the paths that were there when a batch that takes them in
	// looked. It is forgotten when all events have been read and all entries
	// sent, as a scheduler would: what is Born later is not at the remote.
	sent map[string]bool
}

func newMirror(src *inode) *mirror {
	return &mirror{src: src, root: &inode{kids: map[string]*inode{}}, dirty: NewSet(), sent: map[string]bool{}}
}

// take moves some of the dirty entries into the batch in flight.
func (m *mirror) take(pick chooser) {
	if len(m.flight) > 0 {
		return // one batch at a time
	}
	for _, e := range collect(m.dirty.Ascend) {
		if pick(3) > 0 {
			m.dirty.Remove(e.Path)
			m.flight = append(m.flight, e)
		}
	}
}

// finish sends all there is.
func (m *mirror) finish(pick chooser) {
	m.land(pick, true)
	m.flight = m.dirty.drain()
	m.land(pick, false)
	clear(m.sent)
}

// land ends the batch in flight; one that fails may have carried some of it.
func (m *mirror) land(pick chooser, fails bool) {
	for _, e := range m.flight {
		if !fails || pick(2) == 0 {
			m.apply(e)
		}
		if fails {
			m.dirty.AddOlder(e)
		}
	}
	m.flight = nil
}

func (m *mirror) apply(e Entry) {
	n := m.src.lookup(e.Path)
	if e.Has(Ghost) && n == nil && !m.sent[e.Path] {
		return
	}
	untrusted := e.Any(Moved | Racy)
	deep := e.Has(Subtree)
	if n != nil && n.dir() && (gone(e) || named(e) && !e.Has(Dir)) {
		deep, untrusted = true, true
	}
	m.copy(e.Path, n, untrusted)
	if n == nil || !n.dir() || !deep && !e.Has(Children) {
		return
	}
	m.compare(e.Path, n, deep, untrusted)
}

// compare makes what is below a directory equal, one level or all.
func (m *mirror) compare(path string, n *inode, deep, untrusted bool) {
	there := m.root.lookup(path)
	names := slices.Collect(maps.Keys(n.kids))
	for name := range there.kids {
		if n.kids[name] == nil {
			names = append(names, name)
		}
	}
	for _, name := range names {
		p := join(path, name)
		m.copy(p, n.kids[name], untrusted)
		if k := n.kids[name]; deep && k != nil && k.dir() {
			m.compare(p, k, true, untrusted)
		}
	}
}

// copy makes one path equal without what is below it; n is the source's.
func (m *mirror) copy(path string, n *inode, untrusted bool) {
	if path == "" {
		return
	}
	m.sent[path] = n != nil
	if n == nil {
		if up := m.root.lookup(Parent(path)); up != nil && up.dir() {
			m.root.set(path, nil)
		}
		return
	}
	if up := Parent(path); up != "" {
		if there := m.root.lookup(up); there == nil || !there.dir() {
			m.copy(up, m.src.lookup(up), false) // rsync's implied directories
		}
	}
	there := m.root.lookup(path)
	if there == nil || there.dir() != n.dir() {
		there = &inode{}
		untrusted = true
		if n.dir() {
			there.kids = map[string]*inode{}
		}
		m.root.set(path, there)
	}
	there.mode = n.mode
	if untrusted || there.stamp != n.stamp {
		there.stamp, there.content = n.stamp, n.content
	}
}

// explained reports whether the flushed entries give a reason to look at path;
// now is what the tree has become.
func explained(entries map[string]Flags, path string, now map[string]string) bool {
	if _, ok := entries[path]; ok {
		return true
	}
	for up, first := path, true; up != ""; first = false {
		up = Parent(up)
		f, ok := entries[up]
		replaced := ok && !strings.HasPrefix(now[up], "dir")
		if f&(Subtree|Gone) != 0 || first && f&Children != 0 || replaced {
			return true
		}
	}
	return false
}

// simulate lets processes, reader, coalescer and mirror run in random turns,
// and checks what the entries promise.
func simulate(t failer, pick chooser, more func() bool, merge bool) {
	w := newWorld(pick, merge)
	c := NewCoalescer(Config{})
	m := newMirror(w.root)
	now := int64(0)
	before := w.root.snapshot()
	told := map[string]Flags{}
	var log []string

	flush := func(force bool) {
		ch := c.Flush(now, force)
		for _, e := range ch.Entries {
			log = append(log, fmt.Sprintf("  flush %s %v", e.Path, e.Flags))
			told[e.Path] |= e.Flags
			if e.Has(Ghost) {
				if !merge && len(w.queue) == 0 && w.root.lookup(e.Path) != nil {
					t.Fatalf("the ghost %q is there\n%v", e.Path, log)
				}
			}
			if e.Has(Born) && m.sent[e.Path] {
				e.Flags |= Racy // as a scheduler would
			}
			m.dirty.Add(e)
		}
	}
	read := func(n int) {
		for ; n > 0 && len(w.queue) > 0; n-- {
			for _, ev := range w.read(now) {
				log = append(log, fmt.Sprintf("%s %v %s", ev.Path, ev.Kind, ev.From))
				c.Add(ev, now)
			}
		}
	}
	settle := func() {
		read(len(w.queue))
		flush(true)
		after := w.root.snapshot()
		for p := range maps.Keys(union(before, after)) {
			if before[p] != after[p] && !explained(told, p, after) {
				t.Fatalf("nothing explains %q: %q, now %q\n%v", p, before[p], after[p], log)
			}
		}
		before = after
		clear(told)
	}
	for more() {
		now += int64(pick(4)) * int64(ms)
		switch pick(10) {
		case 0, 1:
			read(1 + pick(4))
		case 2:
			if at, ok := c.Next(); ok && at <= now || pick(4) == 0 {
				flush(false)
			}
		case 3:
			m.take(pick)
		case 4:
			m.land(pick, pick(2) == 0)
		case 5:
			if pick(4) == 0 {
				settle()
				if pick(2) == 0 {
					m.finish(pick)
				}
			}
		default:
			w.step()
		}
	}
	settle()
	m.finish(pick)
	if d := cmp.Diff(w.root.snapshot(), m.root.snapshot()); d != "" {
		t.Fatalf("the mirror differs: -source +mirror\n%s\n%v", d, log)
	}
}

func union(a, b map[string]string) map[string]string {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

var safetyRuns = flag.Int("safety", 2000, "random runs of TestSafety")

func TestSafety(t *testing.T) {
	for name, merge := range map[string]bool{"ordered": false, "merged": true} {
		t.Run(name, func(t *testing.T) {
			for seed := range *safetyRuns {
				t.Run(strconv.Itoa(seed), func(t *testing.T) { // -run=TestSafety/merged/42 runs one again
					r := rand.New(rand.NewSource(int64(seed)))
					n := 20 + r.Intn(200)
					simulate(t, r.Intn, func() bool { n--; return n > 0 }, merge)
				})
			}
		})
	}
}

func FuzzSafety(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		pick, more := bytesChooser(data)
		simulate(t, pick, more, len(data)%2 == 0)
	})
}
