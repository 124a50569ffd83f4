package main

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/fansync/fansync/coalesce"
)

// form is how watch prints.
type form uint8

const (
	formLines form = iota
	formJSON
	formNull
)

// place is where the paths of a tree begin: name is the tree as the user calls
// it, prefix what stands before a path below it.
type place struct{ name, prefix string }

// formatter writes records. It is not safe for concurrent use.
type formatter struct {
	form form
	loc  *time.Location
	path []byte // scratch
	// second is a time since 1970, and head and tail what stands before and
	// after the fraction of it: they are the same for most lines.
	second     int64
	head, tail []byte
}

// append appends what stands for r. Only JSON has all types of records; the
// others have those that are news of a path.
func (f *formatter) append(b []byte, p *place, r *record) []byte {
	switch {
	case f.form == formJSON:
		return f.json(b, p, r)
	case r.kind > recordHidden:
		return b
	case f.form == formNull:
		return append(append(b, f.whole(p, r.path)...), 0)
	}
	return f.line(b, p, r)
}

// whole is a path with the name of its tree in front, valid until the next
// call.
func (f *formatter) whole(p *place, path string) []byte {
	if path == "" {
		f.path = append(f.path[:0], p.name...)
	} else {
		f.path = append(append(f.path[:0], p.prefix...), path...)
	}
	return f.path
}

// time appends a time as RFC 3339 has it, with microseconds always.
func (f *formatter) time(b []byte, ns int64) []byte {
	second, micro := ns/1e9, ns%1e9/1e3
	if second != f.second || len(f.head) == 0 {
		t := time.Unix(second, 0).In(f.loc)
		f.second = second
		f.head = t.AppendFormat(f.head[:0], "2006-01-02T15:04:05.")
		f.tail = t.AppendFormat(f.tail[:0], "Z07:00")
	}
	b = append(b, f.head...)
	for n := int64(100_000); n > 0; n /= 10 {
		b = append(b, '0'+byte(micro/n%10))
	}
	return append(b, f.tail...)
}

// line appends TIME, KINDS, PATH and perhaps a note, with tabs between them.
func (f *formatter) line(b []byte, p *place, r *record) []byte {
	b = append(f.time(b, r.time), '\t')
	for i, sep := 0, false; i < len(wordNames); i++ {
		if r.words&(1<<i) == 0 {
			continue
		}
		if sep {
			b = append(b, ',')
		}
		b, sep = append(b, wordNames[i]...), true
	}
	b = appendShell(append(b, '\t'), f.whole(p, r.path))
	if r.from != "" {
		b = appendShell(append(b, "\tfrom "...), f.whole(p, r.from))
	}
	if r.reason != "" {
		b = append(append(b, '\t'), r.reason...)
	}
	return append(b, '\n')
}

// json appends an object and a newline. What does not stand with a type of
// record is left out.
func (f *formatter) json(b []byte, p *place, r *record) []byte {
	b = append(append(b, `{"type":"`...), recordNames[r.kind]...)
	b = append(f.time(append(b, `","time":"`...), r.time), '"')
	b = f.jsonPath(b, "root", p, "")
	switch r.kind {
	case recordWatching:
		b = appendJSON(append(b, `,"backend":`...), []byte(r.backend))
	case recordReady:
		b = strconv.AppendFloat(append(b, `,"after_ms":`...), float64(r.after)/1e6, 'f', 3, 64)
	case recordRescan, recordChange, recordEvent:
		b = f.jsonPath(b, "path", p, r.path)
	}
	if r.from != "" {
		b = f.jsonPath(b, "from", p, r.from)
	}
	if r.kind == recordChange || r.kind == recordEvent {
		b = append(b, `,"kinds":[`...)
		for i := range wordNames {
			if r.words&(1<<i) != 0 {
				b = appendItem(b, wordNames[i])
			}
		}
		b = append(b, ']')
	}
	if r.kind == recordChange {
		b = append(b, `,"flags":[`...)
		for i, name := range flagNames {
			if r.flags&(1<<i) != 0 && name != "" {
				b = appendItem(b, name)
			}
		}
		b = append(b, ']')
	}
	if r.deletes > 0 {
		b = strconv.AppendUint(append(b, `,"deletes":`...), uint64(r.deletes), 10)
	}
	if r.since != 0 {
		b = append(f.time(append(b, `,"since":"`...), r.since), '"')
	}
	if r.reason != "" {
		b = appendJSON(append(b, `,"reason":`...), []byte(r.reason))
	}
	return append(b, "}\n"...)
}

// flagNames are the names of coalesce.Flags by bit.
var flagNames = func() (names [16]string) {
	for i := range names {
		names[i] = coalesce.Flags(1 << i).String()
	}
	return names
}()

// appendItem appends a plain string to a JSON array that b ends in.
func appendItem(b []byte, s string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), s...), '"')
}

// jsonPath appends a member with a path: `"key":"…"` if the path is valid
// UTF-8, else `"key_b64":"…"`.
func (f *formatter) jsonPath(b []byte, key string, p *place, path string) []byte {
	whole := f.whole(p, path)
	b = append(append(b, `,"`...), key...)
	if utf8.Valid(whole) {
		return appendJSON(append(b, `":`...), whole)
	}
	b = append(b, `_b64":"`...)
	return append(base64.StdEncoding.AppendEncode(b, whole), '"')
}

// appendJSON appends s, which is valid UTF-8, as a JSON string. What does not
// print is escaped, so that a terminal does not obey it.
func appendJSON(b, s []byte) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			switch {
			case strconv.IsPrint(r):
				b = append(b, s[i:i+n]...)
			case r > 0xffff:
				r -= 0x10000
				b = appendU(appendU(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
			default:
				b = appendU(b, r)
			}
			i += n
		}
	}
	return append(b, '"')
}

func appendU(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// appendShell appends s bare if everything in it prints and nothing is
// ambiguous, else as $'…', the form that shells read and ls writes.
func appendShell(b, s []byte) []byte {
	if plain(s) {
		return append(b, s...)
	}
	b = append(b, "$'"...)
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		switch {
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\'' || r == '\\':
			b = append(b, '\\', byte(r))
		case (r != utf8.RuneError || n > 1) && strconv.IsPrint(r):
			b = append(b, s[:n]...)
		default:
			for _, c := range s[:n] {
				b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			}
		}
		s = s[n:]
	}
	return append(b, '\'')
}

// plain reports whether appendShell takes s as it is.
func plain(s []byte) bool {
	if len(s) == 0 || s[0] == ' ' || s[len(s)-1] == ' ' || len(s) > 1 && s[0] == '$' && s[1] == '\'' {
		return false
	}
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n < 2 || !strconv.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}
