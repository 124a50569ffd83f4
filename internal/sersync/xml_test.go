package sersync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLenient: what sersync's parser takes is taken, and bytes pass through.
func TestLenient(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"case of names":       {`<HEAD><X Y="v"/></head>`, `head(x y="v")`},
		"BOM and blanks":      {"\xef\xbb\xbf \n\t<head/>", `head`},
		"declaration":         {`<?xml version="1.1" encoding="GBK"?><head/>`, `head`},
		"no declaration":      {`<head/>`, `head`},
		"single quotes":       {`<head a='1"2'/>`, `head a="1\"2"`},
		"entities":            {`<head a="&lt;&amp;&quot;&apos;&#65;&#x42;"/>`, `head a="<&\"'AB"`},
		"entity of a letter":  {`<head a="&#233;&#x4e2d;"/>`, `head a="é中"`},
		"UTF-8":               {`<?xml version="1.0" encoding="ISO-8859-1"?><head a="中文"/>`, `head a="中文"`},
		"GBK":                 {"<head a=\"\xd6\xd0\xce\xc4\"/>", `head a="\xd6\xd0\xce\xc4"`},
		"GBK comment":         {"<head><!-- \xd5\xe2\xc0\xef -- \x81\x5c --><x/></head>", `head(x)`},
		"comment with dashes": {`<!-- rsync --delete & <x> --><head/>`, `head`},
		"twice":               {`<head a="1" a="2"/>`, `head a="1" a="2"`},
		"text between":        {"<head> text \n<x> y </x></head>", `head(x)`},
		"end tags' case":      {"<head><Sersync></sERSYNC></HEAD>", `head(sersync)`},
		"character data":      {"<head><![CDATA[ <x/> ]]><y/></head>", `head(y)`},
	} {
		e, err := parse("f", []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, show(e)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// show is an element in one line.
func show(e *element) string {
	var b strings.Builder
	b.WriteString(e.name)
	for _, a := range e.attrs {
		b.WriteString(" " + a.name + "=" + quoted(a.value))
	}
	for i, c := range e.children {
		b.WriteString(map[bool]string{true: "(", false: " "}[i == 0] + show(c))
	}
	if len(e.children) > 0 {
		b.WriteString(")")
	}
	return b.String()
}

func quoted(s string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `"`, `\"`), "\xd6\xd0\xce\xc4", `\xd6\xd0\xce\xc4`) + `"`
}

// TestMalformed: an error names the line and the column, in the file's bytes.
func TestMalformed(t *testing.T) {
	for in, want := range map[string]string{
		"<head>\n  <a></b></head>":    "f:2:6: </b> ends nothing that is open here; <a> of line 2 is open",
		"<head>\n\xd6\xd0 & x</head>": "f:2:5: ",
		"<head a=\"x & y\"/>":         "write a plain & as &amp;",
		"<head>\n<a>\n":               "f:3:1: the file ends before </a>, which began in line 2",
		"":                            "f:1:1: there is no element",
		"<head/><head/>":              "f:1:8: <head> stands behind the end",
		"<head a=1/>":                 "f:1:",
		"</head>":                     "</head> ends nothing",
		strings.Repeat("<a>", 70):     "nested more than",
		"<head><!-- no end </head>":   "f:1:",
		"<head a=\"no end/>\n<b/>\n":  "f:2:2: unescaped < inside",
	} {
		_, err := parse("f", []byte(in))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("%q: %v; want %q", in, err, want)
		}
	}
	if _, err := Decode("f", []byte("<conf/>"), Options{Dir: "/"}); err == nil || !strings.Contains(err.Error(), "<head>") {
		t.Errorf("another root: %v", err)
	}
}

// FuzzDecode holds Decode to an answer with its place, whatever the bytes.
func FuzzDecode(f *testing.F) {
	f.Add(shipped(f))
	f.Add([]byte("<head><sersync><localpath watch='/a'><remote ip='::1' name='x y'/></localpath></sersync></head>"))
	f.Add([]byte("<head><filter start='true'><exclude expression='(?!a)*.'/></filter></head>"))
	f.Add([]byte("<head><sersync><rsync><commonParams params=\"-artuz -e 'ssh -p 1' --exclude=\\\"x\"/></rsync></sersync></head>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := Decode("f", data, Options{Dir: "/", Compare: len(data)%2 == 0})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f") {
				t.Errorf("no place: %v", err)
			}
			return
		}
		if len(res.Config.Roots) == 0 {
			t.Error("neither an error nor a root")
		}
		for _, n := range res.Notes {
			if n.Element == "" || n.Text == "" {
				t.Errorf("empty note: %+v", n)
			}
		}
	})
}
