package workload

import (
	"context"
	"fmt"
	"os"
)

const (
	savesRate  = 200
	savesBytes = 8 << 10
)

type saves struct{}

func (saves) Name() string { return "saves" }

func (saves) Doc() string {
	return "Saves 50 files 500 times as editors do, 200 a second, in turn as vim (swap file, probe 4913, backup with a tilde) and as gedit (temporary file renamed into place)."
}

func (saves) dims(size Size) (files, saves int) {
	return size.count(50, 4), size.count(500, 20)
}

func (w saves) Needs(size Size) Needs {
	files, saves := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("files=%d saves=%d rate=%d/s bytes=1-%d", files, saves, savesRate, savesBytes),
	}
	n.Bytes, n.Inodes = space(1, files, savesBytes)
	return n
}

func (saves) file(i int) string { return fmt.Sprintf("text%04d.txt", i) }

func (w saves) Prepare(ctx context.Context, src string, size Size) error {
	c := newPreparer(src, size, "saves")
	if err := c.mkdir("doc"); err != nil {
		return err
	}
	files, _ := w.dims(size)
	for i := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.create("doc/"+w.file(i), 1+c.rng.IntN(savesBytes)); err != nil {
			return err
		}
	}
	return nil
}

func (w saves) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "saves")
	files, saves := w.dims(size)
	err := w.save(ctx, c, files, saves)
	return c.changes(), err
}

func (w saves) save(ctx context.Context, c *changer, files, saves int) error {
	s, err := startSchedule(savesRate)
	if err != nil {
		return err
	}
	for i := range saves {
		if err := s.wait(ctx, i); err != nil {
			return err
		}
		way := saveVim
		if i%2 == 1 {
			way = saveGedit
		}
		if err := way(c, "doc/", w.file(c.rng.IntN(files)), 1+c.rng.IntN(savesBytes)); err != nil {
			return err
		}
	}
	return nil
}

// saveVim does what vim does to edit and save one file with the options that
// distributions ship (swapfile, writebackup, backupcopy=auto).
func saveVim(c *changer, dir, name string, n int) error {
	file, swap := dir+name, dir+"."+name+".swp"
	steps := []func() error{
		func() error { return c.create(swap, 4096) },
		// Does the filesystem tell .swp and .swx apart?
		func() error { return c.create(dir+"."+name+".swx", 0) },
		func() error { return c.unlink(dir + "." + name + ".swx") },
		func() error { return c.extend(swap, 8192) },
		// May a file be made here at all?
		func() error { return c.create(dir+"4913", 0) },
		func() error { return c.unlink(dir + "4913") },
		func() error { return c.rename(file, file+"~") },
		func() error { return c.create(file, n) },
		func() error { return os.Chmod(c.path(file), 0o644) },
		func() error { return c.unlink(file + "~") },
		func() error { return c.unlink(swap) },
	}
	return inOrder(steps)
}

// saveGedit is the way of GLib's g_file_replace, which GNOME's programs share.
func saveGedit(c *changer, dir, name string, n int) error {
	tmp := fmt.Sprintf("%s.goutputstream-%06X", dir, c.rng.IntN(1<<24))
	steps := []func() error{
		func() error { return c.create(tmp, n) },
		func() error { return os.Chmod(c.path(tmp), 0o644) },
		func() error { return c.rename(tmp, dir+name) },
	}
	return inOrder(steps)
}

func inOrder(steps []func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
