package suite

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/fansync/fansync/bench/record"
)

// slowest is the longest latency the histogram holds, in microseconds.
const slowest = 3600 * 1e6

// latency is the distribution of arrival less due time. Both are nanoseconds of
// CLOCK_MONOTONIC by name. A name that never arrived is lost. Because the times
// count from when a change was due, a writer or an engine that fell behind
// does not hide its delay.
func latency(due, arrived map[string]int64) (*record.Latency, error) {
	h := hdrhistogram.New(1, slowest, 3)
	var lost int64
	for name, at := range due {
		seen, ok := arrived[name]
		if !ok {
			lost++
			continue
		}
		if err := h.RecordValue(max((seen-at)/1e3, 1)); err != nil {
			return nil, fmt.Errorf("latency of %q: %w", name, err)
		}
	}
	l := &record.Latency{
		Count: h.TotalCount(), Lost: lost, Mean: h.Mean(),
		P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99),
		P999: h.ValueAtQuantile(99.9), Max: h.Max(),
	}
	for _, b := range h.CumulativeDistribution() {
		if b.Count == 0 {
			continue
		}
		// Lost changes keep the curve below 1.
		share := float64(b.Count) / float64(len(due))
		p := record.Point{Micros: b.ValueAt, Share: share}
		if n := len(l.Counts); n > 0 && l.Counts[n-1].Micros == p.Micros {
			l.Counts[n-1] = p
			continue
		}
		l.Counts = append(l.Counts, p)
	}
	return l, nil
}
