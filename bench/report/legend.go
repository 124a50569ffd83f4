package report

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// entry is one engine of a legend.
type entry struct {
	engine string
	slot   int
}

const (
	sampleWidth = vg.Length(24)
	entryGap    = vg.Length(14)
)

func entryStyle(e entry) draw.TextStyle {
	r := soft
	if e.engine == subject {
		r = ink
	}
	return style(r, 11, e.engine == subject, draw.XLeft, draw.YCenter)
}

func (e entry) name() string { return shorten(e.engine, 16) }

func (e entry) width() vg.Length { return sampleWidth + entryStyle(e).Width(e.name()) + entryGap }

// legendLines breaks the entries into lines that fit.
func legendLines(entries []entry) [][]entry {
	var lines [][]entry
	left := vg.Length(0)
	for _, e := range entries {
		w := e.width()
		if len(lines) == 0 || left < w {
			lines, left = append(lines, nil), plotWidth-8
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], e)
		left -= w
	}
	return lines
}

// legendSpace is the height of the lines with some room below.
func legendSpace(lines [][]entry) vg.Length { return legendHeight*vg.Length(len(lines)) + 4 }

// legend draws the lines at the bottom of c, with a piece of each curve or the
// engine's mark.
func legend(c canvas, lines [][]entry, curves bool) {
	y := c.Min.Y + legendSpace(lines) - legendHeight/2
	for _, row := range lines {
		x := c.Min.X + 6
		for _, e := range row {
			if curves {
				c.StrokeLine2(engineLine(e.engine, e.slot), x, y, x+sampleWidth-6, y)
			} else {
				mark(c, e, vg.Point{X: x + sampleWidth - 12, Y: y})
			}
			c.FillText(entryStyle(e), vg.Point{X: x + sampleWidth, Y: y}, e.name())
			x += e.width()
		}
		y -= legendHeight
	}
}

// marks tell the engines apart without their colours.
var marks = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}, draw.CrossGlyph{},
	draw.RingGlyph{}, draw.SquareGlyph{}, draw.PlusGlyph{}, draw.TriangleGlyph{}}

// diamond is a filled square on its corner.
type diamond struct{}

func (diamond) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, at vg.Point) {
	r := sty.Radius * 1.3
	c.FillPolygon(sty.Color, []vg.Point{{X: at.X - r, Y: at.Y}, {X: at.X, Y: at.Y + r}, {X: at.X + r, Y: at.Y}, {X: at.X, Y: at.Y - r}})
}

func mark(c canvas, e entry, at vg.Point) {
	g := draw.GlyphStyle{Color: engineRole(e.slot).color(), Radius: 3.4, Shape: marks[e.slot]}
	if e.engine == subject {
		g.Radius = 5
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: face.color(), Radius: 6.5, Shape: draw.CircleGlyph{}}, at)
	}
	c.DrawGlyphNoClip(g, at)
}
