package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkAppendToALargeFile appends 1 MB to a file of 1 GB and tells how much
// went over the wire for it.
func BenchmarkAppendToALargeFile(b *testing.B) {
	m := newMirror(b, "auto")
	big := filepath.Join(m.src, "big")
	write(b, big, random(1, 1<<30))
	e := m.start(b)
	e.flush(b)
	f, err := os.OpenFile(big, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	before := e.remote("far").Counts.WireBytes
	for b.Loop() {
		if _, err := f.WriteString(random(int64(b.N), 1<<20)); err != nil {
			b.Fatal(err)
		}
		e.flush(b)
	}
	m.equal(b)
	wire := e.remote("far").Counts.WireBytes - before
	b.ReportMetric(float64(wire)/float64(b.N)/(1<<20), "wire/appended")
}

// BenchmarkBesideALargeFile measures from the write of a small file until it is
// at a remote that takes 4 MB/s, in the same directory as a file of 2 GB that is
// being sent to it all the while, and at one that is fast; and both as ratios to
// the same without the large file.
func BenchmarkBesideALargeFile(b *testing.B) {
	m := largeMirror(b)
	mkdir(b, filepath.Join(m.src, "d"))
	e := m.start(b)
	e.flush(b)
	n := 0
	latencies := func() (slow, fast []time.Duration) {
		for range 50 {
			n++
			name := fmt.Sprintf("d/small%d", n)
			begin := time.Now()
			write(b, filepath.Join(m.src, name), "small")
			arrival := func(dir string) time.Duration {
				await(b, name, func() bool {
					_, err := os.Lstat(filepath.Join(dir, name))
					return err == nil
				})
				return time.Since(begin)
			}
			done := make(chan time.Duration)
			go func() { done <- arrival(m.near()) }()
			slow = append(slow, arrival(m.dst))
			fast = append(fast, <-done)
			<-time.After(100 * time.Millisecond)
		}
		slices.Sort(slow)
		slices.Sort(fast)
		return slow, fast
	}
	for b.Loop() {
		slowAlone, fastAlone := latencies()
		runs := e.trace.started("far")
		// It comes in one piece, so that there is one flight for it.
		outside := filepath.Join(filepath.Dir(m.src), "big")
		write(b, outside, random(1, 2<<30))
		if err := os.Rename(outside, filepath.Join(m.src, "d", "big")); err != nil {
			b.Fatal(err)
		}
		e.awaitRuns(b, "far", runs+1)
		await(b, "the large file at the fast remote", func() bool {
			_, err := os.Lstat(filepath.Join(m.near(), "d/big"))
			return err == nil
		})
		slow, fast := latencies()
		if m.arrived("d/big") {
			b.Fatal("the large file was not in flight")
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(slow[len(slow)/2]), "slow-p50-ms")
		b.ReportMetric(ms(slow[len(slow)-1]), "slow-max-ms")
		b.ReportMetric(ms(fast[len(fast)-1]), "fast-max-ms")
		b.ReportMetric(ms(slow[len(slow)/2])/ms(slowAlone[len(slowAlone)/2]), "slow-p50/alone")
		b.ReportMetric(ms(fast[len(fast)/2])/ms(fastAlone[len(fastAlone)/2]), "fast-p50/alone")
	}
}
