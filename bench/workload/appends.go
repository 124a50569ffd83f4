package workload

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

const (
	appendsRate = 2_000
	appendsLine = 120
)

type appends struct{}

func (appends) Name() string { return "appends" }

func (appends) Doc() string {
	return "Appends lines of up to 120 bytes to 20 logs in turn for 3 seconds, 2,000 lines a second, keeping the logs open as servers do until the end."
}

func (appends) dims(size Size) (logs, lines int) {
	return size.count(20, 2), size.count(6_000, 40)
}

func (w appends) Needs(size Size) Needs {
	logs, lines := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("logs=%d lines=%d rate=%d/s bytes=2-%d", logs, lines, appendsRate, appendsLine),
	}
	n.Bytes, n.Inodes = space(1, logs, int64(lines/logs+2)*appendsLine)
	return n
}

func (appends) log(i int) string { return fmt.Sprintf("log/server%03d.log", i) }

func (w appends) Prepare(ctx context.Context, src string, size Size) error {
	c := newPreparer(src, size, "appends")
	if err := c.mkdir("log"); err != nil {
		return err
	}
	logs, _ := w.dims(size)
	for i := range logs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := put(c.path(w.log(i)), os.O_CREATE|os.O_EXCL, w.line(c)); err != nil {
			return err
		}
	}
	return nil
}

// line is text that ends in a newline.
func (appends) line(c *changer) []byte {
	n := 1 + c.rng.IntN(appendsLine-1)
	text := hex.AppendEncode(nil, c.random(n/2+1))
	return append(text[:n], '\n')
}

func (w appends) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "appends")
	logs, lines := w.dims(size)
	err := w.append(ctx, c, logs, lines)
	return c.changes(), err
}

func (w appends) append(ctx context.Context, c *changer, logs, lines int) (err error) {
	open := make([]*os.File, 0, logs)
	defer func() {
		for _, f := range open {
			err = errors.Join(err, f.Close())
		}
	}()
	for i := range logs {
		c.note(w.log(i))
		f, err := os.OpenFile(c.path(w.log(i)), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		open = append(open, f)
	}
	s, err := startSchedule(appendsRate)
	if err != nil {
		return err
	}
	for i := range lines {
		if err := s.wait(ctx, i); err != nil {
			return err
		}
		if _, err := open[i%logs].Write(w.line(c)); err != nil {
			return err
		}
	}
	return nil
}
