// Package record holds what a run of the suite writes down: one JSON object a
// line, first the Run, then a Cell for each engine, workload and repetition.
package record

import "time"

// Run is the first line of a file of results: what was run, and where.
type Run struct {
	Kind     string            `json:"kind"` // "run"
	Started  time.Time         `json:"started"`
	Command  []string          `json:"command"`
	Host     Host              `json:"host"`
	Versions map[string]string `json:"versions"` // engine or program -> its version
	Seed     uint64            `json:"seed"`
	Reps     int               `json:"reps"`
	Scale    float64           `json:"scale"`
}

// Host tells of the machine without naming it.
type Host struct {
	Kind   string `json:"kind"` // such as "kvm-2cpu-24g"
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	MemMB  int    `json:"mem_mb"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	SrcFS  string `json:"src_fs"`
	DstFS  string `json:"dst_fs"`
	// Accounting is how CPU time was taken: "cgroup2", "cgroup1" or "rusage".
	Accounting string `json:"accounting"`
}

// Verdict says whether the mirrors ended equal to the source.
type Verdict string

const (
	Right   Verdict = "right"
	Wrong   Verdict = "wrong"   // after the engine had come to rest or its time was over
	Crashed Verdict = "crashed" // the engine ended by itself
	Skipped Verdict = "skipped" // the engine is not there or cannot do it
	Failed  Verdict = "failed"  // the suite could not do its part
)

// Cell is one engine at one workload once. Figures of a Cell that is not Right
// are context; no report shows its times as results.
type Cell struct {
	Kind     string  `json:"kind"` // "cell"
	Engine   string  `json:"engine"`
	Workload string  `json:"workload"`
	Params   string  `json:"params,omitempty"` // what the workload was asked for, such as "files=2000 dirs=20"
	Rep      int     `json:"rep"`
	Seed     uint64  `json:"seed"`
	Verdict  Verdict `json:"verdict"`
	// WrongPaths counts the paths in which a mirror differs, WrongSample names
	// some of them, quoted, with how they differ.
	WrongPaths  int      `json:"wrong_paths,omitempty"`
	WrongSample []string `json:"wrong_sample,omitempty"`
	// Note says why it was skipped or failed, or what else a reader must know.
	Note string `json:"note,omitempty"`

	// LoadSeconds is how long the workload took to make its changes.
	LoadSeconds float64 `json:"load_s"`
	// ConvergeSeconds is from the end of the changes to the last change at the
	// last mirror; never below 0.
	ConvergeSeconds float64 `json:"converge_s"`
	// TotalSeconds is from the beginning of the changes to the same moment.
	TotalSeconds float64 `json:"total_s"`
	// ReadySeconds is from the start of the engine to the moment it mirrored a
	// probe.
	ReadySeconds float64 `json:"ready_s,omitempty"`
	// CPUSeconds is user and system time of the engine and all that it
	// started, from before the changes until the remotes rest after
	// convergence.
	CPUSeconds float64 `json:"cpu_s"`
	// IdleCPU is the share of one core while nothing changed.
	IdleCPU float64 `json:"idle_cpu,omitempty"`
	// PeakRSSMB is the largest sum of resident memory of the engine and all
	// that it started; DaemonRSSMB that of the engine's own process.
	PeakRSSMB   float64 `json:"peak_rss_mb"`
	DaemonRSSMB float64 `json:"daemon_rss_mb"`
	// Rsyncs counts the transfers the remotes' daemons served, WireBytes what
	// they received and sent, over the same time as CPUSeconds.
	Rsyncs    int   `json:"rsyncs"`
	WireBytes int64 `json:"wire_bytes"`
	// Latency is from the intended time of a change to its being visible at
	// the mirror, only with workloads that measure it.
	Latency *Latency `json:"latency,omitempty"`
}

// Latency is a distribution in microseconds. Times count from when the change
// was due, not from when the writer got round to it (no coordinated omission).
type Latency struct {
	Count  int64   `json:"count"`
	Lost   int64   `json:"lost"` // changes that never became visible
	Mean   float64 `json:"mean_us"`
	P50    int64   `json:"p50_us"`
	P90    int64   `json:"p90_us"`
	P99    int64   `json:"p99_us"`
	P999   int64   `json:"p999_us"`
	Max    int64   `json:"max_us"`
	Counts []Point `json:"cdf"` // for the plot
}

// Point is one step of a cumulative distribution: the share (0 to 1) of the
// changes that were visible after Micros.
type Point struct {
	Micros int64   `json:"us"`
	Share  float64 `json:"share"`
}
