package filter

import "bytes"

// op is the kind of a token.
type op uint8

const (
	// opByte matches the byte c.
	opByte op = iota
	// opAny matches any byte but a slash ("?").
	opAny
	// opSet matches the bytes of set.
	opSet
	// opStar matches any run of bytes without a slash.
	opStar
	// opDeep matches any run of bytes ("**").
	opDeep
	// opNever matches nothing: a backslash at the pattern's end.
	opNever
	// opBroken ends the search: a class that is not closed, or whose name is
	// unknown.
	opBroken
)

type token struct {
	op  op
	c   byte
	set *set
}

// glob is a compiled wildcard pattern.
type glob []token

// compile turns a pattern into tokens. There is no invalid pattern: a broken
// class matches nothing, as with rsync.
func compile(pat string) glob {
	g := make(glob, 0, len(pat))
	for i := 0; i < len(pat); i++ {
		switch pat[i] {
		case '\\':
			if i++; i == len(pat) {
				return append(g, token{op: opNever})
			}
			g = append(g, token{op: opByte, c: pat[i]})
		case '?':
			g = append(g, token{op: opAny})
		case '*':
			t := token{op: opStar}
			for i+1 < len(pat) && pat[i+1] == '*' {
				t.op = opDeep
				i++
			}
			g = append(g, t)
		case '[':
			s, end := parseSet(pat, i+1)
			if s == nil {
				return append(g, token{op: opBroken})
			}
			g = append(g, token{op: opSet, set: s})
			i = end
		default:
			g = append(g, token{op: opByte, c: pat[i]})
		}
	}
	return g
}

// verdict is what a try came to. The two aborts cut the search short; they
// also decide a few patterns in ways a full search would not, and rsync's
// answer is the one that counts.
type verdict uint8

const (
	no verdict = iota
	yes
	// noneLater: no later start in this text can match either.
	noneLater
	// pastSlash: a "*" met a slash, so only a "**" before it can go on.
	pastSlash
)

// match reports whether the pattern matches the whole text.
func (g glob) match(text []byte) bool {
	return !g.endsOtherwise(text) && g.try(text) == yes
}

// matchAnywhere reports whether the pattern matches the text from its start,
// or from behind one of its slashes, to its end.
func (g glob) matchAnywhere(text []byte) bool {
	if g.endsOtherwise(text) {
		return false
	}
	v := g.try(text)
	for v == no || v == pastSlash {
		i := bytes.IndexByte(text, '/')
		if i < 0 {
			return false
		}
		text = text[i+1:]
		v = g.try(text)
	}
	return v == yes
}

// endsOtherwise is a cheap no: the pattern ends in a plain byte and the text
// in another.
func (g glob) endsOtherwise(text []byte) bool {
	if len(g) == 0 || len(text) == 0 {
		return false
	}
	last := g[len(g)-1]
	return last.op == opByte && last.c != text[len(text)-1]
}

func (g glob) try(text []byte) verdict {
	for i := range g {
		t := &g[i]
		if t.op == opStar || t.op == opDeep {
			return g[i+1:].tryRun(text, t.op == opDeep)
		}
		if len(text) == 0 {
			return noneLater
		}
		switch c := text[0]; t.op {
		case opByte:
			if c != t.c {
				return no
			}
		case opAny:
			if c == '/' {
				return no
			}
		case opSet:
			if !t.set.has(c) {
				return no
			}
		case opNever:
			return no
		case opBroken:
			return noneLater
		}
		text = text[1:]
	}
	if len(text) > 0 {
		return no
	}
	return yes
}

// tryRun matches g, what follows a star, at every place the star can reach.
func (g glob) tryRun(text []byte, deep bool) verdict {
	if len(g) == 0 {
		if !deep && bytes.IndexByte(text, '/') >= 0 {
			return no
		}
		return yes
	}
	for ; len(text) > 0; text = text[1:] {
		v := no
		if g[0].op != opByte || g[0].c == text[0] {
			v = g.try(text)
		}
		switch {
		case v == no:
			if !deep && text[0] == '/' {
				return pastSlash
			}
		case !deep || v != pastSlash:
			return v
		}
	}
	return noneLater
}
