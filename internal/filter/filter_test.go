package filter

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manual holds rules with paths they keep and paths they exclude; a trailing
// slash marks a directory. The first block are the examples of rsync's manual
// page, the rest its fine print. TestManualAgainstRsync gives the same table
// to rsync.
var manual = []struct {
	rules, kept, excluded []string
}{
	{rules: []string{"- *.o"}, kept: []string{"o", "a.oo"}, excluded: []string{"x.o", "d/x.o", "d/y.o/"}},
	{rules: []string{"- /foo"}, kept: []string{"d/foo", "foob"}, excluded: []string{"foo/", "foo/a"}},
	{rules: []string{"- foo/"}, kept: []string{"a/foo"}, excluded: []string{"foo/", "foo/a", "b/foo/"}},
	{rules: []string{"- /foo/*/bar"}, kept: []string{"foo/bar", "foo/a/b/bar", "d/foo/a/bar"}, excluded: []string{"foo/a/bar"}},
	{rules: []string{"- /foo/**/bar"}, kept: []string{"foo/bar"}, excluded: []string{"foo/a/bar", "foo/a/b/bar"}},
	{rules: []string{"+ */", "+ *.c", "- *"}, kept: []string{"d/", "d/e/x.c", "x.c"}, excluded: []string{"x.h", "d/x.h"}},
	{rules: []string{"+ foo/", "+ foo/bar.c", "- *"}, kept: []string{"foo/", "foo/bar.c"}, excluded: []string{"foo/b", "bar.c", "d/"}},
	{rules: []string{"+ /some/path/this-file-is-found", "+ /file-also-included", "- *"}, kept: []string{"file-also-included"}, excluded: []string{"some/", "some/path/", "some/path/this-file-is-found"}},
	{rules: []string{"+ /some/", "+ /some/path/", "+ /some/path/this-file-is-found", "- *"}, kept: []string{"some/path/this-file-is-found"}, excluded: []string{"some/path/other"}},
	{rules: []string{"- dir/***"}, kept: []string{"dir2/"}, excluded: []string{"dir/", "dir/a", "x/dir/", "x/dir/y/z"}},
	{rules: []string{"+ /a/***", "- *"}, kept: []string{"a/", "a/b/", "a/b/c"}, excluded: []string{"d/", "x"}},

	{rules: []string{"+ a.tmp", "- *.tmp"}, kept: []string{"a.tmp", "d/a.tmp"}, excluded: []string{"b.tmp"}},
	{rules: []string{"- *.tmp", "+ a.tmp"}, excluded: []string{"a.tmp"}},
	{rules: []string{"- a/b"}, kept: []string{"b", "a/c/b", "xa/b"}, excluded: []string{"a/b", "c/a/b/", "c/a/b/x"}},
	{rules: []string{"- a/*"}, kept: []string{"a/", "b/a"}, excluded: []string{"a/b", "c/a/b/"}},
	{rules: []string{"- a**b"}, kept: []string{"a", "b/"}, excluded: []string{"a/b", "ab", "c/a/d/b/", "axb"}},
	{rules: []string{"- **/b"}, kept: []string{"bb"}, excluded: []string{"b", "a/b", "a/c/b/"}},
	{rules: []string{"- /**/b"}, kept: []string{"b"}, excluded: []string{"a/b", "a/c/b/"}},
	{rules: []string{"- **"}, excluded: []string{"a", "b/"}},
	{rules: []string{"- ***"}, excluded: []string{"a", "b/"}},
	{rules: []string{"- a/**/"}, kept: []string{"a/x", "a/"}, excluded: []string{"a/b/"}},
	{rules: []string{"- /*/"}, kept: []string{"x"}, excluded: []string{"d/", "d/y"}},
	{rules: []string{"- /"}, kept: []string{"x", "d/"}},
	{rules: []string{"- a?c"}, kept: []string{"ac", "a/c", "abbc"}, excluded: []string{"abc", "axc/"}},
	{rules: []string{"- [a-c]x"}, kept: []string{"dx", "Ax"}, excluded: []string{"ax", "cx"}},
	{rules: []string{"- [!a-c]x", "- [^d]y"}, kept: []string{"ax", "dy"}, excluded: []string{"dx", "-x", "ay"}},
	{rules: []string{"- [[:digit:][:upper:]_]x"}, kept: []string{"ax"}, excluded: []string{"7x", "Qx", "_x"}},
	{rules: []string{"- [[:nope:]]", "- [[::]]"}, kept: []string{"n", ":", ":]"}},
	{rules: []string{"- []x]y", "- [\\]]z"}, kept: []string{"yy"}, excluded: []string{"]y", "xy", "]z"}},
	{rules: []string{"- [a"}, kept: []string{"[a", "a"}},
	{rules: []string{"- [a/b]"}, kept: []string{"a", "x/b"}},
	{rules: []string{"- [[:]x"}, kept: []string{"x"}, excluded: []string{"[x", ":x"}},
	{rules: []string{"- a[^x]b"}, kept: []string{"a/b"}, excluded: []string{"ayb"}},
	{rules: []string{`- a\b`}, kept: []string{"ab"}, excluded: []string{`a\b`}},
	{rules: []string{`- a\b*`}, kept: []string{`a\b`}, excluded: []string{"ab", "abc"}},
	{rules: []string{`- a\*`}, kept: []string{"ab", `a\b`}, excluded: []string{"a*"}},
	{rules: []string{`- *\`}, kept: []string{`a\`, "a"}},
	{rules: []string{`- x\`}, kept: []string{`x`}, excluded: []string{`x\`}},
	{rules: []string{"-  a", "- b ", "- #c", "- ;d", "- - e", "- !", "- f\tg"}, kept: []string{"a", "b", "c", "d", "e"}, excluded: []string{" a", "b ", "#c", ";d", "- e", "!", "f\tg"}},
	{rules: []string{"- n\nl", "- \xff"}, kept: []string{"n", "nl"}, excluded: []string{"n\nl", "\xff"}},
	{rules: []string{"+ /keep/", "- /*"}, kept: []string{"keep/", "keep/x"}, excluded: []string{"keep2/", "y"}},
}

func parse(t testing.TB, rules ...string) *Filter {
	t.Helper()
	f, err := Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestManual(t *testing.T) {
	for _, c := range manual {
		f := parse(t, c.rules...)
		check := func(paths []string, want bool) {
			for _, p := range paths {
				path, isDir := strings.CutSuffix(p, "/")
				if got := f.Excluded(path, isDir); got != want {
					t.Errorf("%q: Excluded(%q, %v) = %v", c.rules, path, isDir, got)
				}
			}
		}
		check(c.kept, false)
		check(c.excluded, true)
	}
}

// TestExcludedDirectories: what lies in one is excluded, whatever a rule says of
// the path itself.
func TestExcludedDirectories(t *testing.T) {
	f := parse(t, "+ d/x", "- d/", "- *.tmp")
	for _, c := range []struct {
		path  string
		isDir bool
		want  bool
	}{
		{"d", true, true},
		{"d/y", false, true},
		{"d/x", false, true},
		{"e/y.tmp", false, true},
		{"y.tmp/e", false, true},
		{"e/y", false, false},
		{"", true, false},
	} {
		if got := f.Excluded(c.path, c.isDir); got != c.want {
			t.Errorf("Excluded(%q) = %v", c.path, got)
		}
	}
}

func TestNothingExcluded(t *testing.T) {
	for _, f := range []*Filter{nil, {}, parse(t)} {
		if !f.Empty() || f.Excluded("a/b", false) || len(f.Rules()) != 0 {
			t.Errorf("%#v is not empty", f)
		}
	}
	if f := parse(t, "- *"); f.Empty() || f.Excluded("", true) {
		t.Error("the root is excluded, or a filter with a rule is empty")
	}
}

func TestRules(t *testing.T) {
	in := []string{"-  a", "+ b/", "- #c ", "- - d"}
	f := parse(t, in...)
	got := f.Rules()
	if diff := cmp.Diff(in, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	got[0] = "changed"
	if !slices.Equal(f.Rules(), in) {
		t.Error("Rules hands out its own memory")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"", `is empty`},
		{"*.tmp", `does not start with "- " or "+ "`},
		{" - a", `does not start with`},
		{"-", `has no pattern`},
		{"- ", `has no pattern`},
		{"+ ", `has no pattern`},
		{"-a", `modifiers are not supported`},
		{"-! a", `modifiers are not supported`},
		{"-_a", `no blank after its sign`},
		{"-,s a", `modifiers are not supported`},
		{"!", `is a clear rule`},
		{"clear", `is a clear rule`},
		{". file", `is a merge rule`},
		{"merge file", `is a merge rule`},
		{"dir-merge .f", `is a per-directory merge rule`},
		{": .f", `is a per-directory merge rule`},
		{"H a", `is a hide rule`},
		{"hide a", `is a hide rule`},
		{"S a", `is a show rule`},
		{"P a", `is a protect rule`},
		{"protect,p a", `is a protect rule`},
		{"risk a", `is a risk rule`},
		{"exclude a", `is the long form of "- "`},
		{"include a", `is the long form of "+ "`},
		{"- a\x00b", `NUL`},
		{"- " + strings.Repeat("a", 4096), `longer than rsync takes`},
	} {
		_, err := Parse([]string{"- ok", c.rule})
		if err == nil {
			t.Errorf("%.40q is taken", c.rule)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v", c.rule, err)
		}
	}
	parse(t, "- "+strings.Repeat("a", 4095))
}

// TestNoBlowUp has a pattern that a plain backtracking search would need
// longer than the universe for.
func TestNoBlowUp(t *testing.T) {
	f := parse(t, "- "+strings.Repeat("*a", 40)+"b", "- "+strings.Repeat("**a/", 40)+"b")
	path := strings.Repeat("a", 200) + "/" + strings.Repeat("a/", 200) + "c"
	if f.Excluded(path, false) {
		t.Error("excluded")
	}
}

func BenchmarkExcluded(b *testing.B) {
	f := parse(b, "- *.tmp", "- .git/", "- *~", "- /cache/**", "- .*.sw?", "- node_modules/")
	b.ReportAllocs()
	for b.Loop() {
		f.Excluded("srv/www/site/assets/images/2026/picture-000123.jpeg", false)
	}
}
