package gate

// Plan is what to measure, and how often.
type Plan struct {
	// Packages are the ones whose benchmarks are run; nil means all that have
	// any.
	Packages []Package
	// Skip is go test's -skip: benchmarks that are not run.
	Skip string
	// Samples is how many samples of each benchmark are taken on each side in
	// a round: at least 10, and even, so that neither side is first more often.
	// A sample is the shortest of three runs. Time is how long a run lasts, as
	// go test's -benchtime has it.
	Samples int
	Time    string
	// Loads is how many times each side's program is put under each load in a
	// round; 0 leaves the counts out.
	Loads int
}

// Package is one package's part of a Plan.
type Package struct {
	// Dir is its directory, relative to the top.
	Dir string
	// Bench is go test's -bench.
	Bench string
}

// yardsticks are what the benchmarks compare our code with, by hand; what
// others' code costs is no concern of the gate. Also left out is what runs real
// programs, which the counts do. Whole names stand first: go test looks at the
// first alternative only that matches a part of a name.
const yardsticks = "^BenchmarkBurst$" +
	"|^Benchmark/^(map|chan|chan256|naive|walkdir|fsnotify)$" +
	"|^Benchmark/./^(map|naive)$"

// Full measures all there is, in some ten minutes on two cores.
func Full() Plan {
	return Plan{Skip: yardsticks, Samples: 16, Time: "20ms", Loads: 5}
}

// Short measures what every event passes through, in less than three minutes on
// two cores.
func Short() Plan {
	return Plan{
		Packages: []Package{
			{"watcher", "^(BenchmarkQueue|BenchmarkDecode|BenchmarkLookup|BenchmarkMove)$"},
			{"coalesce", "^BenchmarkRemoval$|^BenchmarkAdd$/^set$/^random$/^1000$|^BenchmarkFlush$/^coalescer$/^1000$"},
			{"scheduler", "^BenchmarkBuild$"},
			{"internal/links", "^BenchmarkWalk$"},
		},
		Skip: yardsticks, Samples: 16, Time: "10ms", Loads: 3,
	}
}
