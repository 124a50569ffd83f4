package workload

import (
	"context"
	"fmt"
)

// rename keeps as many files as it renames (and some more, empty ones): an
// engine that mirrors a rename as a delete and a copy is not to look as if it
// lost the tree.
type rename struct {
	name        string
	files, dirs int // dirs of 1 means that all files lie in the renamed one
	bytes       int // of each file
}

func (w rename) Name() string { return w.name }

func (w rename) Doc() string {
	where := "in it"
	if w.dirs > 1 {
		where = fmt.Sprintf("in %d directories on two levels below it", w.dirs)
	}
	return fmt.Sprintf("Renames one directory with %s files of %d bytes %s; a few more empty files stay.", thousands(w.files), w.bytes, where)
}

func (w rename) dims(size Size) (files, dirs, kept, keptDirs int) {
	files = size.count(w.files, 50)
	if w.dirs > 1 {
		dirs = size.count(w.dirs, fanout+2)
	}
	kept = files + files/10
	return files, dirs, kept, size.count(w.files/100, 2)
}

func (w rename) Needs(size Size) Needs {
	files, dirs, kept, keptDirs := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("files=%d dirs=%d bytes=%d kept=%d", files, dirs+1, w.bytes, kept),
	}
	moved, movedNodes := space(dirs+1, files, int64(w.bytes))
	stay, stayNodes := space(keptDirs+1, kept, 0)
	// Most engines send the new directory before they remove the old one.
	n.Bytes, n.Inodes = 2*moved+stay, 2*movedNodes+stayNodes
	return n
}

func (w rename) Prepare(ctx context.Context, src string, size Size) error {
	files, dirs, kept, keptDirs := w.dims(size)
	if err := (forest{"site", dirs}).plant(ctx, src, size, files, w.bytes); err != nil {
		return err
	}
	return forest{"kept", keptDirs}.plant(ctx, src, size, kept, 0)
}

func (w rename) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, w.name)
	if err := ctx.Err(); err != nil {
		return c.changes(), err
	}
	err := c.rename("site", "moved")
	return c.changes(), err
}
