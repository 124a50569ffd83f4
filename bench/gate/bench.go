package gate

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// Units of a benchmark's measures, the last word of their names.
const (
	unitTime   = "sec/op"
	unitAllocs = "allocs/op"
)

// runsPerSample is how often a benchmark runs for one sample, which is the
// shortest of its times: what a busy machine adds to a time is never negative.
const runsPerSample = 3

// benchName is the name of a measure: the package's directory, unless it is the
// top, the benchmark and the unit.
func benchName(pkg, bench, unit string) string {
	if pkg != "." {
		bench = pkg + "." + bench
	}
	return bench + " " + unit
}

// series collects measures in the order of their first coming.
type series struct {
	order []string
	by    map[string]*Measure
}

func (s *series) add(name string, m Measure, head bool, v float64) {
	if s.by == nil {
		s.by = map[string]*Measure{}
	}
	at := s.by[name]
	if at == nil {
		m.Name = name
		at = &m
		s.by[name] = at
		s.order = append(s.order, name)
	}
	if head {
		at.Head = append(at.Head, v)
	} else {
		at.Base = append(at.Base, v)
	}
}

func (s *series) all() []Measure {
	var all []Measure
	for _, name := range s.order {
		all = append(all, *s.by[name])
	}
	return all
}

// benchmarks runs the packages' benchmarks n times on each side that has them.
// The sides take turns, and take turns in being first, so that whatever else
// the machine does meets both alike. Each time is a process of its own: where
// memory happens to lie is part of the noise, not of the result.
func (g *gate) benchmarks(ctx context.Context, pkgs []Package, n int) ([]Measure, error) {
	var s series
	for i := range n {
		g.say("benchmarks: round %d of %d", i+1, n)
		for _, p := range pkgs {
			for j := range g.sides {
				one := g.sides[(i+j)%len(g.sides)]
				bin := one.tests[p.Dir]
				if bin == "" {
					continue
				}
				out, err := g.runBench(ctx, bin, filepath.Join(one.dir, p.Dir), p.Bench)
				if err == nil {
					err = s.parse(p.Dir, out, one == g.head())
				}
				if err != nil {
					err = fmt.Errorf("%s: benchmarks of %s: %w", one.name, p.Dir, err)
					if !g.bear(ctx, one, err) {
						return nil, err
					}
					delete(one.tests, p.Dir)
				}
			}
		}
	}
	return s.all(), nil
}

// runBench runs the benchmarks of one test binary once.
func (g *gate) runBench(ctx context.Context, bin, dir, pattern string) ([]byte, error) {
	args := []string{"-test.run=^$", "-test.bench=" + pattern, "-test.benchmem", "-test.short",
		"-test.benchtime=" + g.cfg.Plan.Time, fmt.Sprint("-test.count=", runsPerSample), "-test.timeout=5m"}
	if g.cfg.Plan.Skip != "" {
		args = append(args, "-test.skip="+g.cfg.Plan.Skip)
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+g.quiet)
	cmd.WaitDelay = 10 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lastLines(out.String()+errs.String(), 20))
	}
	return out.Bytes(), nil
}

// parse adds the results of one run of a test binary: of each figure the
// smallest.
func (s *series) parse(pkg string, out []byte, head bool) error {
	best := map[string]float64{}
	var order []string
	r := benchfmt.NewReader(bytes.NewReader(out), pkg)
	for r.Scan() {
		res, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue // units, or a line that is no result
		}
		for _, unit := range []string{unitTime, unitAllocs} {
			v, ok := res.Value(unit)
			if !ok {
				continue
			}
			name := benchName(pkg, "Benchmark"+withoutProcs(res.Name), unit)
			if old, ok := best[name]; !ok {
				order = append(order, name)
				best[name] = v
			} else {
				best[name] = min(old, v)
			}
		}
	}
	for _, name := range order {
		m := Measure{}
		if strings.HasSuffix(name, " "+unitAllocs) {
			m = Measure{Counted: true, Tolerance: allocations}
		}
		s.add(name, m, head, best[name])
	}
	return r.Err()
}

// withoutProcs is the name without the number of processors that the testing
// package puts behind it.
func withoutProcs(n benchfmt.Name) string {
	base, parts := n.Parts()
	var b strings.Builder
	b.Write(base)
	for _, p := range parts {
		if p[0] == '/' {
			b.Write(p)
		}
	}
	return b.String()
}

// only narrows packages to the benchmarks that the named measures are of.
func only(pkgs []Package, names []string) []Package {
	var narrowed []Package
	for _, p := range pkgs {
		var patterns []string
		for _, name := range names {
			bench, unit, ok := strings.Cut(name, " ")
			if p.Dir != "." {
				var here bool
				bench, here = strings.CutPrefix(bench, p.Dir+".")
				ok = ok && here
			}
			if !ok || unit != unitTime && unit != unitAllocs || !strings.HasPrefix(bench, "Benchmark") {
				continue
			}
			parts := strings.Split(bench, "/")
			for i, part := range parts {
				parts[i] = "^" + regexp.QuoteMeta(part) + "$"
			}
			if pattern := strings.Join(parts, "/"); !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
		if len(patterns) > 0 {
			narrowed = append(narrowed, Package{p.Dir, strings.Join(patterns, "|")})
		}
	}
	return narrowed
}

// lastLines are the last n lines of text, none longer than it need be.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		if len(line) > 300 {
			lines[i] = line[:300] + "..."
		}
	}
	return strings.Join(lines, "\n")
}
