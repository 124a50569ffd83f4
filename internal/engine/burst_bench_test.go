package engine

import (
	"os/exec"
	"testing"
	"time"
)

// BenchmarkBurst writes 2,000 small files in 20 directories and measures until
// a real daemon has them, from the first write and from the last, as ratios to
// one plain rsync -a of the same tree to an empty module of the same daemon.
// The tree has been idle for longer than a run is remembered as recent, or the
// burst begins in the moment in which a run has ended.
func BenchmarkBurst(b *testing.B) {
	for _, c := range []struct {
		name string
		idle time.Duration
	}{{"idle", 1500 * time.Millisecond}, {"right-after-a-run", 0}} {
		b.Run(c.name, func(b *testing.B) {
			var live, tail, plain time.Duration
			processes := 0
			for b.Loop() {
				x := newBurst(b)
				<-time.After(c.idle)
				begin := time.Now()
				x.write(b, "file %d")
				written := time.Now()
				x.flush(b)
				live += time.Since(begin)
				tail += time.Since(written)
				n := x.check(b)
				if n > maxBurstRuns {
					b.Fatalf("%d runs of rsync for one burst, at most %d may be\n%s", n, maxBurstRuns, x.trace)
				}
				processes += n
				begin = time.Now()
				if out, err := exec.Command("rsync", "-a", x.src+"/", x.plain).CombinedOutput(); err != nil {
					b.Fatalf("rsync: %v: %s", err, out)
				}
				plain += time.Since(begin)
				x.stop(b)
			}
			b.ReportMetric(live.Seconds()/plain.Seconds(), "from-first-write/plain-rsync")
			b.ReportMetric(tail.Seconds()/plain.Seconds(), "from-last-write/plain-rsync")
			b.ReportMetric(float64(processes)/float64(b.N), "rsyncs/op")
		})
	}
}
