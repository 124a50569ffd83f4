package filter

import (
	"bytes"
	"fmt"
	"strings"
)

// maxPattern is rsync's MAXPATHLEN: it drops a rule with a pattern of this
// length or more and goes on without it.
const maxPattern = 4096

const supported = `write "- PATTERN" to exclude or "+ PATTERN" to include`

// scope says which part of a path a pattern is tried on.
type scope uint8

const (
	// lastName: the last component.
	lastName scope = iota
	// wholePath: the path from the root.
	wholePath
	// tail: as many trailing components as the pattern has.
	tail
	// anywhere: the path from each component on.
	anywhere
)

// rule is one compiled line.
type rule struct {
	// text is the rule as rsync takes it.
	text    string
	include bool
	dirOnly bool
	scope   scope
	// parts is the number of components of a tail pattern.
	parts int
	// literal is the pattern if it has no wildcards; glob is nil then.
	literal []byte
	glob    glob
	// lead and trail keep the slash before the path, and the one behind a
	// directory's path: "**/x" matches x at the top, "x/***" matches x.
	lead, trail bool
}

func parseRule(s string) (rule, error) {
	if err := checkForm(s); err != nil {
		return rule{}, err
	}
	r := rule{text: s, include: s[0] == '+'}
	pat := s[2:]
	if len(pat) > 1 && pat[len(pat)-1] == '/' {
		r.dirOnly = true
		pat = pat[:len(pat)-1]
	}
	slashes := strings.Count(pat, "/")
	anchored := pat[0] == '/'
	wild := strings.ContainsAny(pat, "*[?")
	deep := strings.Contains(pat, "**")
	r.lead = strings.HasPrefix(pat, "**")
	r.trail = deep && strings.HasSuffix(pat, "***")
	switch {
	case anchored:
		r.scope = wholePath
		pat = pat[1:]
	case r.lead:
		r.scope = wholePath
	case deep:
		r.scope = anywhere
	case slashes > 0:
		r.scope = tail
		r.parts = slashes + 1
	}
	if wild {
		r.glob = compile(pat)
	} else {
		r.literal = []byte(pat)
	}
	return r, nil
}

// matches tries the rule on a framed path whose last component is name.
func (r *rule) matches(framed, name []byte, isDir bool) bool {
	if r.dirOnly && !isDir {
		return false
	}
	if r.scope == lastName {
		if r.glob == nil {
			return bytes.Equal(name, r.literal)
		}
		return r.glob.match(name)
	}
	text := framed[1 : len(framed)-1]
	if r.glob == nil {
		return bytes.HasSuffix(text, r.literal) && (len(text) == len(r.literal) ||
			r.scope == tail && text[len(text)-len(r.literal)-1] == '/')
	}
	if r.lead {
		text = framed[:len(framed)-1]
	}
	if r.trail && isDir {
		text = text[:len(text)+1]
	}
	switch r.scope {
	case tail:
		text = lastParts(text, r.parts)
		return text != nil && r.glob.match(text)
	case anywhere:
		return r.glob.matchAnywhere(text)
	}
	return r.glob.match(text)
}

// lastParts is the last n components of the path, nil if it has fewer.
func lastParts(path []byte, n int) []byte {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			if n--; n == 0 {
				return path[i+1:]
			}
		}
	}
	if n == 1 {
		return path
	}
	return nil
}

// kinds are the rule names of rsync that are known and refused.
var kinds = []struct{ long, short, name string }{
	{"merge", ".", "a merge rule"},
	{"dir-merge", ":", "a per-directory merge rule"},
	{"hide", "H", "a hide rule"},
	{"show", "S", "a show rule"},
	{"protect", "P", "a protect rule"},
	{"risk", "R", "a risk rule"},
	{"clear", "!", "a clear rule"},
	{"exclude", "", `the long form of "- "`},
	{"include", "", `the long form of "+ "`},
}

// checkForm refuses what is not a plain include or exclude rule and says what
// it is taken for.
func checkForm(s string) error {
	if s == "" {
		return fmt.Errorf("filter rule %q is empty; %s", s, supported)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("filter rule %q holds a NUL byte, which no path can have; remove it", s)
	}
	if s[0] == '-' || s[0] == '+' {
		switch {
		case len(s) == 1 || s == s[:1]+" ":
			return fmt.Errorf("filter rule %q has no pattern; %s", s, supported)
		case s[1] != ' ':
			return fmt.Errorf("filter rule %q has no blank after its sign, and modifiers are not supported; %s", s, supported)
		case len(s)-2 >= maxPattern:
			return fmt.Errorf("filter rule %.40q… is longer than rsync takes (%d bytes); shorten it", s, maxPattern-1)
		}
		return nil
	}
	for _, k := range kinds {
		if named(s, k.long) || k.short != "" && named(s, k.short) {
			return fmt.Errorf("filter rule %q is %s, which is not supported; %s", s, k.name, supported)
		}
	}
	return fmt.Errorf(`filter rule %q does not start with "- " or "+ "; %s`, s, supported)
}

// named reports whether s is a rule of this name, modifiers included.
func named(s, name string) bool {
	rest, ok := strings.CutPrefix(s, name)
	return ok && (rest == "" || strings.IndexByte(" ,_", rest[0]) >= 0)
}
