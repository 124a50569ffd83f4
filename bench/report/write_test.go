package report

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/bench/record"
)

// written is the report of cells, by file name. It lies in the test's artifact
// directory, so that go test -artifacts keeps it to be looked at.
func written(t *testing.T, cells []record.Cell) map[string]string {
	t.Helper()
	dir := filepath.Join(t.ArtifactDir(), "made", "by", "Write")
	if err := Write(dir, madeUpRun(reps(cells)), cells, madeUpDocs); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

func TestWriteMakesAllFilesThatTheTextNames(t *testing.T) {
	files := written(t, madeUp(3))
	linked := map[string]bool{"report.md": true, "report.html": true, "overview.svg": true}
	for _, m := range regexp.MustCompile(`(?m)^!\[.*\]\(([^)]*)\)$`).FindAllStringSubmatch(files["report.md"], -1) {
		linked[m[1]] = true
	}
	for name := range linked {
		if files[name] == "" {
			t.Errorf("%s is named but not there", name)
		}
	}
	for name := range files {
		if !linked[name] {
			t.Errorf("%s is there but nothing names it", name)
		}
	}
	for _, name := range []string{"time-burst.svg", "latency-trickle.svg", "cpu-burst.svg", "rss-burst.svg", "rsyncs-burst.svg"} {
		if files[name] == "" {
			t.Errorf("%s is not there", name)
		}
	}
	if !strings.Contains(files["report.md"], "(overview.svg)") {
		t.Error("report.md does not show the overview")
	}
}

func TestWriteTwiceIsTheSame(t *testing.T) {
	first, second := written(t, madeUp(3)), written(t, madeUp(3))
	for name, text := range first {
		if second[name] != text {
			t.Errorf("%s differs", name)
		}
	}
}

func TestWriteStaysInItsDirectory(t *testing.T) {
	cells := change(madeUp(1), func(c *record.Cell) bool {
		keep := c.Workload == "burst"
		c.Workload = "../../" + strings.Repeat("Up/", 300)
		return keep
	})
	more := change(madeUp(1), func(c *record.Cell) bool { c.Params = ""; c.Workload = "…/"; return true })
	files := written(t, append(cells, more...))
	if files["time-up-up-up-up-up-up-up-up-up-up-up.svg"] == "" || files["time-workload.svg"] == "" {
		t.Errorf("the files are %v", slices.Sorted(func(yield func(string) bool) {
			for name := range files {
				if !yield(name) {
					return
				}
			}
		}))
	}
}

func TestWriteErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := Write(filepath.Join(file, "below"), madeUpRun(1), nil, nil)
	var path *fs.PathError
	if !errors.As(err, &path) || !strings.HasPrefix(path.Path, file) {
		t.Errorf("error %v, want one of %s", err, file)
	}
}

// telling finds the figures of TestNoFigureOfAWrongMirror.
var telling = regexp.MustCompile(`7[,.]?171|7[,.]?272|7[,.]?373|7[,.]?474|7[,.]?575|7[,.]?676|777\.7|778 MB|787\.8|788 MB|7[,.]?979|700,000`)

// TestNoFigureOfAWrongMirror gives figures of their own to cells that are not
// right, and to the right cells beside them, and looks for these everywhere.
func TestNoFigureOfAWrongMirror(t *testing.T) {
	for _, verdict := range []record.Verdict{record.Right, record.Wrong, record.Crashed, record.Failed, record.Skipped, "", "other"} {
		t.Run(string(verdict), func(t *testing.T) {
			cells := change(madeUp(3), func(c *record.Cell) bool {
				if c.Engine == "lsyncd" && c.Workload == "burst" {
					c.ConvergeSeconds, c.TotalSeconds, c.LoadSeconds, c.ReadySeconds = 7171, 7272, 7373, 7474
					c.CPUSeconds, c.IdleCPU, c.PeakRSSMB, c.DaemonRSSMB = 7575, 76.76, 777.7, 787.8
					c.Rsyncs, c.WireBytes = 7979, 7e14
					c.Latency = &record.Latency{Count: 9, Lost: 7171, P50: 7171e6, P90: 7171e6, P99: 7171e6, P999: 7171e6, Max: 7171e6,
						Counts: []record.Point{{Micros: 7171e6, Share: 1}}}
					if c.Verdict, c.WrongPaths = record.Right, 0; c.Rep == 1 || verdict != record.Wrong {
						c.Verdict = verdict
					}
				}
				return c.Workload != "rename" && c.Workload != "slow"
			})
			files := written(t, cells)
			if verdict == record.Right {
				for _, name := range []string{"report.md", "report.html", "time-burst.svg", "rsyncs-burst.svg"} {
					if !telling.MatchString(files[name]) {
						t.Errorf("%s does not show the figures of right cells, so this test would find nothing", name)
					}
				}
				return
			}
			for name, text := range files {
				// The list of all cells shows the right ones as they were.
				text, _, _ = strings.Cut(text, "<h2>All cells</h2>")
				for _, at := range telling.FindAllStringIndex(text, -1) {
					if name == "report.html" || strings.HasSuffix(name, ".svg") {
						if inTag(text, at[0]) {
							continue // a coordinate
						}
					}
					t.Errorf("%s has %q", name, text[max(0, at[0]-80):min(len(text), at[1]+40)])
				}
			}
			raw := newModel(madeUpRun(3), cells, nil).raw()
			for i, row := range raw.Rows {
				if cells[i].Verdict == record.Right {
					continue
				}
				for k, c := range row.Cells[5 : len(row.Cells)-1] {
					if c.Main != "–" {
						t.Errorf("the list of all cells shows %s of a cell that is %q: %q", raw.Head[k+6], cells[i].Verdict, c.Main)
					}
				}
			}
		})
	}
}

// inTag reports whether a place in a document is within a tag or a style.
func inTag(text string, at int) bool {
	return strings.LastIndexByte(text[:at], '<') > strings.LastIndexByte(text[:at], '>')
}

// TestStrangeFigures: nothing that JSON can hold stops the report.
func TestStrangeFigures(t *testing.T) {
	for name, v := range map[string]float64{"zero": 0, "negative": -3, "tiny": math.SmallestNonzeroFloat64, "huge": math.MaxFloat64} {
		t.Run(name, func(t *testing.T) {
			cells := change(madeUp(2), func(c *record.Cell) bool {
				c.Verdict = record.Right
				c.ConvergeSeconds, c.TotalSeconds, c.LoadSeconds, c.ReadySeconds = v, v, v, v
				c.CPUSeconds, c.IdleCPU, c.PeakRSSMB, c.DaemonRSSMB, c.Rsyncs = v, v, v, v, 0
				if v != 0 {
					c.Rsyncs = math.MinInt
				}
				c.Latency = &record.Latency{Count: 1, P50: math.MinInt64, P99: math.MaxInt64, Counts: []record.Point{{Micros: -1, Share: -2}, {Micros: 0, Share: v}, {Micros: math.MaxInt64, Share: 2}}}
				return c.Workload == "burst" || c.Workload == "deep"
			})
			for name, text := range written(t, cells) {
				if i := strings.Index(text, "NaN"); i >= 0 {
					t.Errorf("%s: %s", name, text[max(0, i-60):i+20])
				}
				if i := strings.Index(text, "Inf"); i >= 0 {
					t.Errorf("%s: %s", name, text[max(0, i-60):i+20])
				}
			}
		})
	}
}
