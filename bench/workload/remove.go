package workload

import (
	"context"
	"fmt"
)

const removeBytes = 512

// remove keeps twice as many files as it removes: engines that guard against
// mass deletes are not to be stopped by it.
type remove struct{}

func (remove) Name() string { return "delete" }

func (remove) Doc() string {
	return "Removes a directory with 5,000 files in 50 sub-directories, as rm -rf does; 10,000 other files stay."
}

func (remove) dims(size Size) (files, dirs, kept int) {
	files = size.count(5_000, 50)
	return files, size.count(50, 2), 2 * files
}

func (w remove) Needs(size Size) Needs {
	files, dirs, kept := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("files=%d dirs=%d bytes=%d kept=%d", files, dirs, removeBytes, kept),
	}
	n.Bytes, n.Inodes = space(3*dirs+2, files+kept, removeBytes)
	return n
}

func (w remove) Prepare(ctx context.Context, src string, size Size) error {
	files, dirs, kept := w.dims(size)
	if err := (forest{"old", dirs}).plant(ctx, src, size, files, removeBytes); err != nil {
		return err
	}
	return forest{"kept", 2 * dirs}.plant(ctx, src, size, kept, removeBytes)
}

func (w remove) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "delete")
	_, dirs, _ := w.dims(size)
	err := w.remove(ctx, c, forest{"old", dirs})
	return c.changes(), err
}

// remove goes from the last directory to the first, so that children go before
// their parents, and looks at ctx in between.
func (remove) remove(ctx context.Context, c *changer, f forest) error {
	for i := f.n - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.removeAll(f.dir(i)); err != nil {
			return err
		}
	}
	return c.removeAll(f.top)
}
