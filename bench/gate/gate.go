package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Config says what to compare.
type Config struct {
	// Repo is a directory of the checkout. Required.
	Repo string
	// Base is the revision to compare with; "" finds one.
	Base string
	// Plan is what to measure. Its zero value measures nothing.
	Plan Plan
	// Equal measures also what was built equal, to see what chance alone does.
	Equal bool
	// Log takes a line now and then on how far it is.
	Log io.Writer
}

// AllowFile is where deliberate rises are listed, relative to the top.
const AllowFile = "bench/allow.txt"

// Report is what came of a comparison.
type Report struct {
	// Base is the revision compared with, "" if there is none.
	Base string
	// Notes are what a reader must know besides the findings.
	Notes []string
	// Findings are the figures, counts first.
	Findings []Finding
	// Errors are lines of the AllowFile that do not hold, each with what to do.
	Errors []string
}

// Passed reports whether nothing speaks against the work tree.
func (r *Report) Passed() bool {
	return len(r.Errors) == 0 && !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Judgement == Worse })
}

// gate is a comparison under way.
type gate struct {
	cfg    Config
	sides  []*side // base, head
	quiet  string  // a directory for the loads
	report *Report
}

func (g *gate) head() *side { return g.sides[1] }

func (g *gate) say(format string, args ...any) { fmt.Fprintf(g.cfg.Log, format+"\n", args...) }

// note adds a note once.
func (g *gate) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(g.report.Notes, n) {
		g.report.Notes = append(g.report.Notes, n)
	}
}

// bear notes an error of the base, which may have a fault that the work tree
// mends, and reports whether it is one.
func (g *gate) bear(ctx context.Context, s *side, err error) bool {
	if s == g.head() || ctx.Err() != nil {
		return false
	}
	g.note("not compared: %v", err)
	return true
}

// Run compares the work tree with its base. Without a base the Report says so
// and has passed. An error says that the comparison could not be made.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	report = &Report{}
	base, err := findBase(ctx, cfg.Repo, cfg.Base)
	if errors.Is(err, errNoBase) {
		report.Notes = append(report.Notes, fmt.Sprintf("nothing was compared: %v", err))
		return report, nil
	}
	if err != nil {
		return nil, err
	}
	report.Base = base
	top, err := topOf(ctx, cfg.Repo)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "perfgate-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	baseDir := filepath.Join(tmp, "base")
	fmt.Fprintf(cfg.Log, "base: %s\n", base)
	remove, err := checkOut(ctx, top, base, baseDir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	quiet := filepath.Join(tmp, "loads")
	leave, err := ownFilesystem(quiet)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	g := &gate{cfg: cfg, report: report, quiet: quiet, sides: []*side{
		{name: "base", dir: baseDir, out: filepath.Join(tmp, "base.bin")},
		{name: "head", dir: top, out: filepath.Join(tmp, "head.bin")},
	}}
	if err := g.compare(ctx); err != nil {
		return nil, err
	}
	return report, nil
}

// ownFilesystem makes a directory, with a filesystem of its own in memory if it
// may: fanotify tells of all changes of a filesystem, so what other programs do
// on the same one would be counted too.
func ownFilesystem(dir string) (leave func() error, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if unix.Mount("perfgate", dir, "tmpfs", 0, "mode=0700") != nil {
		// Then fanotify is not to be had either.
		return func() error { return nil }, nil
	}
	return func() error {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
		return nil
	}, nil
}

// compare builds, measures and judges.
func (g *gate) compare(ctx context.Context) error {
	here, err := benchmarksIn(g.head().dir)
	if err != nil {
		return err
	}
	allowed, err := readAllowed(filepath.Join(g.head().dir, AllowFile))
	if err != nil {
		return err
	}
	old, err := readAllowed(filepath.Join(g.sides[0].dir, AllowFile))
	if err != nil {
		g.note("the base's %v", err)
	}
	pkgs, err := g.packages(here)
	if err != nil {
		return err
	}
	if err := g.buildBoth(ctx, pkgs); err != nil {
		return err
	}
	pkgs, equal, err := g.changed(pkgs)
	if err != nil {
		return err
	}
	findings, err := g.measure(ctx, pkgs)
	if err != nil {
		return err
	}
	g.report.Findings = append(findings, equal...)
	g.report.Errors = apply(allowed, old, g.report.Findings, here, g.cfg.Plan.Packages == nil)
	return nil
}

// packages are those of the plan, or all with benchmarks of both sides.
func (g *gate) packages(here map[string][]string) ([]Package, error) {
	if g.cfg.Plan.Packages != nil {
		return g.cfg.Plan.Packages, nil
	}
	there, err := benchmarksIn(g.sides[0].dir)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, m := range []map[string][]string{here, there} {
		for dir := range m {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	var all []Package
	for _, dir := range slices.Compact(dirs) {
		all = append(all, Package{Dir: dir, Bench: "."})
	}
	return all, nil
}

func (g *gate) buildBoth(ctx context.Context, pkgs []Package) error {
	var dirs []string
	for _, p := range pkgs {
		dirs = append(dirs, p.Dir)
	}
	for _, s := range g.sides {
		g.say("build: %s", s.name)
		if err := os.Mkdir(s.out, 0o700); err != nil {
			return err
		}
		err := s.buildAll(ctx, dirs, g.cfg.Plan.Loads > 0, func(err error) bool { return g.bear(ctx, s, err) })
		if err != nil {
			return err
		}
	}
	return nil
}

// changed drops what was built equal, and says so in findings.
func (g *gate) changed(pkgs []Package) (rest []Package, equal []Finding, err error) {
	if g.cfg.Equal {
		return pkgs, nil, nil
	}
	base, head := g.sides[0], g.head()
	same := func(a, b, name string) (bool, error) {
		if a == "" || b == "" {
			return false, nil
		}
		is, err := sameFile(a, b)
		if is {
			equal = append(equal, Finding{Measure: Measure{Name: name}, Judgement: Equal})
		}
		return is, err
	}
	if is, err := same(base.program, head.program, programDir); err != nil {
		return nil, nil, err
	} else if is {
		base.program, head.program = "", ""
	}
	for _, p := range pkgs {
		is, err := same(base.tests[p.Dir], head.tests[p.Dir], p.Dir)
		if err != nil {
			return nil, nil, err
		}
		if !is {
			rest = append(rest, p)
		}
	}
	return rest, equal, nil
}

// measure takes all figures, and those that look worse a second time.
func (g *gate) measure(ctx context.Context, pkgs []Package) ([]Finding, error) {
	take := func(pkgs []Package, loads int) ([]Measure, error) {
		counts, err := g.counts(ctx, loads)
		if err != nil {
			return nil, err
		}
		times, err := g.benchmarks(ctx, pkgs, g.cfg.Plan.Samples)
		return append(counts, times...), err
	}
	first, err := take(pkgs, g.cfg.Plan.Loads)
	if err != nil {
		return nil, err
	}
	return Judge(first, func(names []string) ([]Measure, error) {
		g.say("again: %d that look worse", len(names))
		loads := 0
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(countNames(), n) }) {
			loads = g.cfg.Plan.Loads
		}
		again, err := take(only(pkgs, names), loads)
		return slices.DeleteFunc(again, func(m Measure) bool { return !slices.Contains(names, m.Name) }), err
	})
}
