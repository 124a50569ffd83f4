package report

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

// scale is the range of a horizontal axis.
type scale struct {
	unit   unit
	lo, hi float64
	log    bool
}

// wide is the quotient of the largest and the smallest value from which an axis
// is logarithmic.
const wide = 20

// scaleOf holds all figures. An axis that is not forced to be logarithmic is it
// only if one bar would hide another.
func scaleOf(by measure, figures []figure, forceLog bool) scale {
	s := scale{unit: by.unit}
	least := math.Inf(1)
	for _, f := range figures {
		s.hi = max(s.hi, f.Hi, f.Median, f.Floor)
		for _, v := range []float64{f.Lo, f.Median} {
			if v = max(v, f.Floor); v > 0 {
				least = min(least, v)
			}
		}
	}
	s.log = s.hi > 0 && (forceLog || s.hi/least > wide)
	// Below that, the arithmetic of ticks would come to nothing.
	const smallest = 1e-12
	if least = max(least, smallest); s.hi < smallest {
		s.hi, s.log = 0, false
	}
	switch {
	case s.log:
		// A bar on a logarithmic axis begins nowhere; this leaves the
		// shortest one visible.
		s.lo, s.hi = roundDown(least/1.8), s.hi*1.15
	case s.hi == 0:
		s.hi = 1
	default:
		s.hi *= 1.06
	}
	return s
}

// clamp keeps v within the range.
func (s scale) clamp(v float64) float64 { return min(max(v, s.lo), s.hi) }

// apply gives p this axis below the plot.
func (s scale) apply(p *plot.Plot) {
	p.X.Min, p.X.Max = s.lo, s.hi
	p.X.Scale = plot.LinearScale{}
	if s.log {
		p.X.Scale = plot.LogScale{}
	}
	p.X.Padding = 4
	p.X.LineStyle = line(faint, 0)
	p.X.Tick.LineStyle = line(faint, 0)
	p.X.Tick.Length = 0
	p.X.Tick.Label = style(soft, 10, false, -0.5, -1)
	p.X.Tick.Marker = plot.ConstantTicks(s.ticks())
}

// roundDown is the next lower of 1, 2 or 5 times a power of ten.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{5, 2} {
		if m*power <= v {
			return m * power
		}
	}
	return power
}

// ticks are labelled at decades, and at 2 and 5 too if there are few.
func (s scale) ticks() []plot.Tick {
	var all []plot.Tick
	add := func(v float64) {
		if s.unit != count || v == math.Trunc(v) {
			all = append(all, plot.Tick{Value: v, Label: s.label(v)})
		}
	}
	if !s.log {
		step := roundDown(s.hi / 3)
		if s.unit == count {
			step = max(step, 1)
		}
		for v := 0.0; v <= s.hi; v += step {
			add(v)
		}
		return all
	}
	decades := math.Log10(s.hi / s.lo)
	every := max(1, int(math.Ceil(decades/6)))
	first := int(math.Floor(math.Log10(s.lo)))
	for e := first; e <= int(math.Ceil(math.Log10(s.hi))); e++ {
		if decades > 2.5 {
			if v := math.Pow10(e); e%every == 0 && v >= s.lo*0.999 && v <= s.hi {
				add(v)
			}
			continue
		}
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow10(e); v >= s.lo*0.999 && v <= s.hi {
				add(v)
			}
		}
	}
	return all
}

// label is v without needless zeros; a linear axis has one unit.
func (s scale) label(v float64) string {
	in := s.unit.stepFor(v * 1.0001)
	if !s.log {
		in = s.unit.stepFor(s.hi)
	}
	return thousands(strconv.FormatFloat(math.Round(v/in.size*1000)/1000, 'f', -1, 64)) + in.name
}

// gridLines draws a line at each tick of both axes.
type gridLines struct{}

func (gridLines) Plot(c canvas, p *plot.Plot) {
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if x := c.X(p.X.Norm(t.Value)); c.ContainsX(x) {
			c.StrokeLine2(line(faint, 0.8), x, c.Min.Y, x, c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if y := c.Y(p.Y.Norm(t.Value)); c.ContainsY(y) {
			c.StrokeLine2(line(faint, 0.8), c.Min.X, y, c.Max.X, y)
		}
	}
}

// newPlot has no axis lines, and none of its marks in black.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Y.LineStyle = line(faint, 0)
	p.Y.Tick.LineStyle = line(faint, 0)
	p.Y.Tick.Length = 0
	p.Y.Padding = vg.Length(4)
	p.Y.Tick.Label = style(soft, 10, false, -1, -0.5)
	return p
}
