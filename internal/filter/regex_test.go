package filter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestRegexRules: what patterns can say is said by patterns, so that rsync
// knows it too.
func TestRegexRules(t *testing.T) {
	for expr, want := range map[string][]string{
		`(.*)\.svn`:       {`- *.svn`},
		`(.*)\.gz`:        {`- *.gz`},
		`(.*)\.php`:       {`- *.php`},
		`^info/*`:         {`- /info`},
		`^static/*$`:      {`- /static`},
		`^data/.*`:        {`- /data/`, `- /data/**`},
		`^/a/f$`:          {`- /a/f`},
		`^a/f$`:           {`- /a/f`},
		`php`:             {`- /php`},
		`.*\.(jpg|png)`:   {`- *.jpg`, `- *.png`},
		`.*/cache/.*`:     {`- /**/cache/`, `- /**/cache/**`, `- /cache/`, `- /cache/**`},
		`[^/]*\.tmp`:      {`- /*.tmp`},
		`a\*b`:            {`- /a\*b`},
		`a\\b`:            {`- /a\b`},
		`.*\.te?mp`:       {`- *.temp`, `- *.tmp`},
		`(?i).*\.tmp`:     {`- *.[\T\t][\M\m][\P\p]`},
		`logs/`:           {`- /logs/`},
		"中文/.*":           {"- /中文/", "- /中文/**"},
		`.*`:              {`- *`},
		`x[0-9]`:          {`- /x[\0-\9]`},
		`.*[^/]\.bak`:     {`- *?.bak`},
		`\d+`:             nil,
		`(?!a).*`:         nil,
		`(ab)*`:           nil,
		`a\bc`:            nil,
		`[[:upper:]]+`:    nil,
		`.*\.log\.\d{1,}`: nil,
	} {
		x, err := ParseRegex(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		got, exact := x.Rules()
		if exact != (want != nil) {
			t.Errorf("%s: rules %q, exact %v", expr, got, exact)
			continue
		}
		if diff := cmp.Diff(want, got); want != nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
	}
}

// TestRegexLong: an expression too long for patterns is one all the same.
func TestRegexLong(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	x, err := ParseRegex(long)
	if err != nil {
		t.Fatal(err)
	}
	if _, exact := x.Rules(); exact || !x.Excluded(long, false) || x.Excluded(long+"a", false) {
		t.Error("a long literal")
	}
}

func TestRegexExcluded(t *testing.T) {
	for _, c := range []struct {
		expr, path string
		dir, want  bool
	}{
		{`php`, "a.php", false, false},
		{`php`, "php", false, true},
		{`(.*)\.php`, "a.php", false, true},
		{`(.*)\.php`, "d/e/a.php", false, true},
		{`(.*)\.php`, "a.phpx", false, false},
		{`^data/*`, "data", true, true},
		{`^data/*`, "data/x/y", false, true},
		{`^data/*`, "a/data", true, false},
		{`^a/f$`, "a/f", false, true},
		{`^/a/f$`, "a/f", false, true},
		{`^/a/f$`, "b/a/f", false, false},
		{`d/`, "d", false, false},
		{`d/`, "d", true, true},
		{`\d+`, "123", false, true},
		{`\d+`, "12a", false, false},
		{`(?!a).*`, "abc", false, true}, // as "/abc"
		{`(?!.*keep).*\.log`, "x/keep.log", false, false},
		{`(?!.*keep).*\.log`, "x/drop.log", false, true},
		{`(.)\1`, "aa", false, true},
		{`(.)\1`, "ab", false, false},
		{`..`, "\xe4", false, true}, // as "/\xe4"
		{`a.c`, "a\xffc", false, true},
		{`a.c`, "a\nc", false, true},
		{"\xce\xc4.*", "\xce\xc4\xbc\xfe", false, true}, // GBK
		{`[[:upper:]]+`, "ABC", false, true},
		{`.*`, "", true, false},
	} {
		x, err := ParseRegex(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if got := x.Excluded(c.path, c.dir); got != c.want {
			t.Errorf("%q excludes %q (directory: %v): %v", c.expr, c.path, c.dir, got)
		}
	}
}

func TestRegexErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`*.php`: `for a shell pattern write ".*\\.php"`,
		`(abc`:  "missing closing )",
		"a\x00": "NUL",
		`a)(b`:  "unexpected )",
	} {
		if _, err := ParseRegex(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	_, _, err := ParseRegexes([]string{`(a`, `b`, `*c`})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two bad expressions: %v", err)
	}
}

func TestParseRegexes(t *testing.T) {
	rules, veto, err := ParseRegexes([]string{`.*\.php`, `\d+`, `x`})
	if err != nil || cmp.Diff([]string{"- *.php", "- /x"}, rules) != "" || veto == nil {
		t.Fatal(rules, veto == nil, err)
	}
	if !veto("12", false) || veto("a.php", false) {
		t.Error("veto is of the expressions that patterns cannot say")
	}
	if _, veto, _ := ParseRegexes([]string{`x`}); veto != nil {
		t.Error("veto without need")
	}
}

// TestRegexRulesAgree: the patterns exclude what the expression excludes, of
// random expressions and paths.
func TestRegexRulesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expr := randomRegex(3).Draw(t, "expr")
		x, err := ParseRegex(expr)
		if err != nil {
			t.Skip(err)
		}
		rules, exact := x.Rules()
		if !exact {
			t.Skip("patterns cannot say it")
		}
		f, err := Parse(rules)
		if err != nil {
			t.Fatal(err)
		}
		name := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*.\[`)), 1, 3, -1)
		for range 10 {
			path := strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "path"), "/")
			for _, dir := range []bool{true, false} {
				if got, want := f.Excluded(path, dir), x.Excluded(path, dir); got != want {
					t.Fatalf("%q is %q: for %q (directory: %v) patterns say %v, the expression %v", expr, rules, path, dir, got, want)
				}
			}
		}
	})
}

func randomRegex(depth int) *rapid.Generator[string] {
	atom := rapid.SampledFrom([]string{"a", "b", "/", ".", ".*", ".+", "[ab]", "[^a]", "[^/]", "[^/]*", `\.`, `\*`, `\[`, `\\`, "/*", "/?", "^", "$", "", "b?", "a{2}", ".{0,2}"})
	if depth == 0 {
		return atom
	}
	sub := rapid.Deferred(func() *rapid.Generator[string] { return randomRegex(depth - 1) })
	return rapid.OneOf(atom,
		rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(sub, 1, 4).Draw(t, "parts"), "")
		}),
		rapid.Custom(func(t *rapid.T) string {
			return "(" + strings.Join(rapid.SliceOfN(sub, 1, 3).Draw(t, "ways"), "|") + ")"
		}),
		rapid.Custom(func(t *rapid.T) string {
			return "(" + sub.Draw(t, "part") + ")" + rapid.SampledFrom([]string{"?", "*", "+"}).Draw(t, "times")
		}),
	)
}
