package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"regexp"
	"slices"
	"strings"

	stdfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	_ "embed"
)

// gonum writes fixed colours. So that a plot follows the reader's theme, it is
// drawn in colours that stand for roles, each with a number of its own, and
// svgFrom puts classes in their place; plot.css says what they look like.

//go:embed plot.css
var plotCSS string

// role is what a colour is for: the name of a class in plot.css.
type role string

const (
	ink   role = "ink"   // text
	soft  role = "soft"  // lesser text
	faint role = "faint" // grid
	face  role = "face"  // behind all
	alarm role = "alarm" // wrong, crashed
)

// slots are the colours of engines, by name, so that an engine looks the same
// in all reports; others take the rest in their order.
var slots = []string{subject, "lsyncd", "sersync2", "inotifywait", plain, ideal, "", "", ""}

var roles = func() []role {
	all := []role{ink, soft, faint, face, alarm}
	for i := range slots {
		all = append(all, engineRole(i), engineRole(i).dim())
	}
	return all
}()

func engineRole(slot int) role { return role(fmt.Sprintf("c%d", slot)) }

// dim is the same colour for what is not the subject.
func (r role) dim() role { return r + "d" }

// color is the number of r in gonum's clothes. Black would be left out by
// gonum as the default.
func (r role) color() color.Color {
	return color.RGBA{R: 1, G: uint8(slices.Index(roles, r)), B: 7, A: 255}
}

// slot is the engine's place in slots.
func (m *model) slot(engine string) int {
	if i := slices.Index(slots, engine); i >= 0 {
		return i
	}
	first := slices.Index(slots, "")
	others := slices.DeleteFunc(slices.Clone(m.engines), func(e string) bool { return slices.Contains(slots, e) })
	return first + slices.Index(others, engine)%(len(slots)-first)
}

// picture is a plot without its outermost element.
type picture struct {
	title         string // for those who do not see it, and as its caption
	width, height vg.Length
	body          string
}

// newPicture draws with paint on a canvas of that size.
func newPicture(title string, width, height vg.Length, paint func(draw.Canvas)) (picture, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	dc := draw.New(canvas)
	fillRect(dc, face, dc.Rectangle)
	paint(dc)
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return picture{}, fmt.Errorf("draw %s: %w", title, err)
	}
	_, body, ok := strings.Cut(buf.String(), "<svg ")
	if ok {
		_, body, ok = strings.Cut(body, ">")
	}
	body, end := strings.CutSuffix(strings.TrimSpace(body), "</svg>")
	if !ok || !end {
		return picture{}, fmt.Errorf("draw %s: the plotting library wrote no svg element", title)
	}
	return picture{title, width, height, styled(body)}, nil
}

var (
	styleAttr = regexp.MustCompile(`\s*style="([^"]*)"`)
	roleColor = regexp.MustCompile(`^#01([0-9A-Fa-f]{2})07$`)
)

// styled puts classes in the place of the roles' colours, and drops the font:
// plot.css names it.
func styled(body string) string {
	return styleAttr.ReplaceAllStringFunc(body, func(attr string) string {
		var classes, rest []string
		for _, decl := range strings.Split(styleAttr.FindStringSubmatch(attr)[1], ";") {
			key, value, _ := strings.Cut(decl, ":")
			hex := roleColor.FindStringSubmatch(value)
			switch {
			case hex != nil:
				var n int
				fmt.Sscanf(hex[1], "%x", &n)
				classes = append(classes, key[:1]+"-"+string(roles[n]))
			case key == "font-family", key == "font-variant", key == "font-style", decl == "font-weight:normal":
			default:
				rest = append(rest, decl)
			}
		}
		out := ""
		if len(classes) > 0 {
			out += fmt.Sprintf(` class="%s"`, strings.Join(classes, " "))
		}
		if len(rest) > 0 {
			out += fmt.Sprintf(` style="%s"`, strings.Join(rest, ";"))
		}
		return out
	})
}

// file is the picture as a file of its own, light or dark as the reader's
// system is.
func (p picture) file() []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="%[1]g" height="%[2]g" viewBox="0 0 %[1]g %[2]g" role="img">
<title>%[3]s</title>
<style>
%[4]s</style>
%[5]s</svg>
`, float64(p.width), float64(p.height), html.EscapeString(p.title), plotCSS, p.body)
}

// inline is the picture as a part of a page that has plot.css.
func (p picture) inline() template.HTML {
	// The body is gonum's, which escapes all text.
	return template.HTML(fmt.Sprintf(`<svg class="plot" viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg>`,
		float64(p.width), float64(p.height), html.EscapeString(p.title), p.body))
}

func style(r role, size float64, bold bool, x draw.XAlignment, y draw.YAlignment) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Length(size)}
	if bold {
		f.Weight = stdfont.WeightBold
	}
	return text.Style{Color: r.color(), Font: f, XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
}

func line(r role, width float64, dashes ...vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: r.color(), Width: vg.Length(width), Dashes: dashes}
}

func fillRect(c draw.Canvas, r role, rect vg.Rectangle) {
	c.SetColor(r.color())
	c.Fill(rect.Path())
}
