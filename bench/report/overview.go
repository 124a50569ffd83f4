package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const laneHeight = vg.Length(36)

// overview plots the convergence of all engines at the workloads that are judged
// by it, each a lane; false if there are not two to compare.
func (m *model) overview() (picture, bool, error) {
	var figures []figure
	var lanes []group
	for _, g := range m.groups {
		if !g.has(converge) || g.primary.key != converge.key {
			continue
		}
		lanes = append(lanes, g)
		for _, o := range g.outcomes {
			if f, ok := o.figure(converge); ok {
				figures = append(figures, f)
			}
		}
	}
	if len(lanes) < 2 {
		return picture{}, false, nil
	}
	var entries []entry
	for _, e := range m.engines {
		entries = append(entries, entry{e, m.slot(e)})
	}
	lines := legendLines(entries)
	foot := legendSpace(lines)
	s := scaleOf(converge, figures, true)
	title := "Workloads side by side: converged after"
	height := headSpace + laneHeight*vg.Length(len(lanes)) + footSpace + foot + 4
	p, err := newPicture(title, plotWidth, height, func(c canvas) {
		heading(c, title, "further left is better; wrong ones are left out; logarithmic axis")
		p := newPlot()
		p.HideY()
		p.Y.Min, p.Y.Max = 0, float64(len(lanes))
		s.apply(p)
		p.Add(lanesOf{m, lanes, s})
		legend(c, lines, false)
		p.Draw(draw.Crop(c, nameSpace, -16, foot+4, -headSpace))
	})
	return p, err == nil, err
}

type lanesOf struct {
	m     *model
	lanes []group
	scale scale
}

func (l lanesOf) Plot(c canvas, p *plot.Plot) {
	gridLines{}.Plot(c, p)
	x := func(v float64) vg.Length { return c.X(p.X.Norm(l.scale.clamp(v))) }
	for i, g := range l.lanes {
		top := c.Y(p.Y.Norm(float64(len(l.lanes) - i)))
		middle := top - laneHeight/2
		c.StrokeLine2(line(faint, 0.8), 4, top, c.Max.X, top)
		c.FillText(style(ink, 11, false, draw.XRight, draw.YCenter), vg.Point{X: c.Min.X - 10, Y: middle}, shorten(l.m.title(g), 12))
		// Each engine has a height of its own in the lane, so that equal
		// figures do not hide each other. The subject's is in the middle and
		// drawn last.
		n := len(g.outcomes)
		for k := n - 1; k >= 0; k-- {
			o := g.outcomes[k]
			f, ok := o.figure(converge)
			if !ok {
				continue
			}
			y := middle
			if o.engine != subject {
				y += (laneHeight - 12) * (0.5 - vg.Length(k-1)/vg.Length(max(n-2, 1)))
			}
			e := entry{o.engine, l.m.slot(o.engine)}
			if len(f.Values) > 1 {
				c.StrokeLine2(line(engineRole(e.slot), 1.2), x(max(f.Lo, f.Floor)), y, x(max(f.Hi, f.Floor)), y)
			}
			mark(c, e, vg.Point{X: x(max(f.Median, f.Floor)), Y: y})
		}
	}
}
