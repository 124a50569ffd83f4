package report

import "github.com/fansync/fansync/bench/record"

// measure is one figure of a Cell.
type measure struct {
	key   string // part of a plot's file name
	title string // the column's heading
	unit  unit
	// floor is what the measure can tell apart, in its unit.
	floor float64
	// of is the figure; false if the cell does not have it.
	of func(record.Cell) (float64, bool)
}

// tick is how finely a file's ctime, which tells when it arrived, is counted by
// kernels that have no finer clock for it.
const tick = 0.010

var (
	converge = measure{"time", "converged after", seconds, tick, always(func(c record.Cell) float64 { return c.ConvergeSeconds })}
	total    = measure{"total", "total", seconds, tick, always(func(c record.Cell) float64 { return c.TotalSeconds })}
	load     = measure{"load", "load", seconds, 0, always(func(c record.Cell) float64 { return c.LoadSeconds })}
	ready    = measure{"ready", "ready after", seconds, 0, ifAny(func(c record.Cell) float64 { return c.ReadySeconds })}

	cpu       = measure{"cpu", "CPU time", seconds, 0, always(func(c record.Cell) float64 { return c.CPUSeconds })}
	idle      = measure{"idle", "CPU when idle", share, 0, ifAny(func(c record.Cell) float64 { return c.IdleCPU })}
	peakRSS   = measure{"rss", "peak RSS", megabytes, 0, ifAny(func(c record.Cell) float64 { return c.PeakRSSMB })}
	daemonRSS = measure{"daemon-rss", "daemon RSS", megabytes, 0, ifAny(func(c record.Cell) float64 { return c.DaemonRSSMB })}

	rsyncs = measure{"rsyncs", "rsync transfers", count, 0, always(func(c record.Cell) float64 { return float64(c.Rsyncs) })}
	wire   = measure{"wire", "on the wire", bytesOf, 0, always(func(c record.Cell) float64 { return float64(c.WireBytes) })}

	p50  = measure{"p50", "p50", micros, 0, latency(func(l record.Latency) float64 { return float64(l.P50) })}
	p90  = measure{"p90", "p90", micros, 0, latency(func(l record.Latency) float64 { return float64(l.P90) })}
	p99  = measure{"p99", "p99", micros, 0, latency(func(l record.Latency) float64 { return float64(l.P99) })}
	p999 = measure{"p999", "p99.9", micros, 0, latency(func(l record.Latency) float64 { return float64(l.P999) })}
	most = measure{"max", "max", micros, 0, latency(func(l record.Latency) float64 { return float64(l.Max) })}
	lost = measure{"lost", "never seen", count, 0, never}
)

// table is a group of measures that are shown together, the first with ratios.
type table struct {
	title, note string
	measures    []measure
}

var (
	latencyTable = table{"Latency", "From the moment a change was due to the moment it was visible at the mirror.",
		[]measure{p50, p90, p99, p999, most, lost}}
	tables = []table{
		{"Time", "Converged after: from the end of the changes to the last change at the last mirror that was waited for. Total: from their beginning.",
			[]measure{converge, total, load, ready}},
		latencyTable,
		{"Processor", "Of the engine and all that it started, from before the changes until the mirrors rested after them; the mirrors' own daemons are not counted.",
			[]measure{cpu, idle}},
		{"Memory", "The largest sum of resident memory of the engine and all that it started, where shared pages count for each process, and that of its own process.",
			[]measure{peakRSS, daemonRSS}},
		{"Transfers", "What the mirrors' rsync daemons served, from before the changes until they rested.",
			[]measure{rsyncs, wire}},
	}
)

func always(of func(record.Cell) float64) func(record.Cell) (float64, bool) {
	return func(c record.Cell) (float64, bool) { return of(c), true }
}

// ifAny takes 0 for not measured.
func ifAny(of func(record.Cell) float64) func(record.Cell) (float64, bool) {
	return func(c record.Cell) (float64, bool) { v := of(c); return v, v > 0 }
}

// never also counts where nothing at all was seen.
func never(c record.Cell) (float64, bool) {
	if c.Latency == nil {
		return 0, false
	}
	return float64(c.Latency.Lost), true
}

func latency(of func(record.Latency) float64) func(record.Cell) (float64, bool) {
	return func(c record.Cell) (float64, bool) {
		// Without a change that was seen there is no time of one.
		if c.Latency == nil || c.Latency.Count == 0 {
			return 0, false
		}
		return of(*c.Latency), true
	}
}
