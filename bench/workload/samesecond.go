package workload

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	secondBytes    = 1_000
	secondRewrites = 3
	// The rewrites of a round come so long after the beginning of a second of
	// the wall clock, with time for an engine to send the file in between.
	secondFirst = 50 * time.Millisecond
	secondStep  = 300 * time.Millisecond
)

// samesecond finds engines that compare whole seconds: they have sent a file
// when it is rewritten, and then take it for unchanged. Each round has files
// of its own, or the next round would mend the losses of the last one.
type samesecond struct{}

func (samesecond) Name() string { return "samesecond" }

func (samesecond) Doc() string {
	return "Rewrites 200 files three times at the same size within one second, in 3 rounds with other files each."
}

func (samesecond) dims(size Size) (files, rounds int) {
	return size.count(200, 5), size.count(3, 1)
}

func (w samesecond) Needs(size Size) Needs {
	files, rounds := w.dims(size)
	n := Needs{
		Remotes: 1,
		Params:  fmt.Sprintf("files=%d rewrites=%d rounds=%d bytes=%d", files, secondRewrites, rounds, secondBytes),
	}
	n.Bytes, n.Inodes = space(rounds, files*rounds, secondBytes)
	return n
}

func (samesecond) dir(round int) string { return fmt.Sprintf("round%d", round) }

func (w samesecond) file(round, i int) string { return fmt.Sprintf("%s/f%05d", w.dir(round), i) }

func (w samesecond) Prepare(ctx context.Context, src string, size Size) error {
	c := newPreparer(src, size, "samesecond")
	files, rounds := w.dims(size)
	for round := range rounds {
		if err := c.mkdir(w.dir(round)); err != nil {
			return err
		}
		for i := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.create(w.file(round, i), secondBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w samesecond) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "samesecond")
	files, rounds := w.dims(size)
	for round := range rounds {
		if err := w.rewrite(ctx, c, round, files); err != nil {
			return c.changes(), err
		}
	}
	return c.changes(), nil
}

func (w samesecond) rewrite(ctx context.Context, c *changer, round, files int) error {
	second, err := nextSecond()
	if err != nil {
		return err
	}
	for k := range secondRewrites {
		if err := waitUntil(ctx, second+int64(secondFirst)+int64(k)*int64(secondStep)); err != nil {
			return err
		}
		for i := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := c.overwrite(w.file(round, i), secondBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextSecond is when the next second of the wall clock begins, on
// CLOCK_MONOTONIC.
func nextSecond() (int64, error) {
	wall, err := clock(unix.CLOCK_REALTIME)
	if err != nil {
		return 0, err
	}
	now, err := monotonic()
	return secondAfter(wall, now), err
}

// secondAfter is for a moment that the two clocks show as wall and now, in
// nanoseconds.
func secondAfter(wall, now int64) int64 { return now + int64(time.Second) - wall%int64(time.Second) }
