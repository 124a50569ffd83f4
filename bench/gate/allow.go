package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// allowance is one line of the AllowFile: the name of a measure as the report
// gives it, and why it may rise.
type allowance struct{ name, reason string }

// readAllowed reads an AllowFile: lines of a name, a tab and a reason; blank
// lines and lines that begin with # say nothing. No file allows nothing.
func readAllowed(file string) ([]allowance, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is allowed: %w", err)
	}
	return parseAllowed(string(text))
}

func parseAllowed(text string) ([]allowance, error) {
	var all []allowance
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, "\t")
		reason = strings.TrimSpace(reason)
		if !ok || name == "" || reason == "" {
			return nil, fmt.Errorf("%s, line %d: %q: a line is a name, a tab and a reason", AllowFile, n, line)
		}
		if slices.ContainsFunc(all, func(a allowance) bool { return a.name == name }) {
			return nil, fmt.Errorf("%s, line %d: %q is there twice: keep one", AllowFile, n, name)
		}
		all = append(all, allowance{name, reason})
	}
	return all, nil
}

// apply turns findings that are allowed into such, in place, and returns what
// is wrong with the lines:
//
//   - stale: the base has the line too, so it has done its work; or what it
//     names was measured and did not rise.
//   - unknown: here, the tree's benchmarks by package, do not have it, nor do
//     the counts; or all was measured and it was not among it.
func apply(allowed, old []allowance, findings []Finding, here map[string][]string, complete bool) (wrong []string) {
	for _, a := range allowed {
		line := fmt.Sprintf("%s: the line of %q", AllowFile, a.name)
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Name == a.name })
		switch {
		case slices.ContainsFunc(old, func(o allowance) bool { return o.name == a.name }):
			wrong = append(wrong, line+" is stale, the base has it already: remove it")
		case !known(a.name, here):
			wrong = append(wrong, line+" is unknown, there is no such benchmark or count: mend or remove it")
		case i >= 0 && findings[i].Judgement == Worse:
			findings[i].Judgement, findings[i].Reason = Allowed, a.reason
		case i >= 0 && !risen(findings[i]):
			wrong = append(wrong, line+" is stale, it did not rise: remove it")
		case i < 0 && builtEqual(a.name, findings):
			wrong = append(wrong, line+" is stale, its package was built equal to the base's: remove it")
		case i < 0 && complete && strings.Contains(a.name, "Benchmark"):
			wrong = append(wrong, line+" is unknown, no such benchmark ran: mend or remove it")
		}
	}
	return wrong
}

// risen reports whether there is any sign of what a line allows.
func risen(f Finding) bool {
	if len(f.Base) == 0 || len(f.Head) == 0 {
		return false
	}
	if f.Counted {
		return median(f.Head) > median(f.Base)
	}
	return median(f.Head) >= staleSlower*median(f.Base)
}

// known reports whether a name is that of a count, or of a benchmark function
// of the tree with a unit that is judged.
func known(name string, here map[string][]string) bool {
	if slices.Contains(countNames(), name) {
		return true
	}
	pkg, function, unit := splitName(name)
	return (unit == unitTime || unit == unitAllocs) && slices.Contains(here[pkg], function)
}

func builtEqual(name string, findings []Finding) bool {
	pkg, _, _ := splitName(name)
	if slices.Contains(countNames(), name) {
		pkg = programDir
	}
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Judgement == Equal && f.Name == pkg })
}

// splitName takes the name of a benchmark's measure apart, see benchName.
func splitName(name string) (pkg, function, unit string) {
	bench, unit, _ := strings.Cut(name, " ")
	pkg = "."
	if i := strings.Index(bench, ".Benchmark"); i >= 0 && !strings.HasPrefix(bench, "Benchmark") {
		pkg, bench = bench[:i], bench[i+1:]
	}
	function, _, _ = strings.Cut(bench, "/")
	return pkg, function, unit
}
