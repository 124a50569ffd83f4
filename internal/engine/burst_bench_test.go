package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
)

// BenchmarkBurst writes 2,000 small files in 20 directories and measures until
// a real daemon has them, from the first write and from the last, as ratios to
// one plain rsync -a of the same tree to an empty module of the same daemon.
func BenchmarkBurst(b *testing.B) {
	var live, tail, plain time.Duration
	processes := 0
	for b.Loop() {
		src, dst, other := filepath.Join(mirrortest.TmpfsDir(b), "src"), b.TempDir(), b.TempDir()
		d := mirrortest.StartDaemon(b, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst, "plain": other}})
		if err := os.MkdirAll(src, 0o755); err != nil {
			b.Fatal(err)
		}
		e := startEngine(b, oneRemote(src, d.URL("m", "")), &trace{})
		e.flush(b)
		// What changes right after a run is sent with less trust than the burst
		// of an idle tree that this is about.
		<-time.After(1500 * time.Millisecond)
		before := e.trace.started("far")
		begin := time.Now()
		for i := range 2000 {
			dir := filepath.Join(src, fmt.Sprintf("d%02d", i/100))
			if i%100 == 0 {
				mkdir(b, dir)
			}
			write(b, filepath.Join(dir, fmt.Sprintf("f%04d", i)), fmt.Sprintf("file %d", i))
		}
		written := time.Now()
		e.flush(b)
		live += time.Since(begin)
		tail += time.Since(written)
		processes += e.trace.started("far") - before
		mirrortest.RequireEqual(b, src, dst, mirrortest.DiffOptions{})
		begin = time.Now()
		if out, err := exec.Command("rsync", "-a", src+"/", d.URL("plain", "")).CombinedOutput(); err != nil {
			b.Fatalf("rsync: %v: %s", err, out)
		}
		plain += time.Since(begin)
		e.stop(b)
	}
	b.ReportMetric(live.Seconds()/plain.Seconds(), "from-first-write/plain-rsync")
	b.ReportMetric(tail.Seconds()/plain.Seconds(), "from-last-write/plain-rsync")
	b.ReportMetric(float64(processes)/float64(b.N), "rsyncs/op")
}
