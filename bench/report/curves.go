package report

import (
	"maps"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/fansync/fansync/bench/record"
)

const (
	curveHeight  = vg.Length(216)
	legendHeight = vg.Length(15) // of one line
)

// curve is an engine's latencies, of all repetitions together.
type curve struct {
	engine string
	slot   int
	points plotter.XYs // microseconds and shares
}

// cdf plots the latencies at one workload; false if no engine has any.
func (m *model) cdf(g group) (picture, bool, error) {
	var curves []curve
	var figures []figure
	for _, o := range g.outcomes {
		if _, ok := o.figure(p50); !ok {
			continue
		}
		points := pool(o.right)
		if len(points) == 0 {
			continue
		}
		curves = append(curves, curve{o.engine, m.slot(o.engine), points})
		figures = append(figures, figure{Lo: points[0].X, Median: points[0].X, Hi: points[len(points)-1].X})
	}
	if len(curves) == 0 {
		return picture{}, false, nil
	}
	s := scaleOf(p50, figures, true)
	entries := make([]entry, len(curves))
	for i, cv := range curves {
		entries[i] = entry{cv.engine, cv.slot}
	}
	lines := legendLines(entries)
	height := headSpace + curveHeight + legendSpace(lines)
	title := m.title(g) + ": latency"
	p, err := newPicture(title, plotWidth, height, func(c canvas) {
		heading(c, title, "changes visible by then; further left is better; logarithmic axis")
		p := newPlot()
		s.apply(p)
		p.Y.Min, p.Y.Max = 0, 1
		p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0 %"}, {Value: 0.25, Label: "25 %"}, {Value: 0.5, Label: "50 %"},
			{Value: 0.75, Label: "75 %"}, {Value: 1, Label: "100 %"}}
		p.Add(gridLines{})
		// The subject is drawn last, on top.
		for _, cv := range slices.Backward(curves) {
			p.Add(stairs{cv, s})
		}
		legend(c, lines, true)
		p.Draw(draw.Crop(c, 4, -10, legendSpace(lines)+2, -headSpace))
	})
	return p, err == nil, err
}

// pool joins the distributions of several cells, each weighing as many changes
// as it has.
func pool(cells []record.Cell) plotter.XYs {
	var all float64
	at := map[int64]float64{} // the changes that became visible just then
	for _, c := range cells {
		if c.Latency == nil || len(c.Latency.Counts) == 0 && c.Latency.Count > 0 {
			continue // not measured, or no curve was kept
		}
		n := float64(c.Latency.Count + c.Latency.Lost)
		all += n
		before := 0.0
		for _, p := range c.Latency.Counts {
			share := min(max(p.Share, before), 1)
			at[max(p.Micros, 1)] += n * (share - before)
			before = share
		}
	}
	var points plotter.XYs
	sum := 0.0
	for _, t := range slices.Sorted(maps.Keys(at)) {
		sum += at[t]
		points = append(points, plotter.XY{X: float64(t), Y: sum / all})
	}
	return points
}

// thin leaves out points that no eye could tell from their neighbours.
func thin(points plotter.XYs) plotter.XYs {
	const step = 0.002
	var kept plotter.XYs
	for i, p := range points {
		if i == 0 || i == len(points)-1 || p.Y-kept[len(kept)-1].Y >= step {
			kept = append(kept, p)
		}
	}
	return kept
}

// stairs draws a curve from the axis to the right edge.
type stairs struct {
	curve
	scale scale
}

func (s stairs) Plot(c canvas, p *plot.Plot) {
	at := func(x, y float64) vg.Point {
		return vg.Point{X: c.X(p.X.Norm(s.scale.clamp(x))), Y: c.Y(p.Y.Norm(min(max(y, 0), 1)))}
	}
	points := thin(s.points)
	path := []vg.Point{at(points[0].X, 0)}
	last := 0.0
	for _, pt := range points {
		path = append(path, at(pt.X, last), at(pt.X, pt.Y))
		last = pt.Y
	}
	path = append(path, at(s.scale.hi, last))
	c.StrokeLines(engineLine(s.engine, s.slot), path)
}

// dashes tell the lines apart without their colours.
var dashes = [][]vg.Length{nil, nil, {7, 3}, {2, 2.5}, {10, 3, 2, 3}, {4, 4}, {1, 2}, {6, 2, 2, 2}, {12, 3}}

func engineLine(engine string, slot int) draw.LineStyle {
	width := 1.6
	if engine == subject {
		width = 3
	}
	return line(engineRole(slot), width, dashes[slot]...)
}
