package workload

import (
	"context"
	"fmt"
)

const mkdirsBytes = 100

type mkdirs struct{}

func (mkdirs) Name() string { return "mkdirs" }

func (mkdirs) Doc() string {
	return "Makes three directories in each other and at once writes a file into the innermost, 3,000 times as fast as it can."
}

func (mkdirs) times(size Size) int { return size.count(3_000, 20) }

func (w mkdirs) Needs(size Size) Needs {
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("times=%d depth=3 bytes=%d", w.times(size), mkdirsBytes),
	}
	n.Bytes, n.Inodes = space(1+3*w.times(size), w.times(size), mkdirsBytes)
	return n
}

func (mkdirs) Prepare(ctx context.Context, src string, size Size) error {
	return newPreparer(src, size, "mkdirs").mkdir("in")
}

func (w mkdirs) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "mkdirs")
	err := w.make(ctx, c, w.times(size))
	return c.changes(), err
}

func (mkdirs) make(ctx context.Context, c *changer, times int) error {
	for i := range times {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := fmt.Sprintf("in/r%05d", i)
		for _, name := range []string{"", "/a", "/b"} {
			dir += name
			if err := c.mkdir(dir); err != nil {
				return err
			}
		}
		if err := c.create(dir+"/f", mkdirsBytes); err != nil {
			return err
		}
	}
	return nil
}
