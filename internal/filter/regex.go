package filter

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// matchWithin bounds one try of an expression that needs backtracking.
const matchWithin = time.Second

// Regex is a regular expression that excludes paths. It must match the whole
// of one of these: the path relative to the root, the same with a leading
// slash, and for directories either with a trailing slash too. What lies in an
// excluded directory is excluded.
//
// Paths and expression are bytes: "." is one byte, any byte. Expressions are
// those of Go; one that Go cannot compile may have look-arounds and
// back-references.
type Regex struct {
	expr  string
	match func(s string) bool
	rules []string
	exact bool
}

// ParseRegex compiles one expression. The error says what is wrong with it.
func ParseRegex(expr string) (*Regex, error) {
	if strings.IndexByte(expr, 0) >= 0 {
		return nil, fmt.Errorf("expression %q holds a NUL byte, which no path can have; remove it", expr)
	}
	x := &Regex{expr: expr}
	runes := latin1(expr)
	if _, err := regexp.Compile(runes); err != nil {
		return x, x.backtracking(runes, err)
	}
	re, err := regexp.Compile(`\A(?s:` + runes + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", expr, err)
	}
	x.match = func(s string) bool { return re.MatchString(latin1(s)) }
	x.rules, x.exact = rulesOf(runes)
	return x, nil
}

// backtracking compiles what the standard library cannot, for the reason plain.
func (x *Regex) backtracking(runes string, plain error) error {
	_, err := regexp2.Compile(runes, regexp2.Singleline) // alone, or its brackets might close ours
	if err != nil {
		hint := ""
		if strings.HasPrefix(x.expr, "*") {
			hint = fmt.Sprintf("; for a shell pattern write %q, or use exclude", "."+strings.ReplaceAll(x.expr, ".", `\.`))
		}
		return fmt.Errorf("expression %q is not valid (%s)%s", x.expr, strings.TrimPrefix(plain.Error(), "error parsing regexp: "), hint)
	}
	re, err := regexp2.Compile(`\A(?:`+runes+`)\z`, regexp2.Singleline)
	if err != nil {
		return fmt.Errorf("expression %q: %w", x.expr, err)
	}
	re.MatchTimeout = matchWithin
	x.match = func(s string) bool {
		ok, err := re.MatchString(latin1(s))
		// What cannot be decided in time is left alone: neither sent nor deleted.
		return ok || err != nil
	}
	return nil
}

// Rules are the rules "- PATTERN" that exclude the same paths as the
// expression; false: no patterns say the same.
func (x *Regex) Rules() ([]string, bool) { return x.rules, x.exact }

// Match reports whether the expression matches the whole of s.
func (x *Regex) Match(s string) bool { return x.match(s) }

// Excluded reports whether the path, or a directory it lies in, is excluded.
// The path is relative to the root, without a leading or trailing slash.
func (x *Regex) Excluded(path string, isDir bool) bool {
	if path == "" {
		return false
	}
	for i := range len(path) {
		if path[i] == '/' && x.one(path[:i], true) {
			return true
		}
	}
	return x.one(path, isDir)
}

func (x *Regex) one(path string, isDir bool) bool {
	return x.match(path) || x.match("/"+path) || isDir && (x.match(path+"/") || x.match("/"+path+"/"))
}

// latin1 turns every byte into the character of that number, so that an engine
// that knows characters sees bytes.
func latin1(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			var b strings.Builder
			for _, c := range []byte(s) {
				b.WriteRune(rune(c))
			}
			return b.String()
		}
	}
	return s
}

// ParseRegexes compiles expressions and divides them: rules exclude what
// patterns can say, and veto, nil if it is not needed, reports what the others
// exclude. The error names every bad expression.
func ParseRegexes(exprs []string) (rules []string, veto func(path string, isDir bool) bool, err error) {
	var rest []*Regex
	var errs []error
	for _, expr := range exprs {
		x, err := ParseRegex(expr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r, exact := x.Rules(); exact {
			rules = append(rules, r...)
		} else {
			rest = append(rest, x)
		}
	}
	if len(rest) > 0 {
		veto = func(path string, isDir bool) bool {
			for _, x := range rest {
				if x.Excluded(path, isDir) {
					return true
				}
			}
			return false
		}
	}
	return rules, veto, errors.Join(errs...)
}
