package engine

import (
	"time"

	"github.com/fansync/fansync/internal/links"
	"github.com/fansync/fansync/internal/plugin"
	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/watcher"
)

// Status is a moment of the whole engine.
type Status struct {
	Started time.Time `json:"started"`
	// Rsyncs counts the batches that are being sent, to all remotes; MaxRsyncs
	// is the most there may be at once, 0 if there is no limit.
	Rsyncs    int          `json:"rsyncs"`
	MaxRsyncs int          `json:"max_rsyncs,omitempty"`
	Roots     []RootStatus `json:"roots"`
	// Plugins are those of the configuration.
	Plugins []plugin.Stats `json:"plugins,omitempty"`
}

// RootStatus is a moment of one root.
type RootStatus struct {
	Path string `json:"path"`
	// Problem is why the root is not served now; "" when it is.
	Problem string `json:"problem,omitempty"`
	// Backend is how changes are heard of, Reason why that way.
	Backend string             `json:"backend,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Watch   *watcher.Stats     `json:"watch,omitempty"`
	Links   *links.Stats       `json:"links,omitempty"`
	Remotes []scheduler.Status `json:"remotes"`
}

// Status is a moment of the engine. It may be called at any time of Run.
func (e *Engine) Status() Status {
	st := Status{Started: e.started, MaxRsyncs: e.conf.MaxRsyncs}
	if pool := e.pool.Load(); pool != nil {
		st.Rsyncs = pool.Running()
	}
	if e.plugins != nil {
		st.Plugins = e.plugins.Stats()
	}
	for _, r := range e.roots {
		st.Roots = append(st.Roots, r.status())
	}
	return st
}

func (r *root) status() RootStatus {
	r.mu.Lock()
	st := RootStatus{Path: r.conf.Path, Problem: r.problem}
	if r.watch != nil {
		backend, why := r.watch.Backend()
		stats := r.watch.Stats()
		index := r.links.Stats()
		st.Backend, st.Reason, st.Watch, st.Links = string(backend), why, &stats, &index
	}
	sched := r.sched
	r.mu.Unlock()
	if sched != nil {
		st.Remotes = sched.Status()
	}
	return st
}
