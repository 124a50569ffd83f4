package filter

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// maxForms bounds the patterns that one expression may become.
const maxForms = 64

// maxExpr is the longest expression that is made patterns of; the work grows with
// the square of the length.
const maxExpr = 500

// maxTimes bounds a counted repetition.
const maxTimes = 16

// kind is what a part of a form stands for.
type kind uint8

const (
	one   kind = iota // one byte of a set, never a slash
	slash             // a slash
	star              // any number of bytes that are no slash
	deep              // any number of bytes
	begin             // the beginning
	end               // the end
)

// part is one part of a form; set is of kind one alone.
type part struct {
	kind kind
	set  set
}

// form is one way to match an expression: its parts in order.
type form []part

// rulesOf gives rules that exclude what the expression matches; false if
// patterns cannot say it. The expression has one character for each byte.
func rulesOf(expr string) ([]string, bool) {
	if len(expr) > maxExpr {
		return nil, false
	}
	re, err := syntax.Parse(expr, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, false
	}
	forms, ok := expand(re)
	if !ok {
		return nil, false
	}
	rules := []string{}
	for _, f := range forms {
		f, ok := unanchored(f)
		if !ok {
			return nil, false
		}
		// The path may be matched with a slash before it, and a directory's
		// with one behind.
		for _, v := range append(afterSlash(f), f) {
			all := map[bool][]form{false: {v}}
			for _, d := range afterSlash(reversed(v)) {
				all[true] = append(all[true], reversed(d))
			}
			for dirOnly, forms := range all {
				for _, v := range forms {
					pat, possible, ok := pattern(v, dirOnly)
					if !ok {
						return nil, false
					}
					if possible {
						rules = append(rules, "- "+pat)
					}
				}
			}
		}
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	// A pattern for directories says nothing beside the same one for all.
	rules = slices.DeleteFunc(rules, func(r string) bool {
		plain, dirOnly := strings.CutSuffix(r, "/")
		return dirOnly && slices.Contains(rules, plain)
	})
	for _, r := range rules {
		if checkForm(r) != nil || strings.ContainsAny(r, "\n\r") {
			return nil, false
		}
	}
	return rules, len(rules) <= maxForms
}

// expand gives the forms of an expression; false if it has others too.
func expand(re *syntax.Regexp) ([]form, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []form{{}}, true
	case syntax.OpNoMatch:
		return nil, true
	case syntax.OpBeginText, syntax.OpBeginLine:
		return []form{{{kind: begin}}}, re.Op == syntax.OpBeginText
	case syntax.OpEndText, syntax.OpEndLine:
		return []form{{{kind: end}}}, re.Op == syntax.OpEndText
	case syntax.OpLiteral:
		all := []form{{}}
		fold := re.Flags&syntax.FoldCase != 0
		for _, c := range re.Rune {
			if fold && c >= 0x80 {
				return nil, false
			}
			var s set
			add(&s, c, c, fold)
			all = product(all, single(s))
		}
		return all, len(all) > 0
	case syntax.OpCharClass:
		var s set
		for i := 0; i+1 < len(re.Rune); i += 2 {
			add(&s, re.Rune[i], re.Rune[i+1], false)
		}
		return single(s), true
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return single(everything), true
	case syntax.OpCapture:
		return expand(re.Sub[0])
	case syntax.OpConcat:
		return sequence(re.Sub)
	case syntax.OpAlternate:
		var all []form
		for _, sub := range re.Sub {
			f, ok := expand(sub)
			if all = append(all, f...); !ok || len(all) > maxForms {
				return nil, false
			}
		}
		return all, true
	case syntax.OpStar:
		return repeat(re.Sub[0], 0, -1)
	case syntax.OpPlus:
		return repeat(re.Sub[0], 1, -1)
	case syntax.OpQuest:
		return repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		return repeat(re.Sub[0], re.Min, re.Max)
	}
	return nil, false // word boundaries
}

func sequence(subs []*syntax.Regexp) ([]form, bool) {
	all := []form{{}}
	for _, sub := range subs {
		f, ok := expand(sub)
		if all = product(all, f); !ok || len(all) > maxForms {
			return nil, false
		}
	}
	return all, true
}

// repeat is sub at least least and at most most times; most -1 is no limit.
func repeat(sub *syntax.Regexp, least, most int) ([]form, bool) {
	f, ok := expand(sub)
	if !ok || least > maxTimes || most > maxTimes {
		return nil, false
	}
	all := []form{{}}
	for range least {
		if all = product(all, f); len(all) > maxForms {
			return nil, false
		}
	}
	if most < 0 {
		more, ok := endless(f)
		if all = product(all, more); !ok || len(all) > maxForms {
			return nil, false
		}
		return all, true
	}
	longer := all
	for range most - least {
		if longer = product(longer, f); len(all)+len(longer) > maxForms {
			return nil, false
		}
		all = append(all, longer...)
	}
	return all, true
}

// endless is any number of f, where patterns can say that.
func endless(f []form) ([]form, bool) {
	var every, slashes bool
	for _, x := range f {
		switch {
		case len(x) != 1:
			return nil, false
		case x[0].kind == deep:
			return f, len(f) == 1
		case x[0].kind == slash:
			slashes = true
		case x[0].kind == star || x[0].kind == one && x[0].set == noSlash:
			every = true
		default:
			return nil, false
		}
	}
	switch {
	case every && slashes:
		return []form{{{kind: deep}}}, true
	case every:
		return []form{{{kind: star}}}, true
	}
	return []form{{}, {{kind: slash}}}, true // no path has two slashes in a row
}

// noSlash are all bytes that a name can have; everything has the slash too.
var noSlash, everything = func() (names, all set) {
	all.addIf(func(c byte) bool { return c != 0 })
	names = all
	names['/'>>6] &^= 1 << ('/' & 63)
	return names, all
}()

// add puts a range of characters into s, with fold in both cases.
func add(s *set, lo, hi rune, fold bool) {
	for c := max(lo, 1); c <= min(hi, 0xff); c++ {
		s.add(byte(c))
		if fold && c < 0x80 {
			s.add(strings.ToLower(string(c))[0])
			s.add(strings.ToUpper(string(c))[0])
		}
	}
}

// single are the forms of one byte of s.
func single(s set) []form {
	var all []form
	if s.has('/') {
		all = append(all, form{{kind: slash}})
		s['/'>>6] &^= 1 << ('/' & 63)
	}
	if s != (set{}) {
		all = append(all, form{{kind: one, set: s}})
	}
	return all
}

func product(a, b []form) []form {
	all := make([]form, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			all = append(all, slices.Concat(x, y))
			if len(all) > maxForms {
				return all
			}
		}
	}
	return all
}
