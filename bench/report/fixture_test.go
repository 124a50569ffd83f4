package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/fansync/fansync/bench/record"
)

// The cells of these tests are made up: they have the shapes that a report must
// show, not what any engine does.

// hostile is a name that tries to be markup, a table and a terminal's command.
const hostile = "\"a\x1b[31m\n<script>alert(1)</script>|`*_[x](javascript:y)\u202e\xff</svg>\""

func madeUpRun(reps int) record.Run {
	return record.Run{
		Kind: "run", Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Seed: 7, Reps: reps, Scale: 1,
		Command:  []string{"/somewhere/bin/bench", "run", "--reps", "5", "--name", "a b"},
		Host:     record.Host{Kind: "kvm-2cpu-24g", CPU: "AMD EPYC", Cores: 2, MemMB: 24010, Kernel: "6.18.3", OS: "Debian GNU/Linux 12", SrcFS: "ext4", DstFS: "tmpfs", Accounting: "cgroup2"},
		Versions: map[string]string{"fansync": "0.3.0", "lsyncd": "2.2.3", "rsync": "3.5.0 <b>"},
	}
}

var madeUpDocs = map[string]string{
	"trickle": "One small file every 20 ms for a minute, each at its own time.",
	"burst":   "2,000 files of 4 KB in 20 directories, as fast as they can be written.",
	"rename":  "A directory of 5,000 files is renamed, and a file in it rewritten.",
	"deep":    "A tree of 4 levels with 10 directories each is moved in.",
	"churn":   "Temporary files are written, renamed over others and removed <for> ten seconds.",
	"slow":    "Three mirrors, one of them throttled to 256 KiB/s.",
	"big":     "A file of 256 MB is appended to.",
}

// speed is how many times as long as the workload's base an engine takes.
var speed = []struct {
	engine                 string
	time, cpu, rss, rsyncs float64
}{
	{"lsyncd", 3.9, 1.4, 0.8, 0.6},
	{"fansync", 1, 1, 1, 1},
	{"sersync2", 2.2, 6, 0.5, 400},
	{"inotifywait", 5.5, 3.5, 0.2, 20},
	{"rsync", 1.8, 0.5, 0.3, 0.1},
	{"ideal", 0.7, 0.3, 0.25, 0.1},
}

// madeUp has every verdict: lsyncd crashes once, sersync2 is wrong often and
// with hostile names, the suite fails once, ideal is skipped once.
func madeUp(reps int) []record.Cell {
	rnd := rand.New(rand.NewPCG(1, 2))
	vary := func(v, by float64) float64 { return v * math.Exp(by*rnd.NormFloat64()) }
	var cells []record.Cell
	for rep := range reps {
		for i, w := range []struct{ name, params string }{
			{"trickle", "files=3000 every=20ms"}, {"burst", "files=2000 dirs=20"}, {"rename", "files=5000"}, {"deep", "dirs=11110"},
			{"churn", "seconds=10"}, {"slow", "files=500 remotes=3 slow=1"}, {"big", "bytes=256M"},
		} {
			base := []float64{0.004, 0.8, 0.35, 2.5, 0.6, 14, 1.6}[i]
			for _, e := range speed {
				c := record.Cell{Kind: "cell", Engine: e.engine, Workload: w.name, Params: w.params, Rep: rep, Seed: 7 + uint64(rep), Verdict: record.Right}
				c.LoadSeconds = vary(base*2, 0.02)
				c.ConvergeSeconds = vary(base*e.time, 0.08)
				if e.engine == "sersync2" && w.name == "big" {
					c.ConvergeSeconds = vary(base*0.6, 0.05)
				}
				c.TotalSeconds = c.LoadSeconds + c.ConvergeSeconds
				c.CPUSeconds, c.PeakRSSMB, c.DaemonRSSMB = vary(base*e.cpu+0.05, 0.05), vary(62*e.rss, 0.03), vary(30*e.rss, 0.03)
				c.Rsyncs, c.WireBytes = int(vary(math.Max(1, 5*e.rsyncs), 0.1)), int64(vary(8.4e6*base, 0.01))
				live := e.engine != "ideal" && e.engine != "rsync"
				if live {
					c.ReadySeconds, c.IdleCPU = vary(0.2*e.time, 0.1), vary(0.002*e.cpu, 0.2)
				}
				if w.name == "trickle" && live {
					c.Latency = madeUpLatency(rnd, 4000*math.Pow(e.time, 3), 1000)
				}
				spoil(&c)
				cells = append(cells, c)
			}
		}
	}
	return cells
}

func spoil(c *record.Cell) {
	switch {
	case c.Engine == "sersync2" && c.Workload == "churn":
		c.Verdict, c.WrongPaths, c.WrongSample = record.Wrong, 12+c.Rep, []string{hostile + ": missing", `"plain": content`}
	case c.Engine == "sersync2" && c.Workload == "deep" && c.Rep == 1:
		c.Verdict, c.WrongPaths, c.WrongSample = record.Wrong, 1, []string{`"d/.hidden": missing`}
	case c.Engine == "lsyncd" && c.Workload == "rename" && c.Rep == 2:
		c.Verdict, c.Note = record.Crashed, "exit status 139 "+hostile
	case c.Engine == "fansync" && c.Workload == "slow" && c.Rep == 0:
		c.Verdict, c.Note = record.Failed, "the daemon's port was taken"
	case c.Engine == "ideal" && c.Workload == "slow":
		*c = record.Cell{Kind: c.Kind, Engine: c.Engine, Workload: c.Workload, Rep: c.Rep, Verdict: record.Skipped, Note: "one rsync cannot serve three mirrors"}
	}
}

// madeUpLatency is log-normal with a few stragglers.
func madeUpLatency(rnd *rand.Rand, mid float64, n int) *record.Latency {
	at := make([]float64, n)
	for i := range at {
		at[i] = mid * math.Exp(0.35*rnd.NormFloat64())
		if rnd.Float64() < 0.02 {
			at[i] *= 5
		}
	}
	f := summarise(at, 0)
	us := func(q float64) int64 { return int64(quantile(f.Values, q)) }
	l := &record.Latency{Count: int64(n), Mean: mid, P50: us(0.5), P90: us(0.9), P99: us(0.99), P999: us(0.999), Max: us(1)}
	for i := 0; i <= 200; i++ {
		q := float64(i) / 200
		l.Counts = append(l.Counts, record.Point{Micros: us(q), Share: q})
	}
	return l
}
