package workload

import (
	"context"
	"fmt"
)

// slowKBs lets a throttled remote take about a minute for the burst.
const slowKBs = 64

const burstBytes = 4096

// burst is the same load for one remote or for many, good and bad.
type burst struct {
	name                string
	remotes, slow, dead int
}

func (w burst) Name() string { return w.name }

func (w burst) Doc() string {
	to := "one remote"
	switch {
	case w.slow > 0:
		to = fmt.Sprintf("%d remotes, of which %d is throttled to %d KiB/s and not waited for", w.remotes, w.slow, slowKBs)
	case w.dead > 0:
		to = fmt.Sprintf("%d remotes, of which %d does not answer and is not waited for", w.remotes, w.dead)
	case w.remotes > 1:
		to = fmt.Sprintf("%d remotes", w.remotes)
	}
	return "Creates 2,000 files of up to 4 KiB in 20 new directories as fast as it can, for " + to + "."
}

func (burst) dims(size Size) (files, dirs int) {
	return size.count(2_000, 20), size.count(20, 2)
}

func (w burst) Needs(size Size) Needs {
	files, dirs := w.dims(size)
	n := Needs{
		Remotes: w.remotes, Slow: w.slow, Dead: w.dead,
		Params: fmt.Sprintf("files=%d dirs=%d bytes=1-%d remotes=%d", files, dirs, burstBytes, w.remotes),
	}
	if w.slow > 0 {
		n.SlowKBs = slowKBs
		n.Params += fmt.Sprintf(" slow=%d kbs=%d", w.slow, slowKBs)
	}
	if w.dead > 0 {
		n.Params += fmt.Sprintf(" dead=%d", w.dead)
	}
	n.Bytes, n.Inodes = space(dirs+1, files, burstBytes)
	return n
}

func (burst) Prepare(ctx context.Context, src string, size Size) error {
	return newPreparer(src, size, "burst").mkdir("in")
}

// Run takes the name burst for its seed whatever the remotes, so that all
// cells of the family see the same changes.
func (w burst) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "burst")
	files, dirs := w.dims(size)
	err := w.create(ctx, c, files, dirs)
	return c.changes(), err
}

func (burst) create(ctx context.Context, c *changer, files, dirs int) error {
	dir := ""
	for i := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d := fmt.Sprintf("in/d%04d", i*dirs/files); d != dir {
			dir = d
			if err := c.mkdir(dir); err != nil {
				return err
			}
		}
		if err := c.create(fmt.Sprintf("%s/f%06d", dir, i), 1+c.rng.IntN(burstBytes)); err != nil {
			return err
		}
	}
	return nil
}
