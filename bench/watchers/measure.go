package watchers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// probes are the files that a watcher must tell of once it is set up.
const probes = 100

// runSetUp checks that what said it was ready is.
func runSetUp(ctx context.Context, c *cellRun) (err error) {
	g := c.watch
	if g.watcher.mute {
		return nil
	}
	n := min(probes, c.shape.dirs)
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s/probe-%d", forestDir(i*(c.shape.dirs-1)/max(n-1, 1)), i))
	}
	c.cell.Wanted = n
	g.census.want(names...)
	defer func() {
		for _, name := range names {
			if e := os.Remove(filepath.Join(c.root, name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	for _, name := range names {
		if err := writeFile(filepath.Join(c.root, name)); err != nil {
			return err
		}
	}
	return g.sync(ctx)
}

// runLoad measures what a writer's changes cost the watcher and the writer.
func runLoad(writer string) func(context.Context, *cellRun) error {
	return func(ctx context.Context, c *cellRun) (err error) {
		a := c.shape.dirs
		if writer == "append" {
			a = c.shape.files
		}
		write := func() error {
			w, err := runWriter(ctx, c.plan.Helper, writer, c.root, a, c.shape.ops)
			c.cell.Ops, c.cell.WriterSeconds = w.Ops, w.Seconds
			return err
		}
		if c.watch == nil {
			return write()
		}
		if err := c.watch.sync(ctx); err != nil {
			return err
		}
		var wanted []string
		for i := range c.shape.made {
			wanted = append(wanted, newFile(c.shape.dirs, i))
		}
		for i := range c.shape.files {
			wanted = append(wanted, appended(i))
		}
		c.want(wanted)
		before, err := c.watch.cpu()
		if err != nil {
			return err
		}
		if err := write(); err != nil {
			return err
		}
		if err := c.watch.sync(ctx); err != nil {
			return err
		}
		after, err := c.watch.cpu()
		c.cell.CPUMicros = float64((after - before).Microseconds()) / float64(c.shape.ops)
		return err
	}
}

// want makes the census ask for paths.
func (c *cellRun) want(paths []string) {
	c.cell.Wanted = len(paths)
	c.watch.census.want(paths...)
}

// runNested makes directories faster than they can be watched one by one.
func runNested(ctx context.Context, c *cellRun) error {
	if err := c.watch.sync(ctx); err != nil {
		return err
	}
	var wanted []string
	for i := range c.shape.ops {
		wanted = append(wanted, nestedLeaf(i))
	}
	c.want(wanted)
	w, err := runWriter(ctx, c.plan.Helper, "nested", c.root, c.shape.ops, 0)
	c.cell.Ops, c.cell.WriterSeconds = w.Ops, w.Seconds
	if err != nil {
		return err
	}
	return c.watch.sync(ctx)
}

// longStall is how long nobody reads in the flood at scale 1 and above.
const longStall = 5 * time.Second

// runFlood lets two writers write while nobody reads for a while.
func runFlood(ctx context.Context, c *cellRun) error {
	if err := c.watch.sync(ctx); err != nil {
		return err
	}
	dirs, files := c.shape.dirs/floodWriters, c.shape.made/floodWriters
	var wanted []string
	for w := range floodWriters {
		for i := range files {
			wanted = append(wanted, floodDir(w)+"/"+newFile(dirs, i))
		}
	}
	c.want(wanted)
	var wg sync.WaitGroup
	var errs [floodWriters]error
	wrote := make(chan struct{})
	began := time.Now()
	for w := range floodWriters {
		wg.Go(func() {
			_, errs[w] = runWriter(ctx, c.plan.Helper, "create", filepath.Join(c.root, floodDir(w)), dirs, files)
		})
	}
	go func() {
		wg.Wait()
		c.cell.WriterSeconds = time.Since(began).Seconds()
		close(wrote)
	}()
	stall := time.Duration(float64(longStall) * min(1, max(c.plan.Scale, 0.02)))
	c.stall(ctx, filepath.Join(c.root, floodDir(0), newFile(dirs, files/3)), stall, wrote)
	<-wrote
	c.cell.Ops = c.shape.ops
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return c.watch.sync(ctx)
}

// stall stops reading for a while once file is there.
func (c *cellRun) stall(ctx context.Context, file string, length time.Duration, wrote <-chan struct{}) {
	for {
		if _, err := os.Lstat(file); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-wrote:
			return
		case <-time.After(pollEvery):
		}
	}
	c.watch.tap.stall.Lock()
	defer c.watch.tap.stall.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}
