package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

type canvas = draw.Canvas

const (
	plotWidth = vg.Length(380)
	rowHeight = vg.Length(24)
	headSpace = vg.Length(40) // above the plot, for its two lines of heading
	nameSpace = vg.Length(74) // left of it, for the engines
	sideSpace = vg.Length(58) // right of it, for the figures
	footSpace = vg.Length(22) // the axis
)

// bar is one engine's row.
type bar struct {
	engine string
	slot   int
	figure figure
	shown  bool
	words  string // in its place if there is no figure
	alarm  bool
}

// bars plots a measure of one workload; false if no engine has it.
func (m *model) bars(g group, by measure, forceLog bool) (picture, bool, error) {
	var rows []bar
	var figures []figure
	for _, o := range g.outcomes {
		b := bar{engine: o.engine, slot: m.slot(o.engine), words: "–"}
		if !o.ok() {
			b.words, b.alarm = o.words(), o.wrong()
		}
		if b.figure, b.shown = o.figure(by); b.shown {
			figures = append(figures, b.figure)
		}
		rows = append(rows, b)
	}
	if len(figures) == 0 {
		return picture{}, false, nil
	}
	s := scaleOf(by, figures, forceLog)
	height := headSpace + rowHeight*vg.Length(len(rows)) + footSpace
	title := m.title(g) + ": " + by.title
	p, err := newPicture(title, plotWidth, height, func(c canvas) {
		hint := "shorter is better"
		if s.log {
			hint += "; logarithmic axis"
		}
		heading(c, title, hint)
		p := newPlot()
		p.HideY()
		p.Y.Min, p.Y.Max = 0, float64(len(rows))
		s.apply(p)
		p.Add(gridLines{}, barRows{rows, s})
		p.Draw(draw.Crop(c, nameSpace, -sideSpace, 2, -headSpace))
	})
	return p, err == nil, err
}

func heading(c canvas, title, hint string) {
	left := vg.Length(4)
	c.FillText(style(ink, 12, true, draw.XLeft, draw.YTop), vg.Point{X: left, Y: c.Max.Y - 4}, shorten(title, 60))
	c.FillText(style(soft, 10, false, draw.XLeft, draw.YTop), vg.Point{X: left, Y: c.Max.Y - 20}, hint)
}

// barRows draws the bars from the left edge, their spread and repetitions, and
// beside them the names and the figures.
type barRows struct {
	rows  []bar
	scale scale
}

func (b barRows) Plot(c canvas, p *plot.Plot) {
	for i, row := range b.rows {
		y := c.Y(p.Y.Norm(float64(len(b.rows)-i) - 0.5))
		first := row.engine == subject
		name := style(soft, 11, false, draw.XRight, draw.YCenter)
		if first {
			name = style(ink, 11, true, draw.XRight, draw.YCenter)
		}
		c.FillText(name, vg.Point{X: c.Min.X - 8, Y: y}, shorten(row.engine, 13))
		if !row.shown {
			r := soft
			if row.alarm {
				r = alarm
			}
			c.FillText(style(r, 11, row.alarm, draw.XLeft, draw.YCenter), vg.Point{X: c.Min.X + 4, Y: y}, shorten(row.words, 44))
			continue
		}
		b.draw(c, p, row, y)
		value := style(ink, 11, first, draw.XLeft, draw.YCenter)
		c.FillText(value, vg.Point{X: c.Max.X + 8, Y: y}, b.scale.unit.median(row.figure))
	}
}

func (b barRows) draw(c canvas, p *plot.Plot, row bar, y vg.Length) {
	x := func(v float64) vg.Length { return c.X(p.X.Norm(b.scale.clamp(v))) }
	strong := engineRole(row.slot)
	fill, half := strong, vg.Length(7)
	if row.engine != subject {
		fill, half = strong.dim(), 5.5
	}
	f := row.figure
	end := x(max(f.Median, f.Floor))
	fillRect(c, fill, vg.Rectangle{Min: vg.Point{X: c.Min.X, Y: y - half}, Max: vg.Point{X: max(end, c.Min.X+1.5), Y: y + half}})
	if len(f.Values) < 2 || f.below() {
		return
	}
	// The whisker is over a bar of its own colour, so it gets an outline.
	c.StrokeLine2(line(face, 4), x(f.Lo), y, x(f.Hi), y)
	c.StrokeLine2(line(strong, 1.4), x(f.Lo), y, x(f.Hi), y)
	const mostDots = 12
	for _, v := range f.Values[:min(len(f.Values), mostDots)] {
		at := vg.Point{X: x(v), Y: y}
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: face.color(), Radius: 3, Shape: draw.CircleGlyph{}}, at)
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: strong.color(), Radius: 2, Shape: draw.CircleGlyph{}}, at)
	}
}
