package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unit is what a measure counts, in the size in which a record holds it.
type unit int

const (
	seconds unit = iota
	micros
	megabytes
	bytesOf // bytes
	count
	share // of one core
)

// step is one size in which values of a unit are shown.
type step struct {
	size float64 // in the record's size
	name string
}

// steps rise; the first is for all that is smaller too.
var steps = map[unit][]step{
	seconds:   {{1e-3, " ms"}, {1, " s"}},
	micros:    {{1, " µs"}, {1e3, " ms"}, {1e6, " s"}},
	megabytes: {{1, " MB"}, {1000, " GB"}},
	bytesOf:   {{1, " B"}, {1e3, " kB"}, {1e6, " MB"}, {1e9, " GB"}},
	count:     {{1, ""}},
	share:     {{0.01, " %"}},
}

// stepFor is the largest step that is not above v.
func (u unit) stepFor(v float64) step {
	best := steps[u][0]
	for _, s := range steps[u] {
		if s.size <= v {
			best = s
		}
	}
	return best
}

// show is v with three digits and its unit.
func (u unit) show(v float64) string {
	s := u.stepFor(v)
	return u.digits(v/s.size) + s.name
}

// digits is v with three digits, or as a whole number if it can be no other.
func (u unit) digits(v float64) string {
	if u == count || v == math.Trunc(v) && math.Abs(v) < 1000 {
		return thousands(strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64))
	}
	return thousands(three(v))
}

// three is v with three significant digits and no exponent.
func three(v float64) string {
	decimals := 0
	for limit := 100.0; math.Abs(v) < limit && decimals < 3; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// thousands puts a comma before each three digits of the whole part.
func thousands(s string) string {
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}

// median is the middle of a figure, or what it is below.
func (u unit) median(f figure) string {
	if f.below() {
		return "< " + u.show(f.Floor)
	}
	return u.show(f.Median)
}

// spread is the spread of a figure in the unit of its median; "" for a single
// value, and where all are below what can be told or look the same.
func (u unit) spread(f figure) string {
	if len(f.Values) < 2 || f.Hi < f.Floor {
		return ""
	}
	s := u.stepFor(math.Max(f.Median, f.Floor))
	lo, hi := u.digits(f.Lo/s.size), u.digits(f.Hi/s.size)
	if f.Lo < f.Floor {
		lo = "<" + u.digits(f.Floor/s.size)
	}
	if lo == hi {
		return ""
	}
	return lo + "–" + hi
}

// figure is the median, and the spread in brackets if there is one.
func (u unit) figure(f figure) string {
	if s := u.spread(f); s != "" {
		return u.median(f) + " (" + s + ")"
	}
	return u.median(f)
}

// times is a ratio such as "4.1x", and "at least" that as "> 4.1x".
func times(v float64, b bound) string {
	return [...]string{exact: "", atLeast: "> ", atMost: "< ", mixed: "about "}[b] + twoDigits(v) + "x"
}

// twoDigits is v with two significant digits, or all digits of the whole part.
func twoDigits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 9.95:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 0.0995:
		return strconv.FormatFloat(v, 'f', 1+btoi(v < 0.995), 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r ratio) String() string { return times(r.Value, r.Bound) }

// more is the spread of a ratio, and the number of repetitions if they are few;
// "" if there is nothing to add.
func (r ratio) more() string {
	lo, hi := twoDigits(r.Lo), twoDigits(r.Hi)
	var more []string
	if lo != hi && r.Bound == exact {
		more = append(more, lo+"–"+hi)
	}
	if r.Reps < fewReps {
		more = append(more, fmt.Sprintf("n=%d", r.Reps))
	}
	return strings.Join(more, ", ")
}

// full is the ratio and in brackets what more there is.
func (r ratio) full() string {
	if more := r.more(); more != "" {
		return r.String() + " (" + more + ")"
	}
	return r.String()
}

// plural is "1 path", "2 paths".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(strconv.Itoa(n)) + " " + one + "s"
}

// list is "a", "a and b", "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// capital begins a sentence with s, which is ASCII.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// clean makes a name that may be any bytes printable on one line: what is no
// visible character, or would turn the direction of the text, becomes an
// escape.
func clean(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// shorten keeps at most n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
