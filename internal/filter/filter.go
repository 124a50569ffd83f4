package filter

import "bytes"

// Filter is an ordered list of rules. A nil or zero Filter excludes nothing.
type Filter struct {
	rules []rule
}

// Parse compiles the rules, each "- PATTERN" or "+ PATTERN" with one blank
// after the sign; all that follows that blank, further blanks and "#"
// included, is the pattern. The error names the first rule that is not of this
// form.
func Parse(rules []string) (*Filter, error) {
	f := &Filter{rules: make([]rule, 0, len(rules))}
	for _, s := range rules {
		r, err := parseRule(s)
		if err != nil {
			return nil, err
		}
		f.rules = append(f.rules, r)
	}
	return f, nil
}

// Empty reports whether there are no rules, so that nothing is excluded.
func (f *Filter) Empty() bool { return f == nil || len(f.rules) == 0 }

// Rules are the rules as rsync takes them, one for each --filter=RULE
// argument. rsync reads such an argument as one rule: blanks at either end of
// the pattern and a leading "#", ";" or "-" belong to the pattern.
func (f *Filter) Rules() []string {
	if f == nil {
		return nil
	}
	s := make([]string, len(f.rules))
	for i := range f.rules {
		s[i] = f.rules[i].text
	}
	return s
}

// Excluded reports whether the path, or a directory it lies in, is excluded.
// The path is relative to the root, without a leading or trailing slash; the
// root itself ("") never is excluded.
func (f *Filter) Excluded(path string, isDir bool) bool {
	if f.Empty() || path == "" {
		return false
	}
	var stack [512]byte
	b := frame(stack[:0], path)
	for i := 1; i < len(b)-1; i++ {
		if b[i] == '/' && f.excludes(b[:i+1], true) {
			return true
		}
	}
	return f.excludes(b, isDir)
}

// frame puts the path between two slashes, so that every form in which a rule
// wants it is a part of one buffer.
func frame(b []byte, path string) []byte {
	b = append(b, '/')
	b = append(b, path...)
	return append(b, '/')
}

// excludes tries the rules on one framed path.
func (f *Filter) excludes(framed []byte, isDir bool) bool {
	name := framed[1+bytes.LastIndexByte(framed[:len(framed)-1], '/') : len(framed)-1]
	for i := range f.rules {
		r := &f.rules[i]
		if r.matches(framed, name, isDir) {
			return !r.include
		}
	}
	return false
}
