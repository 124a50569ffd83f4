package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// forest is a tree of n directories below top, at most fanout in each, filled
// level by level. Directories have the numbers 0 to n-1, parents first. With
// none, the files lie in top itself.
type forest struct {
	top string // relative
	n   int
}

const fanout = 10

func (f forest) dir(i int) string {
	if f.n == 0 {
		return f.top
	}
	name := fmt.Sprintf("d%d", i%fanout)
	if i < fanout {
		return f.top + "/" + name
	}
	return f.dir(i/fanout-1) + "/" + name
}

// plant makes top and the directories, and spreads files of so many random
// bytes evenly over them, by several goroutines. They are "f0", "f1" and so on.
func (f forest) plant(ctx context.Context, src string, size Size, files, fileBytes int) error {
	if err := os.Mkdir(src+"/"+f.top, 0o755); err != nil {
		return err
	}
	for i := range f.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.Mkdir(src+"/"+f.dir(i), 0o755); err != nil {
			return err
		}
	}
	homes := max(f.n, 1)
	var (
		next    atomic.Int64
		workers sync.WaitGroup
		errs    = make([]error, runtime.GOMAXPROCS(0))
	)
	for w := range errs {
		workers.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= homes {
					return
				}
				// Its share: the first of them get one more.
				share := (files + homes - 1 - i) / homes
				errs[w] = f.populate(ctx, src, size, i, share, fileBytes)
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// populate makes the files of one directory. Their contents depend on its
// number, not on the goroutine that happens to make them.
func (f forest) populate(ctx context.Context, src string, size Size, dir, files, fileBytes int) error {
	rng := size.random(f.top + fmt.Sprint(dir))
	var buf []byte
	base := src + "/" + f.dir(dir) + "/f"
	for j := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := fmt.Sprint(base, j)
		if fileBytes == 0 {
			// One system call instead of three.
			if err := unix.Mknod(path, unix.S_IFREG|0o644, 0); err != nil {
				return &os.PathError{Op: "mknod", Path: path, Err: err}
			}
			continue
		}
		buf = fill(buf, rng, fileBytes)
		if err := put(path, os.O_CREATE|os.O_EXCL, buf); err != nil {
			return err
		}
	}
	return nil
}
