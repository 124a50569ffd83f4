package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// BenchmarkFullRun measures the first comparison of 60,000 files of 1 kB in 600
// directories with a daemon that has nothing, and the next one, when it has
// everything, for one, two and four rsyncs, as ratios to one.
func BenchmarkFullRun(b *testing.B) {
	src := filepath.Join(mirrortest.TmpfsDir(b), "src")
	content := random(1, 1000)
	for d := range 600 {
		dir := filepath.Join(src, fmt.Sprintf("t%d", d%20), fmt.Sprintf("d%03d", d))
		mkdir(b, dir)
		for f := range 100 {
			write(b, filepath.Join(dir, fmt.Sprintf("f%02d", f)), content)
		}
	}
	sync := func(shards int, dst string) time.Duration {
		m := &mirror{src: src, dst: dst}
		m.daemon = mirrortest.StartDaemon(b, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst}})
		m.conf = oneRemote(src, m.daemon.URL("m", ""))
		begin := time.Now()
		e := startTuned(b, m.conf, &trace{}, Options{Tune: func(c *scheduler.Config) {
			c.ShardMin, c.Remotes[0].Shards = 1<<20, shards
		}})
		e.flush(b)
		took := time.Since(begin)
		e.stop(b)
		return took
	}
	for b.Loop() {
		var first, next time.Duration
		for _, shards := range []int{1, 2, 4} {
			dst := b.TempDir()
			x, y := sync(shards, dst), sync(shards, dst)
			if err := os.RemoveAll(dst); err != nil {
				b.Fatal(err)
			}
			if shards == 1 {
				first, next = x, y
				b.ReportMetric(x.Seconds(), "s/first-by-1")
				b.ReportMetric(y.Seconds(), "s/next-by-1")
				continue
			}
			b.ReportMetric(x.Seconds()/first.Seconds(), fmt.Sprintf("first-by-%d/by-1", shards))
			b.ReportMetric(y.Seconds()/next.Seconds(), fmt.Sprintf("next-by-%d/by-1", shards))
		}
	}
}
