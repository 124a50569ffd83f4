package workload

import (
	"context"
	"fmt"
)

const (
	latencyDir   = "arrivals"
	latencyRate  = 200
	latencyBytes = 1024
)

type latency struct{}

func (latency) Name() string { return "latency" }

func (latency) Doc() string {
	return "Creates 2,000 files of 1 KiB in one directory, 200 a second whatever the engine does, and takes the time to the mirror of each."
}

func (latency) files(size Size) int { return size.count(2_000, 20) }

func (w latency) Needs(size Size) Needs {
	n := Needs{
		Remotes: 1, Latency: true, LatencyDir: latencyDir, Skip: notLive(),
		Params: fmt.Sprintf("files=%d rate=%d/s bytes=%d", w.files(size), latencyRate, latencyBytes),
	}
	n.Bytes, n.Inodes = space(1, w.files(size), latencyBytes)
	return n
}

func (latency) Prepare(ctx context.Context, src string, size Size) error {
	return newPreparer(src, size, "latency").mkdir(latencyDir)
}

func (w latency) Run(ctx context.Context, src string, size Size) (Changes, error) {
	c := newChanger(src, size, "latency")
	due := map[string]int64{}
	err := w.create(ctx, c, w.files(size), due)
	changes := c.changes()
	changes.Due = due
	return changes, err
}

func (latency) create(ctx context.Context, c *changer, files int, due map[string]int64) error {
	s, err := startSchedule(latencyRate)
	if err != nil {
		return err
	}
	for i := range files {
		if err := s.wait(ctx, i); err != nil {
			return err
		}
		name := fmt.Sprintf("f%06d", i)
		if err := c.create(latencyDir+"/"+name, latencyBytes); err != nil {
			return err
		}
		due[name] = s.due(i)
	}
	return nil
}
