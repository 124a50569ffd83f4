package watchers

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// scenario is what watchers are put through.
type scenario struct {
	name, doc string
	// extra ones run only when they are named.
	extra bool
	// takes says whom it is for when no watcher is named; nil means all.
	takes func(Watcher) bool
	// mute ones are of use in it: it measures the beginning.
	mute bool
	// bare adds a cell in which nobody watches.
	bare bool
	// kept trees are made once for all cells: the cells do not change them.
	kept bool
	// piped output is read as it comes.
	piped bool
	shape func(scale float64) shape
	// plant makes the tree, which is an empty directory.
	plant func(ctx context.Context, root string, s shape) error
	run   func(ctx context.Context, c *cellRun) error
}

// shape is how large a scenario is.
type shape struct {
	dirs, files int // that are there before the watcher is
	made        int // files and directories that are made
	ops         int // changes
	bytes       int64
	params      string
}

// cellRun is a cell at work.
type cellRun struct {
	plan  *Plan
	shape shape
	root  string
	// watch is nil if nobody watches.
	watch *watching
	cell  *Cell
}

// scaled is n at a scale, at least low.
func scaled(n int, scale float64, low int) int {
	return max(low, int(math.Round(float64(n)*scale)))
}

var scenarios = []scenario{
	{
		name: "set-up", kept: true, mute: true, shape: setUpShape(100_000, 1_000_000), plant: plantForest, run: runSetUp,
		doc: "The time from the start of the watcher until it watches a tree that is there already, warm in the caches, and the memory it has then. 100 files written then, all over the tree, must be told.",
	},
	{
		name: "set-up-500k", kept: true, mute: true, extra: true, shape: setUpShape(500_000, 10_000), plant: plantForest, run: runSetUp,
		takes: func(w Watcher) bool { return w.Name == "fansync" },
		doc:   "The same with five times the directories and few files.",
	},
	{
		name: "create", bare: true, shape: createShape, plant: plantDirs, run: runLoad("create"),
		doc: "One process creates, writes and closes files: the CPU time of the watcher's process for each, and how fast the writer is.",
	},
	{
		name: "append", bare: true, shape: appendShape, plant: plantLogs, run: runLoad("append"),
		doc: "One process writes 4 KiB blocks to two files that stay open, in turn: the same figures, for each write.",
	},
	{
		name: "nested", piped: true, shape: nestedShape, plant: plantNothing, run: runNested,
		doc: "One process makes directories in directories with a file deep in each, at once: how many of the files are told.",
	},
	{
		name: "flood", piped: true, shape: floodShape, plant: plantFlood, run: runFlood,
		doc: "Two processes create, write and close files as fast as they can, and in the middle nobody reads what the watcher prints for 5 s (less at small scales): how many files are never told, and the memory it takes.",
	},
}

// Scenarios are the names and docs of all scenarios.
func Scenarios() (names []string, docs map[string]string) {
	docs = map[string]string{}
	for _, s := range scenarios {
		names = append(names, s.name)
		docs[s.name] = s.doc
	}
	return names, docs
}

// chooseScenarios finds scenarios by their names; no names mean all but the
// extra ones.
func chooseScenarios(names []string) (some []scenario, err error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.extra }), nil
	}
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			known, _ := Scenarios()
			return nil, fmt.Errorf("scenario %q is not known: take one of %s", name, strings.Join(known, ", "))
		}
		some = append(some, scenarios[i])
	}
	return some, nil
}

func setUpShape(dirs, files int) func(float64) shape {
	return func(scale float64) shape {
		s := shape{dirs: scaled(dirs, scale, 10), files: scaled(files, scale, 10)}
		s.params = fmt.Sprintf("dirs=%d files=%d", s.dirs, s.files)
		return s
	}
}

func createShape(scale float64) shape {
	s := shape{dirs: scaled(1000, min(scale, 1), 10), made: scaled(80_000, scale, 100)}
	s.ops = s.made
	s.params = fmt.Sprintf("files=%d dirs=%d", s.made, s.dirs)
	return s
}

func appendShape(scale float64) shape {
	s := shape{files: 2, ops: scaled(400_000, scale, 100), bytes: 64 << 20}
	s.params = fmt.Sprintf("writes=%d files=%d", s.ops, s.files)
	return s
}

func nestedShape(scale float64) shape {
	s := shape{ops: scaled(3000, scale, 20)}
	s.made = 4 * s.ops
	s.params = fmt.Sprintf("leaves=%d", s.ops)
	return s
}

// floodWriters make three events a file.
const floodWriters = 2

func floodShape(scale float64) shape {
	each := scaled(2_000_000/3/floodWriters, scale, 100)
	s := shape{dirs: floodWriters * max(1, each/1000), made: floodWriters * each}
	s.ops = s.made
	s.params = fmt.Sprintf("files=%d dirs=%d", s.made, s.dirs)
	return s
}
