package workload

import (
	"context"
	"fmt"
)

// idleChanges are made at the end, to see that the engine is alive.
const (
	idleChanges = 20
	idleBytes   = 100
)

// idle is a big tree in which next to nothing happens.
type idle struct {
	name        string
	files, dirs int
}

func (w idle) Name() string { return w.name }

func (w idle) Doc() string {
	what := thousands(w.dirs) + " directories"
	if w.files > 0 {
		what = thousands(w.files) + " empty files in " + what
	}
	return fmt.Sprintf("Starts on a tree of %s, rests, and creates %d files in it: what starting and waiting cost.", what, idleChanges)
}

func (w idle) dims(size Size) (files, dirs int) {
	if w.files > 0 {
		files = size.count(w.files, 100)
	}
	return files, size.count(w.dirs, 4)
}

func (w idle) Needs(size Size) Needs {
	files, dirs := w.dims(size)
	n := Needs{
		Remotes: 1, Idle: true,
		Params: fmt.Sprintf("files=%d dirs=%d changes=%d", files, dirs, idleChanges),
	}
	n.Bytes, n.Inodes = space(dirs+1, files, 0)
	n.Bytes, n.Inodes = n.Bytes+idleChanges*blockBytes, n.Inodes+idleChanges
	return n
}

func (w idle) Prepare(ctx context.Context, src string, size Size) error {
	files, dirs := w.dims(size)
	return forest{"tree", dirs}.plant(ctx, src, size, files, 0)
}

func (w idle) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, w.name)
	_, dirs := w.dims(size)
	f := forest{"tree", dirs}
	for i := range idleChanges {
		if err := ctx.Err(); err != nil {
			return c.changes(), err
		}
		if err := c.create(fmt.Sprintf("%s/new%02d", f.dir(c.rng.IntN(dirs)), i), idleBytes); err != nil {
			return c.changes(), err
		}
	}
	return c.changes(), nil
}
