package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
)

// lateness are times from a change to when the slowest remote shows it.
type lateness []time.Duration

func (l lateness) report(b *testing.B, what string) {
	b.Helper()
	slices.Sort(l)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(l[len(l)/2]), what+"p50-ms")
	b.ReportMetric(ms(l[len(l)*99/100]), what+"p99-ms")
}

// newFan is an engine that mirrors one root to n daemons.
func newFan(b *testing.B, n int) (e *running, src string, dsts []string) {
	b.Helper()
	m := newMirror(b, "auto")
	dsts = []string{m.dst}
	for i := range n - 1 {
		dst := b.TempDir()
		d := mirrortest.StartDaemon(b, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst}})
		m.conf.Roots[0].Remotes = append(m.conf.Roots[0].Remotes, config.Remote{Name: fmt.Sprint("far", i+2), Dest: d.URL("m", "")})
		dsts = append(dsts, dst)
	}
	mkdir(b, filepath.Join(m.src, "d"))
	for i := range 200 {
		write(b, filepath.Join(m.src, "d", fmt.Sprint(i)), "x")
	}
	e = m.start(b)
	e.flush(b)
	return e, m.src, dsts
}

// visible waits until a name is there, or is not, in all directories.
func visible(b *testing.B, dsts []string, name string, there bool) {
	b.Helper()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	deadline := time.After(flushTimeout)
	for _, dst := range dsts {
		for {
			if _, err := os.Lstat(filepath.Join(dst, name)); (err == nil) == there {
				break
			}
			select {
			case <-tick.C:
			case <-deadline:
				b.Fatalf("waited in vain for %s", name)
			}
		}
	}
}

// BenchmarkLatency makes, and removes, one file of 1 KB at a time and measures
// how long it takes until loopback daemons show it: with a rest before each
// change, and without.
func BenchmarkLatency(b *testing.B) {
	content := string(make([]byte, 1024))
	for _, c := range []struct {
		name    string
		remotes int
		rest    time.Duration
	}{{"one", 1, 100 * time.Millisecond}, {"one-without-rest", 1, 0}, {"four", 4, 100 * time.Millisecond}} {
		b.Run(c.name, func(b *testing.B) {
			e, src, dsts := newFan(b, c.remotes)
			var made, gone lateness
			before := e.trace.started("far")
			for b.Loop() {
				name := fmt.Sprintf("d/f%06d", len(made))
				<-time.After(c.rest)
				write(b, filepath.Join(src, name), content)
				begin := time.Now()
				visible(b, dsts, name, true)
				made = append(made, time.Since(begin))
				<-time.After(c.rest)
				begin = time.Now()
				if err := os.Remove(filepath.Join(src, name)); err != nil {
					b.Fatal(err)
				}
				visible(b, dsts, name, false)
				gone = append(gone, time.Since(begin))
			}
			made.report(b, "")
			gone.report(b, "removal-")
			b.ReportMetric(float64(e.trace.started("far")-before)/float64(b.N), "rsyncs/op")
			e.stop(b)
		})
	}
}

// BenchmarkLatencyOpenLoop makes 100 files of 1 KB a second, whatever becomes
// of them, and measures how long each takes.
func BenchmarkLatencyOpenLoop(b *testing.B) {
	const rate = 100
	content := string(make([]byte, 1024))
	e, src, dsts := newFan(b, 1)
	made := make(chan time.Time, 1<<20)
	var late lateness
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		i := 0
		for at := range made {
			visible(b, dsts, fmt.Sprintf("d/f%06d", i), true)
			late = append(late, time.Since(at))
			i++
		}
	}()
	before, i := e.trace.started("far"), 0
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		write(b, filepath.Join(src, fmt.Sprintf("d/f%06d", i)), content)
		made <- time.Now()
		i++
	}
	close(made)
	<-seen
	late.report(b, "")
	b.ReportMetric(float64(e.trace.started("far")-before)/float64(b.N), "rsyncs/op")
	e.stop(b)
}
