package report

import (
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fansync/fansync/bench/record"
)

// element is what a document holds, without its place.
type element struct {
	name  string
	attrs map[string]string
	text  string // directly in it
}

// elements reads a document and fails if its tags do not match. In an HTML page
// those that have no end are known.
func elements(t *testing.T, text string, html bool) []element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	if html {
		d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	}
	var all []element
	var open []int
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			line, _ := d.InputPos()
			t.Fatalf("line %d: %v", line, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}, ""}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.EndElement:
			if top := all[open[len(open)-1]].name; top != token.Name.Local {
				line, _ := d.InputPos()
				t.Fatalf("line %d: </%s> ends <%s>", line, token.Name.Local, top)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		}
	}
}

// mayStand are all elements of a page.
var mayStand = strings.Fields(`html head meta title style body header main section article h1 h2 h3 p dl div dt dd
	table thead tbody tr th td small span a br ul li code figure details summary svg rect g path text`)

func TestPage(t *testing.T) {
	for name, cells := range cases() {
		t.Run(name, func(t *testing.T) {
			page := written(t, cells)["report.html"]
			ids, links := map[string]bool{}, []string{}
			for _, e := range elements(t, page, true) {
				if !slices.Contains(mayStand, e.name) {
					t.Errorf("<%s> came in", e.name)
				}
				for key, value := range e.attrs {
					switch {
					case key == "href" && strings.HasPrefix(value, "#"):
						links = append(links, value[1:])
					case key == "href", key == "src", strings.HasPrefix(key, "on"):
						t.Errorf("<%s %s=%q> leads out of the page", e.name, key, value)
					case key == "id" && ids[value]:
						t.Errorf("two elements are %q", value)
					case key == "id":
						ids[value] = true
					}
				}
			}
			for _, l := range links {
				if !ids[l] {
					t.Errorf("a link leads to #%s, which is not there", l)
				}
			}
			if m := regexp.MustCompile(`@import|url\(|ZgotmplZ|https?:`).FindString(page); m != "" {
				t.Errorf("the page has %q", m)
			}
			if strings.ContainsAny(page, "\x00\x1b\u202e\ufffd") {
				t.Error("control characters came in")
			}
		})
	}
}

func TestPageHasAllThatWasRun(t *testing.T) {
	cells := madeUp(3)
	page := written(t, cells)["report.html"]
	all := elements(t, page, true)
	sections := map[string]bool{}
	rows := 0
	for _, e := range all {
		if e.name == "section" && e.attrs["class"] == "workload" {
			sections[e.attrs["id"]] = true
		}
		if e.name == "tr" {
			rows++
		}
	}
	for _, w := range []string{"trickle", "burst", "rename", "deep", "churn", "slow", "big"} {
		if !sections[w] {
			t.Errorf("workload %s has no section", w)
		}
	}
	// Seven workloads by six engines, twice with their heads, and the latencies
	// of four; then every cell.
	if want := (1 + 7) + 7*(1+6) + (1 + 4) + (1 + len(cells)); rows != want {
		t.Errorf("%d rows, want %d", rows, want)
	}
	for _, want := range []string{
		"&lt;script&gt;alert(1)&lt;/script&gt;", "removed &lt;for&gt; ten seconds", "wrong in 1 of 3 (1 path)", "crashed in 1 of 3",
		"one rsync cannot serve three mirrors", "3.5.0 &lt;b&gt;", "prefers-color-scheme:dark", `name="viewport"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

func TestPictures(t *testing.T) {
	classes := map[string]bool{"plot": true}
	for _, m := range regexp.MustCompile(`\.([a-z]-[a-z0-9]+)`).FindAllStringSubmatch(plotCSS, -1) {
		classes[m[1]] = true
	}
	for name, cells := range cases() {
		t.Run(name, func(t *testing.T) {
			for file, text := range written(t, cells) {
				if !strings.HasSuffix(file, ".svg") {
					continue
				}
				all := elements(t, text, false)
				if all[0].name != "svg" || all[1].name != "title" || all[1].text == "" {
					t.Errorf("%s begins with <%s><%s>%s", file, all[0].name, all[1].name, all[1].text)
				}
				for _, e := range all {
					for c := range strings.FieldsSeq(e.attrs["class"]) {
						if !classes[c] {
							t.Errorf("%s: <%s> has class %s, which no theme knows", file, e.name, c)
						}
					}
					// A path is black if it is not told otherwise.
					if e.attrs["class"] == "" && (e.name == "path" || e.name == "text") {
						t.Errorf("%s: a <%s> has no colour: %v", file, e.name, e.attrs)
					}
					if m := regexp.MustCompile(`#[0-9a-fA-F]{6}|font-family`).FindString(e.attrs["style"]); m != "" {
						t.Errorf("%s: <%s> has %s of its own", file, e.name, m)
					}
				}
			}
		})
	}
}

func TestBothThemesHaveAllColours(t *testing.T) {
	light, dark, ok := strings.Cut(plotCSS, "@media (prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("there is no dark theme")
	}
	for _, r := range roles {
		for _, kind := range []string{".f-", ".s-"} {
			for theme, css := range map[string]string{"light": light, "dark": dark} {
				if !regexp.MustCompile(regexp.QuoteMeta(kind+string(r)) + `\b`).MatchString(css) {
					t.Errorf("%s%s has no colour in the %s theme", kind, r, theme)
				}
			}
		}
	}
}

func TestEnginesLookTheSameInAllReports(t *testing.T) {
	a := newModel(madeUpRun(1), madeUp(1), nil)
	b := newModel(madeUpRun(1), change(madeUp(1), func(c *record.Cell) bool { return c.Engine != "lsyncd" }), nil)
	seen := map[int]string{}
	for _, e := range b.engines {
		if a.slot(e) != b.slot(e) {
			t.Errorf("%s has colour %d and %d", e, a.slot(e), b.slot(e))
		}
		if other := seen[a.slot(e)]; other != "" {
			t.Errorf("%s and %s have the same colour", e, other)
		}
		seen[a.slot(e)] = e
	}
}
