package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
)

const (
	bigfileBytes = 1 << 30
	bigfilePiece = 4 << 20
)

type bigfile struct{}

func (bigfile) Name() string { return "bigfile" }

func (bigfile) Doc() string {
	return "Writes one file of 1 GiB in pieces of 4 MiB, as fast as it can."
}

func (bigfile) pieces(size Size) int { return size.count(bigfileBytes/bigfilePiece, 1) }

func (w bigfile) Needs(size Size) Needs {
	bytes := int64(w.pieces(size)) * bigfilePiece
	n := Needs{Remotes: 1, Params: fmt.Sprintf("bytes=%d piece=%d", bytes, bigfilePiece)}
	n.Bytes, n.Inodes = space(1, 1, bytes)
	return n
}

func (bigfile) Prepare(ctx context.Context, src string, size Size) error {
	return newPreparer(src, size, "bigfile").mkdir("data")
}

func (w bigfile) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "bigfile")
	err := w.write(ctx, c, w.pieces(size))
	return c.changes(), err
}

func (bigfile) write(ctx context.Context, c *changer, pieces int) (err error) {
	const name = "data/big.bin"
	c.note(name)
	f, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for range pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := f.Write(c.random(bigfilePiece)); err != nil {
			return err
		}
	}
	return nil
}
