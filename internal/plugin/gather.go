package plugin

import (
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	// waitAtMost is how long a change waits for remotes that are up and do not
	// have it.
	waitAtMost = 30 * time.Second
	// gatherAtMost is how many changes wait; beyond it they do not wait.
	gatherAtMost = 50_000
)

// gather holds changes until all remotes of their root that are up have them.
type gather struct {
	emit func(Change)

	mu    sync.Mutex
	roots map[string]*gathering
}

// gathering is one root's part.
type gathering struct {
	up      map[string]bool // by remote
	waiting map[string]*waiting
}

// waiting is one change, and who has it.
type waiting struct {
	change Change
	at     map[string]bool
	since  time.Time
}

func newGather(emit func(Change)) *gather {
	return &gather{emit: emit, roots: map[string]*gathering{}}
}

func (g *gather) remotes(root string, names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &gathering{up: map[string]bool{}, waiting: map[string]*waiting{}}
	for _, n := range names {
		r.up[n] = false
	}
	g.roots[root] = r
}

func (g *gather) setUp(root, remote string, up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.roots[root]
	if r == nil || r.up[remote] == up {
		return
	}
	r.up[remote] = up
	if !up {
		g.sweep(r, func(*waiting) bool { return false })
	}
}

// arrived notes a change at a remote. Of a full comparison all remotes are told
// by themselves: it covers what waits for this one.
func (g *gather) arrived(remote string, c Change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.roots[c.Root]
	if r == nil || len(r.up) < 2 {
		g.emit(c)
		return
	}
	if c.Full {
		for path, w := range r.waiting {
			w.at[remote] = w.at[remote] || coalesce.Under(path, c.Path)
		}
		g.sweep(r, func(*waiting) bool { return false })
	}
	w := r.waiting[c.Path]
	if w == nil {
		w = &waiting{change: c, at: map[string]bool{}, since: time.Now()}
		r.waiting[c.Path] = w
	}
	w.at[remote] = true
	w.change.Full = w.change.Full || c.Full
	if r.everywhere(w) || len(r.waiting) > gatherAtMost {
		delete(r.waiting, c.Path)
		g.emit(w.change)
	}
}

// everywhere reports whether all remotes that are up have it.
func (r *gathering) everywhere(w *waiting) bool {
	for name, up := range r.up {
		if up && !w.at[name] {
			return false
		}
	}
	return true
}

// sweep lets go of what is everywhere, or due by itself.
func (g *gather) sweep(r *gathering, due func(*waiting) bool) {
	for path, w := range r.waiting {
		if r.everywhere(w) || due(w) {
			delete(r.waiting, path)
			g.emit(w.change)
		}
	}
}

// expire lets go of what has waited for too long.
func (g *gather) expire(now time.Time) {
	g.all(func(w *waiting) bool { return now.Sub(w.since) > waitAtMost })
}

// flush lets go of everything.
func (g *gather) flush() { g.all(func(*waiting) bool { return true }) }

func (g *gather) all(due func(*waiting) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.roots {
		g.sweep(r, due)
	}
}
