package workload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// source copies the Go source tree of this machine: real names, depths and
// sizes. Its numbers depend on the Go that is installed, so Params tells them.
type source struct{}

func (source) Name() string { return "source" }

func (source) Doc() string {
	return "Copies the source tree of the installed Go into the mirrored one: some 1,300 directories, 11,500 files and 130 MB."
}

// goSource finds GOROOT/src without running go.
func goSource() (string, error) {
	roots := []string{os.Getenv("GOROOT")}
	if program, err := exec.LookPath("go"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(program)))
		}
	}
	for _, root := range append(roots, "/usr/local/go", "/usr/lib/go") {
		if root == "" {
			continue
		}
		src, err := filepath.EvalSymlinks(filepath.Join(root, "src"))
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(src, "runtime", "proc.go")); err == nil {
			return src, nil
		}
	}
	return "", errors.New("workload source: no Go source tree was found: install Go from https://go.dev/dl/ or set GOROOT")
}

// item is one name to copy, relative to the tree it comes from. Parents come
// before what is in them.
type item struct {
	rel  string
	mode fs.FileMode // type and permissions
	size int64
}

// items are the first directories in lexical order, as many as the scale says,
// with the files and links directly in them.
func (source) items(ctx context.Context, root string, size Size) ([]item, error) {
	var all []item
	dirs := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if t := d.Type(); !t.IsRegular() && !t.IsDir() && t != fs.ModeSymlink {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs++
		}
		all = append(all, item{rel, info.Mode(), info.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the Go source tree: %w", err)
	}
	return prefix(all, size.count(dirs, 5)), nil
}

// prefix keeps the first n directories, and what lies directly in one of them.
func prefix(all []item, n int) []item {
	taken := map[string]bool{}
	var kept []item
	for _, it := range all {
		if it.mode.IsDir() && len(taken) < n {
			taken[it.rel] = true
			kept = append(kept, it)
		} else if !it.mode.IsDir() && taken[filepath.Dir(it.rel)] {
			kept = append(kept, it)
		}
	}
	return kept
}

// tally counts what Params and the bounds tell.
func tally(items []item) (dirs, files int, bytes int64) {
	for _, it := range items {
		if it.mode.IsDir() {
			dirs++
			continue
		}
		files++
		bytes += it.size
	}
	return dirs, files, bytes
}

func (w source) Needs(size Size) Needs {
	n := Needs{Remotes: 1}
	root, err := goSource()
	var items []item
	if err == nil {
		items, err = w.items(context.Background(), root, size)
	}
	if err != nil {
		// Prepare returns it.
		n.Params = "no Go source tree"
		return n
	}
	dirs, files, bytes := tally(items)
	n.Params = fmt.Sprintf("files=%d dirs=%d bytes=%d", files, dirs, bytes)
	// Each file's last block is not full.
	n.Bytes, n.Inodes = space(dirs+1, files, blockBytes)
	n.Bytes += bytes
	return n
}

// Prepare reads what Run will copy, so that the first engine does not wait for
// the disk where the others find it in memory.
func (w source) Prepare(ctx context.Context, src string, size Size) error {
	root, err := goSource()
	if err != nil {
		return err
	}
	items, err := w.items(ctx, root, size)
	if err != nil {
		return err
	}
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !it.mode.IsRegular() {
			continue
		}
		if _, err := os.ReadFile(filepath.Join(root, it.rel)); err != nil {
			return err
		}
	}
	return newPreparer(src, size, "source").mkdir("projects")
}

func (w source) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "source")
	root, err := goSource()
	if err != nil {
		return c.changes(), err
	}
	items, err := w.items(ctx, root, size)
	if err != nil {
		return c.changes(), err
	}
	c.note("projects/go")
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return c.changes(), err
		}
		if err := copyItem(root, c.path("projects/go"), it); err != nil {
			return c.changes(), err
		}
	}
	return c.changes(), nil
}

// copyItem copies as cp -r does: permissions, but not times.
func copyItem(from, to string, it item) error {
	from, to = filepath.Join(from, it.rel), filepath.Join(to, it.rel)
	switch it.mode.Type() {
	case fs.ModeDir:
		// Writable also where an installed tree is not.
		return os.Mkdir(to, it.mode.Perm()|0o700)
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, it.mode.Perm())
}
