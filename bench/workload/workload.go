package workload

import "context"

// Size is how large a workload is to be.
type Size struct {
	// Seed makes the same changes again.
	Seed uint64
	// Scale multiplies the numbers of files, directories and bytes; 1 is what
	// the workload's sentence says.
	Scale float64
}

// Workload is a kind of change to a tree.
type Workload interface {
	// Name is a short lower-case word, such as "burst"; Doc one sentence with
	// the numbers at scale 1.
	Name() string
	Doc() string
	// Needs says what must be there before.
	Needs(Size) Needs
	// Prepare makes the tree in src, an empty directory, before any engine
	// runs.
	Prepare(ctx context.Context, src string, size Size) error
	// Run makes the changes. What it returns is complete also with an error.
	Run(ctx context.Context, src string, size Size) (Changes, error)
}

// Needs are a workload's wants.
type Needs struct {
	// Bytes and Inodes are what source and each mirror take on the disk at most,
	// at any moment: a mirror may hold a moved directory under both names.
	Bytes, Inodes int64
	// Remotes is how many mirrors; at least 1. Slow of them are throttled to
	// SlowKBs KiB/s, Dead of them do not answer; both are among Remotes, and
	// neither is waited for: convergence is that of the others, of which there
	// is always one.
	Remotes, Slow, Dead int
	SlowKBs             int
	// Latency: the suite watches the mirror's directory LatencyDir, which
	// Prepare makes, for the names that Run creates there.
	Latency    bool
	LatencyDir string
	// Idle: the suite measures the CPU of an engine with nothing to do, for
	// some seconds, before Run.
	Idle bool
	// Params tells the numbers at this size, such as "files=2000 dirs=20".
	Params string
	// Skip names engines that cannot finish it in reasonable time or cannot do
	// it at all, with the reason.
	Skip map[string]string
}

// Changes are what a Run did.
type Changes struct {
	// Paths are the changed names relative to src, sorted, each once; those
	// that are gone again at the end are among them. A listed directory,
	// whether made, moved, removed or changed itself, stands for all below it:
	// no path lies below another. A directory in which names came or went is
	// not listed for that.
	Paths []string
	// Due are the moments at which the names in LatencyDir were due, in
	// nanoseconds of CLOCK_MONOTONIC, by name (without directory).
	Due map[string]int64
}
