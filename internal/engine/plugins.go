package engine

import (
	"context"
	"slices"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/plugin"
	"github.com/fansync/fansync/scheduler"
)

// pluginsOnly is the name of what takes the place of all remotes when only
// plugins are to be told.
const pluginsOnly = "plugins"

// withoutRemotes puts that in the place of the remotes. Its destination is never
// used.
func withoutRemotes(conf config.Config) config.Config {
	conf.Roots = slices.Clone(conf.Roots)
	for i := range conf.Roots {
		conf.Roots[i].Remotes = []config.Remote{{Name: pluginsOnly, Dest: "/dev/null"}}
	}
	return conf
}

// noSender brings everything nowhere, at once.
type noSender struct{}

// Send says that all of it has arrived.
func (noSender) Send(context.Context, scheduler.Batch, func(scheduler.Progress)) scheduler.Result {
	return scheduler.Result{}
}

// tellPlugins makes the plugins listen to a root's remotes.
func (r *root) tellPlugins(ev *scheduler.Events) {
	hub := r.engine.plugins
	if hub == nil {
		return
	}
	names := make([]string, len(r.conf.Remotes))
	for i, m := range r.conf.Remotes {
		names[i] = m.Name
	}
	hub.Remotes(r.conf.Path, names)
	state, synced := ev.State, ev.Synced
	ev.State = func(remote string, s scheduler.State, reason string) {
		hub.Up(r.conf.Path, remote, s == scheduler.Live || s == scheduler.CatchingUp)
		if state != nil {
			state(remote, s, reason)
		}
	}
	ev.Synced = func(remote string, entries []coalesce.Entry) {
		hub.Synced(r.conf.Path, remote, entries)
		if synced != nil {
			synced(remote, entries)
		}
	}
}

// newPlugins makes the plugins of a configuration, nil if it has none.
func (e *Engine) newPlugins() (err error) {
	if len(e.conf.Plugins) > 0 {
		e.plugins, err = plugin.New(e.conf.Plugins, e.log)
	}
	return err
}
