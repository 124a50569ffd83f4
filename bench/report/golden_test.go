package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/bench/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// change makes other cells of those made up.
func change(cells []record.Cell, f func(*record.Cell) (keep bool)) []record.Cell {
	var kept []record.Cell
	for _, c := range cells {
		if f(&c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// cases are runs of all kinds, by the names of their golden files.
func cases() map[string][]record.Cell {
	hostileNames := change(madeUp(2), func(c *record.Cell) bool {
		keep := c.Workload == "churn"
		if c.Engine != subject {
			c.Engine += hostile
		}
		c.Workload += hostile
		c.Params += hostile
		return keep
	})
	return map[string][]record.Cell{
		"five": madeUp(5),
		"one":  change(madeUp(1), func(c *record.Cell) bool { return c.Workload == "burst" || c.Workload == "slow" }),
		"subject-wrong": change(madeUp(3), func(c *record.Cell) bool {
			if c.Engine == subject && c.Workload == "burst" && c.Rep == 1 {
				c.Verdict, c.WrongPaths, c.WrongSample = record.Wrong, 1, []string{`"f": content`}
			}
			return c.Workload == "burst" || c.Workload == "trickle"
		}),
		"no-subject":   change(madeUp(3), func(c *record.Cell) bool { return c.Engine != subject && c.Workload == "burst" }),
		"subject-only": change(madeUp(3), func(c *record.Cell) bool { return c.Engine == subject && c.Workload != "slow" }),
		"interrupted": change(madeUp(3), func(c *record.Cell) bool {
			return c.Rep == 0 && c.Workload != "trickle" || c.Rep == 1 && c.Workload == "burst" && c.Engine != "ideal"
		}),
		"nothing-ran": change(madeUp(1), func(c *record.Cell) bool {
			*c = record.Cell{Engine: c.Engine, Workload: c.Workload, Verdict: record.Skipped, Note: "there is no rsync: apt-get install rsync"}
			return c.Workload == "burst"
		}),
		"two-sizes": change(append(madeUp(3), madeUp(3)...), func() func(*record.Cell) bool {
			n := 0
			return func(c *record.Cell) bool {
				if n++; n > len(madeUp(3)) {
					c.Params = "files=10"
				}
				return c.Workload == "burst"
			}
		}()),
		"empty":   nil,
		"hostile": hostileNames,
	}
}

func reps(cells []record.Cell) int {
	n := 0
	for _, c := range cells {
		n = max(n, c.Rep+1)
	}
	return n
}

func TestMarkdown(t *testing.T) {
	for name, cells := range cases() {
		t.Run(name, func(t *testing.T) {
			m := newModel(madeUpRun(reps(cells)), cells, madeUpDocs)
			plots, err := m.plots()
			if err != nil {
				t.Fatal(err)
			}
			got := m.markdown(plots)
			file := filepath.Join("testdata", name+".md")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; go test -update writes it", err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got):\n%s", file, d)
			}
		})
	}
}
