package filter

import "strings"

// set is the bytes a class such as [a-z] matches.
type set [4]uint64

func (s *set) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *set) add(c byte)      { s[c>>6] |= 1 << (c & 63) }

// addIf adds every byte for which in holds.
func (s *set) addIf(in func(c byte) bool) {
	for c := range 256 {
		if in(byte(c)) {
			s.add(byte(c))
		}
	}
}

// parseSet reads a class whose inside starts at i and gives the place of its
// closing bracket; the set is nil if the class is broken. A slash is in no
// class, not even in a negated one.
func parseSet(pat string, i int) (*set, int) {
	at := func(i int) byte {
		if i < len(pat) {
			return pat[i]
		}
		return 0
	}
	var s set
	negated := at(i) == '!' || at(i) == '^'
	if negated {
		i++
	}
	// prev is the byte a range would start from, 0 if there is none. The
	// first byte never closes the class.
	var prev byte
	for first := true; first || at(i) != ']'; first = false {
		c := at(i)
		switch {
		case c == 0:
			return nil, 0
		case c == '\\':
			i++
			if c = at(i); c == 0 {
				return nil, 0
			}
			s.add(c)
		case c == '-' && prev != 0 && at(i+1) != 0 && at(i+1) != ']':
			i++
			if c = at(i); c == '\\' {
				i++
				if c = at(i); c == 0 {
					return nil, 0
				}
			}
			lo, hi := prev, c
			s.addIf(func(c byte) bool { return lo <= c && c <= hi })
			c = 0
		case c == '[' && at(i+1) == ':':
			n := strings.IndexByte(pat[i+2:], ']')
			if n < 0 {
				return nil, 0
			}
			if n == 0 || pat[i+1+n] != ':' {
				s.add('[')
				break
			}
			in := named7[pat[i+2:i+1+n]]
			if in == nil {
				return nil, 0
			}
			s.addIf(in)
			i += 2 + n
			c = 0
		default:
			s.add(c)
		}
		prev = c
		i++
	}
	if negated {
		for j := range s {
			s[j] = ^s[j]
		}
	}
	s['/'>>6] &^= 1 << ('/' & 63)
	return &s, i
}

// named7 are the classes [:name:] over 7-bit bytes.
var named7 = map[string]func(c byte) bool{
	"alnum":  func(c byte) bool { return isDigit(c) || isLower(c) || isUpper(c) },
	"alpha":  func(c byte) bool { return isLower(c) || isUpper(c) },
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 127 },
	"digit":  isDigit,
	"graph":  isGraph,
	"lower":  isLower,
	"print":  func(c byte) bool { return c == ' ' || isGraph(c) },
	"punct":  func(c byte) bool { return isGraph(c) && !isDigit(c) && !isLower(c) && !isUpper(c) },
	"space":  func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	"upper":  isUpper,
	"xdigit": func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' },
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isGraph(c byte) bool { return '!' <= c && c <= '~' }
