package sersync

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep elements may be nested.
const maxDepth = 64

// element is one tag with what it holds. Names are in lower case.
type element struct {
	name     string
	attrs    []attr
	children []*element
	line     int
}

// attr is one attribute; its value is bytes.
type attr struct{ name, value string }

// stray is the character that stands for byte 0 above ASCII while encoding/xml
// reads: the file's encoding is nobody's business, and its bytes must pass.
const stray = 0xE000

// disguised replaces every byte above ASCII by a character of its own.
func disguised(data []byte) []byte {
	out := make([]byte, 0, len(data)+16)
	for _, c := range data {
		if c < utf8.RuneSelf {
			out = append(out, c)
		} else {
			out = utf8.AppendRune(out, stray+rune(c))
		}
	}
	return out
}

// plain undoes disguised.
func plain(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= stray+utf8.RuneSelf && c < stray+0x100 {
			b.WriteByte(byte(c - stray))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// place is the line and the column, in bytes of the file, of an offset into its
// disguised form.
func place(data []byte, offset int64) (line, column int) {
	before := data[:min(int(offset), len(data))]
	last := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[last:]) + 1
}

// parse reads a document. name stands for it in errors.
func parse(name string, data []byte) (*element, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = disguised(withoutComments(withoutDeclaration(data)))
	d := xml.NewDecoder(bytes.NewReader(data))
	fail := func(offset int64, format string, args ...any) error {
		line, column := place(data, offset)
		return fmt.Errorf("%s:%d:%d: %s", name, line, column, plain(fmt.Sprintf(format, args...)))
	}
	var root *element
	var open []*element
	for {
		start := d.InputOffset()
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fail(d.InputOffset(), "%s", message(err))
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			line, _ := place(data, start)
			e := &element{name: strings.ToLower(plain(local(tok.Name))), line: line}
			for _, a := range tok.Attr {
				e.attrs = append(e.attrs, attr{strings.ToLower(plain(local(a.Name))), plain(a.Value)})
			}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, fail(start, "<%s> stands behind the end of <%s>; there can be only one outermost element", e.name, root.name)
			default:
				root = e
			}
			if open = append(open, e); len(open) > maxDepth {
				return nil, fail(start, "elements are nested more than %d deep", maxDepth)
			}
		case xml.EndElement:
			end := strings.ToLower(plain(local(tok.Name)))
			if len(open) == 0 || open[len(open)-1].name != end {
				return nil, fail(start, "</%s> ends nothing that is open here%s", end, expected(open))
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case len(open) > 0:
		return nil, fail(d.InputOffset(), "the file ends before </%s>, which began in line %d", open[len(open)-1].name, open[len(open)-1].line)
	case root == nil:
		return nil, fail(d.InputOffset(), "there is no element; the outermost is <head>")
	}
	return root, nil
}

// withoutDeclaration blanks out <?xml …?>: its version and encoding say nothing.
func withoutDeclaration(data []byte) []byte {
	start := len(data) - len(bytes.TrimLeft(data, " \t\r\n"))
	if len(data) < start+5 || !bytes.EqualFold(data[start:start+5], []byte("<?xml")) {
		return data
	}
	end := bytes.Index(data[start:], []byte("?>"))
	if end < 0 {
		return data
	}
	data = bytes.Clone(data)
	for i := start; i < start+end+2; i++ {
		if data[i] != '\n' {
			data[i] = ' '
		}
	}
	return data
}

// withoutComments blanks out comments, which may hold anything.
func withoutComments(data []byte) []byte {
	data = bytes.Clone(data)
	for at := 0; ; {
		start := bytes.Index(data[at:], []byte("<!--"))
		if start < 0 {
			return data
		}
		at += start
		end := bytes.Index(data[at+4:], []byte("-->"))
		if end < 0 {
			return data
		}
		for end += at + 4 + 3; at < end; at++ {
			if data[at] != '\n' {
				data[at] = ' '
			}
		}
	}
}

func local(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

func expected(open []*element) string {
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("; <%s> of line %d is open", open[len(open)-1].name, open[len(open)-1].line)
}

// message is the complaint without the line, which is known better.
func message(err error) string {
	var syntax *xml.SyntaxError
	if !errors.As(err, &syntax) {
		return err.Error()
	}
	if strings.Contains(syntax.Msg, "character entity") {
		return syntax.Msg + "; write a plain & as &amp;"
	}
	return syntax.Msg
}

// get is the first attribute of that name.
func (e *element) get(name string) (string, bool) {
	if e != nil {
		for _, a := range e.attrs {
			if a.name == name {
				return a.value, true
			}
		}
	}
	return "", false
}

// value is get with a default.
func (e *element) value(name, missing string) string {
	if v, ok := e.get(name); ok {
		return v
	}
	return missing
}

// on reports whether start is "true", to the letter.
func (e *element) on(missing bool) bool {
	v, ok := e.get("start")
	if !ok {
		return missing
	}
	return v == "true"
}

// child is the first child of that name, nil if there is none.
func (e *element) child(name string) *element {
	for _, c := range e.all(name) {
		return c
	}
	return nil
}

// all are the children of that name.
func (e *element) all(name string) []*element {
	var found []*element
	if e != nil {
		for _, c := range e.children {
			if c.name == name {
				found = append(found, c)
			}
		}
	}
	return found
}
