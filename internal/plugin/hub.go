package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/config"
)

// Change is one path that has arrived.
type Change struct {
	// Root is the absolute path of the mirrored directory, Path the one that
	// changed, relative to it; "" is all of it.
	Root, Path string
	// Remote is where it arrived; "" is everywhere.
	Remote string
	// Dir says that it was a directory when last heard of.
	Dir bool
	// Full says that all at and below Path was compared, so that any of it may
	// have arrived.
	Full bool
}

// Abs is the absolute path.
func (c Change) Abs() string { return filepath.Join(c.Root, c.Path) }

// Event is what is to be seen of the path now: "full", "delete", or "write" for
// all that is there. dir says whether it is, or was, a directory.
func (c Change) Event() (event string, dir bool) {
	if c.Full {
		return "full", true
	}
	info, err := os.Lstat(c.Abs())
	if err != nil {
		return "delete", c.Dir
	}
	return "write", info.IsDir()
}

// drainFor bounds how long queued changes are told after the end.
const drainFor = 3 * time.Second

// Hub hands changes to all plugins of a configuration.
type Hub struct {
	plugins []*runner
	each    []*runner // told of each remote by itself
	once    []*runner // told when all remotes have it
	gather  *gather
	log     *slog.Logger
}

// New makes the plugins; nothing runs until Run. The error names each that
// cannot work. Secrets are read here.
func New(confs []config.Plugin, log *slog.Logger) (*Hub, error) {
	h := &Hub{log: log}
	h.gather = newGather(func(c Change) { h.hand(h.once, c) })
	var errs []error
	for _, conf := range confs {
		conf = conf.WithDefaults()
		teller, err := newTeller(conf)
		if err != nil {
			errs = append(errs, fmt.Errorf("plugin %q: %w", conf.Name, err))
			continue
		}
		r, err := newRunner(conf, teller, log.With("plugin", conf.Name))
		if err != nil {
			errs = append(errs, fmt.Errorf("plugin %q: %w", conf.Name, err))
			continue
		}
		h.plugins = append(h.plugins, r)
		if conf.EachRemote {
			h.each = append(h.each, r)
		} else {
			h.once = append(h.once, r)
		}
	}
	return h, errors.Join(errs...)
}

func newTeller(conf config.Plugin) (teller, error) {
	switch conf.Type {
	case "command":
		return newCommand(conf), nil
	case "socket":
		return newSocket(conf), nil
	case "cdn":
		return newCDN(conf)
	case "http":
		return newHTTP(conf)
	}
	return nil, fmt.Errorf("type %q is not known", conf.Type)
}

// Remotes says which remotes a root has. It is called before Run.
func (h *Hub) Remotes(root string, names []string) { h.gather.remotes(root, names) }

// Up says whether a remote takes changes now; one that does not is not waited
// for.
func (h *Hub) Up(root, remote string, up bool) { h.gather.setUp(root, remote, up) }

// Synced takes what has arrived at a remote. It does not wait, and does not keep
// entries.
func (h *Hub) Synced(root, remote string, entries []coalesce.Entry) {
	for _, e := range entries {
		c, ok := changeOf(root, e)
		if !ok {
			continue
		}
		if len(h.each) > 0 {
			one := c
			one.Remote = remote
			h.hand(h.each, one)
		}
		if len(h.once) > 0 {
			h.gather.arrived(remote, c)
		}
	}
}

// changeOf is what an entry means to a listener; false: nothing.
func changeOf(root string, e coalesce.Entry) (Change, bool) {
	const news = coalesce.Content | coalesce.Name | coalesce.Moved | coalesce.Gone | coalesce.Wrote
	c := Change{Root: root, Path: e.Path, Dir: e.Has(coalesce.Dir)}
	switch {
	case e.Has(coalesce.Ghost):
		return c, false // it came and went, and no remote has had it
	case e.Any(coalesce.Subtree|coalesce.Children) && !e.Any(news):
		// Compared because events may have been lost; nobody knows what changed.
		c.Full, c.Dir = true, true
	case e.Path == "" || c.Dir && !e.Any(news):
		return c, false // a directory's own attributes, which any change in it sets
	}
	return c, true
}

func (h *Hub) hand(to []*runner, c Change) {
	for _, r := range to {
		r.offer(c)
	}
}

// Run tells until ctx ends, and then what is queued still.
func (h *Hub) Run(ctx context.Context) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	for _, r := range h.plugins {
		wg.Go(func() { r.run(work) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case now := <-tick.C:
			h.gather.expire(now)
		case <-ctx.Done():
		}
	}
	h.gather.flush()
	for _, r := range h.plugins {
		r.close()
	}
	end := time.AfterFunc(drainFor, stop)
	defer end.Stop()
	wg.Wait()
}

// Stats are a moment of all plugins.
func (h *Hub) Stats() []Stats {
	all := make([]Stats, len(h.plugins))
	for i, r := range h.plugins {
		all[i] = r.stats()
	}
	return all
}
