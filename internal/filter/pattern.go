package filter

import (
	"slices"
	"strings"
)

// unanchored drops what marks the beginning and the end; false if a mark
// stands elsewhere.
func unanchored(f form) (form, bool) {
	for len(f) > 0 && f[0].kind == begin {
		f = f[1:]
	}
	for len(f) > 0 && f[len(f)-1].kind == end {
		f = f[:len(f)-1]
	}
	return f, !slices.ContainsFunc(f, func(t part) bool { return t.kind == begin || t.kind == end })
}

// afterSlash are the forms of what may follow a leading slash.
func afterSlash(f form) []form {
	var all []form
	for i, t := range f {
		switch t.kind {
		case slash:
			return append(all, f[i+1:])
		case deep:
			all = append(all, f[i:])
		case star: // it may be empty
		default:
			return all
		}
	}
	return all
}

func reversed(f form) form {
	r := slices.Clone(f)
	slices.Reverse(r)
	return r
}

// pattern writes a form as rsync's pattern for whole paths. It is not possible
// for any path if slashes stand where no path has them; ok is false if there is
// no such pattern.
func pattern(f form, dirOnly bool) (pat string, possible, ok bool) {
	f = simplified(f)
	if len(f) == 0 || f[0].kind == slash || f[len(f)-1].kind == slash {
		return "", false, true
	}
	wild, deeps, slashes := false, 0, 0
	for i, t := range f {
		switch t.kind {
		case slash:
			if f[i-1].kind == slash {
				return "", false, true
			}
			slashes++
		case deep:
			deeps++
			wild = true
		case star:
			wild = true
		case one:
			c, only := t.set.only()
			wild = wild || !only || strings.IndexByte("*?[", c) >= 0
		}
	}
	var b strings.Builder
	switch {
	case f[0].kind == deep && deeps == 1 && slashes == 0:
		f[0].kind = star // the last name says it all
	default:
		b.WriteByte('/')
	}
	for _, t := range f {
		switch t.kind {
		case slash:
			b.WriteByte('/')
		case star:
			b.WriteByte('*')
		case deep:
			b.WriteString("**")
		case one:
			if !writeOne(&b, t.set, wild) {
				return "", true, false
			}
		}
	}
	pat = b.String()
	if strings.HasSuffix(pat, "***") {
		return "", true, false // that means something else
	}
	if dirOnly {
		pat += "/"
	}
	return pat, true, true
}

// simplified drops stars beside deep ones.
func simplified(f form) form {
	var out form
	for _, t := range f {
		if n := len(out); n > 0 {
			switch last := &out[n-1]; {
			case t.kind == star && (last.kind == star || last.kind == deep), t.kind == deep && last.kind == deep:
				continue
			case t.kind == deep && last.kind == star:
				last.kind = deep
				continue
			}
		}
		out = append(out, t)
	}
	return out
}

// only gives the byte of a set that has but one.
func (s *set) only() (byte, bool) {
	found, n := byte(0), 0
	for c := range 256 {
		if s.has(byte(c)) {
			found = byte(c)
			n++
		}
	}
	return found, n == 1
}

// writeOne writes one byte of s; false if a rule cannot hold it.
func writeOne(b *strings.Builder, s set, wild bool) bool {
	if s == noSlash {
		b.WriteByte('?')
		return true
	}
	if c, only := s.only(); only {
		if wild && strings.IndexByte(`*?[\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		return c != '\n' && c != '\r'
	}
	b.WriteByte('[')
	if s.has('\n') || s.has('\r') {
		if !s.has('\n') || !s.has('\r') {
			return false
		}
		b.WriteByte('!')
		for i := range s {
			s[i] = noSlash[i] &^ s[i]
		}
	}
	for c := 1; c < 256; c++ {
		if !s.has(byte(c)) {
			continue
		}
		last := c
		for last < 255 && s.has(byte(last+1)) {
			last++
		}
		b.WriteByte('\\')
		b.WriteByte(byte(c))
		if last > c+1 {
			b.WriteByte('-')
		}
		if last > c {
			b.WriteByte('\\')
			b.WriteByte(byte(last))
		}
		c = last
	}
	b.WriteByte(']')
	return true
}
