package workload

import (
	"context"
	"fmt"
)

const (
	churnRate  = 1_000
	churnBytes = 16 << 10
)

type churn struct{}

func (churn) Name() string { return "churn" }

func (churn) Doc() string {
	return "Rewrites 100 hot files in random order for 3 seconds, 1,000 times a second, each time with another size up to 16 KiB."
}

func (churn) dims(size Size) (files, writes int) {
	return size.count(100, 4), size.count(3_000, 40)
}

func (w churn) Needs(size Size) Needs {
	files, writes := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("files=%d writes=%d rate=%d/s bytes=1-%d", files, writes, churnRate, churnBytes),
	}
	n.Bytes, n.Inodes = space(1, files, churnBytes)
	return n
}

func (churn) file(i int) string { return fmt.Sprintf("hot/f%04d", i) }

func (w churn) Prepare(ctx context.Context, src string, size Size) error {
	c := newPreparer(src, size, "churn")
	if err := c.mkdir("hot"); err != nil {
		return err
	}
	files, _ := w.dims(size)
	for i := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.create(w.file(i), 1+c.rng.IntN(churnBytes)); err != nil {
			return err
		}
	}
	return nil
}

func (w churn) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "churn")
	files, writes := w.dims(size)
	err := w.rewrite(ctx, c, files, writes)
	return c.changes(), err
}

func (w churn) rewrite(ctx context.Context, c *changer, files, writes int) error {
	s, err := startSchedule(churnRate)
	if err != nil {
		return err
	}
	for i := range writes {
		if err := s.wait(ctx, i); err != nil {
			return err
		}
		if err := c.rewrite(w.file(c.rng.IntN(files)), 1+c.rng.IntN(churnBytes)); err != nil {
			return err
		}
	}
	return nil
}
