package gate

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseAllowed(t *testing.T) {
	all, err := parseAllowed("# why\n\nwatcher.BenchmarkOne/ours sec/op\tit checks more now\nburst rsyncs\t one each \r\n")
	want := []allowance{{"watcher.BenchmarkOne/ours sec/op", "it checks more now"}, {"burst rsyncs", "one each"}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%q, %v", all, err)
	}
	for text, says := range map[string]string{
		"burst rsyncs because":             "a name, a tab and a reason",
		"burst rsyncs\t":                   "a name, a tab and a reason",
		"\tno name":                        "a name, a tab and a reason",
		"burst rsyncs\ta\nburst rsyncs\tb": "line 2",
	} {
		if _, err := parseAllowed(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	if all, err := readAllowed(filepath.Join(t.TempDir(), "none")); err != nil || all != nil {
		t.Errorf("no file: %v, %v", all, err)
	}
}

// TestApply: an allowance does its work once, for what it names.
func TestApply(t *testing.T) {
	here := map[string][]string{"watcher": {"BenchmarkOne"}, ".": {"BenchmarkTop"}}
	measure := func(name string, base, head float64) Measure {
		return Measure{Name: name, Counted: !strings.HasSuffix(name, unitTime), Base: []float64{base}, Head: []float64{head}}
	}
	findings := func() []Finding {
		return []Finding{
			{Measure: measure("watcher.BenchmarkOne/ours allocs/op", 1, 2), Judgement: Worse},
			{Measure: measure("watcher.BenchmarkOne/ours sec/op", 1, 1.06), Judgement: Fine},
			{Measure: measure("watcher.BenchmarkOne/other sec/op", 1, 1.01), Judgement: Chance},
			{Measure: measure("burst rsyncs", 2, 2), Judgement: Fine},
			{Measure: Measure{Name: "."}, Judgement: Equal},
		}
	}
	for name, c := range map[string]struct {
		line, old string
		complete  bool
		wrong     string // part of the error; "" for none
		allows    bool
	}{
		"a rise":                 {line: "watcher.BenchmarkOne/ours allocs/op", allows: true},
		"a rise of another unit": {line: "watcher.BenchmarkOne/ours sec/op"}, // by 6 %: a sign of it
		"no rise":                {line: "watcher.BenchmarkOne/other sec/op", wrong: "did not rise"},
		"a count's no rise":      {line: "burst rsyncs", wrong: "did not rise"},
		"the base has it":        {line: "watcher.BenchmarkOne/ours allocs/op", old: "watcher.BenchmarkOne/ours allocs/op", wrong: "the base has it"},
		"no such package":        {line: "wotcher.BenchmarkOne/ours allocs/op", wrong: "unknown"},
		"no such benchmark":      {line: "watcher.BenchmarkTwo allocs/op", wrong: "unknown"},
		"no such unit":           {line: "watcher.BenchmarkOne/ours", wrong: "unknown"},
		"no such count":          {line: "burst sparks", wrong: "unknown"},
		"built equal":            {line: "BenchmarkTop sec/op", wrong: "built equal"},
		"not in the short form":  {line: "watcher.BenchmarkOne/slow sec/op"},
		"no such part":           {line: "watcher.BenchmarkOne/slow sec/op", complete: true, wrong: "unknown"},
		"a count not taken":      {line: "still openat", complete: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := findings()
			var old []allowance
			if c.old != "" {
				old = []allowance{{c.old, "then"}}
			}
			wrong := apply([]allowance{{c.line, "now"}}, old, f, here, c.complete)
			if c.wrong == "" && len(wrong) > 0 || c.wrong != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], c.wrong)) {
				t.Errorf("wrong: %q, want %q", wrong, c.wrong)
			}
			if allowed := f[0].Judgement == Allowed && f[0].Reason == "now"; allowed != c.allows {
				t.Errorf("allowed: %v, want %v", allowed, c.allows)
			}
		})
	}
}
