package report

import (
	"math"
	"testing"
)

func TestSummarise(t *testing.T) {
	for name, c := range map[string]struct {
		values         []float64
		median, lo, hi float64
	}{
		"one":            {[]float64{4}, 4, 4, 4},
		"two":            {[]float64{3, 1}, 2, 1, 3},
		"three":          {[]float64{9, 1, 2}, 2, 1, 9},
		"seven":          {[]float64{7, 6, 5, 4, 3, 2, 1}, 4, 1, 7},
		"eight quartile": {[]float64{1, 2, 3, 4, 5, 6, 7, 1000}, 4.5, 2.75, 6.25},
	} {
		f := summarise(c.values, 0)
		if f.Median != c.median || f.Lo != c.lo || f.Hi != c.hi {
			t.Errorf("%s: %v (%v to %v), want %v (%v to %v)", name, f.Median, f.Lo, f.Hi, c.median, c.lo, c.hi)
		}
	}
}

func TestSummariseLeavesTheValuesAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	summarise(values, 0)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("they are now %v", values)
	}
}

func TestRatio(t *testing.T) {
	of := func(v ...float64) figure { return summarise(v, 0.01) }
	w := func(v, lo, hi float64, b bound, reps int) ratio {
		return ratio{Value: v, Lo: lo, Hi: hi, Bound: b, Reps: reps}
	}
	for name, c := range map[string]struct {
		a, b  figure
		want  ratio
		ok    bool
		clear int
	}{
		"of medians":       {of(4, 2, 6), of(1, 2, 2), w(2, 1, 6, exact, 3), true, 0},
		"clearly more":     {of(4, 5, 6), of(1, 2, 3), w(2.5, 4./3, 6, exact, 3), true, 1},
		"clearly less":     {of(1, 2, 3), of(4, 5, 6), w(0.4, 1./6, 0.75, exact, 3), true, -1},
		"two are too few":  {of(4, 5), of(1, 2, 3), w(2.25, 4./3, 5, exact, 2), true, 0},
		"one pair differs": {of(1, 4, 4, 4, 4), of(2, 3, 3, 3, 3), w(4./3, 1./3, 2, exact, 5), true, 0},
		"quartiles":        {of(2, 2, 2, 2, 2, 2, 2, 2, 2, 99), of(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), w(2, 2, 2, exact, 10), true, 1},
		"one of each":      {of(3), of(1), w(3, 3, 3, exact, 1), true, 0},
		"faster than told": {of(1, 1, 1), of(0, 0.001, 0), w(100, 100, 100, atLeast, 3), true, 1},
		"the other way":    {of(0, 0.001, 0), of(1, 1, 1), w(0.01, 0.01, 0.01, atMost, 3), true, -1},
		"both too fast":    {of(0.001), of(0.002), ratio{Reps: 1}, false, 0},
		"nothing by zero":  {summarise([]float64{3}, 0), summarise([]float64{0}, 0), ratio{Reps: 1}, false, 0},
		"zero by one":      {summarise([]float64{0}, 0), summarise([]float64{1}, 0), w(0, 0, 0, exact, 1), true, 0},
	} {
		got, ok := ratioOf(c.a, c.b)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
		if ok != c.ok || got.Bound != c.want.Bound || got.Reps != c.want.Reps ||
			!near(got.Value, c.want.Value) || !near(got.Lo, c.want.Lo) || !near(got.Hi, c.want.Hi) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, ok, c.want, c.ok)
		}
		if got.clearly() != c.clear {
			t.Errorf("%s: clearly %d, want %d", name, got.clearly(), c.clear)
		}
	}
}

func TestGeomean(t *testing.T) {
	for name, c := range map[string]struct {
		ratios []ratio
		want   float64
		bound  bound
	}{
		"one":            {[]ratio{{Value: 3}}, 3, exact},
		"twice and half": {[]ratio{{Value: 2}, {Value: 0.5}}, 1, exact},
		"one bound":      {[]ratio{{Value: 4}, {Value: 9, Bound: atLeast}}, 6, atLeast},
		"both bounds":    {[]ratio{{Value: 4, Bound: atMost}, {Value: 9, Bound: atLeast}, {Value: 6}}, 6, mixed},
	} {
		got, b := geomean(c.ratios)
		if math.Abs(got-c.want) > 1e-9 || b != c.bound {
			t.Errorf("%s: %v bound %v, want %v bound %v", name, got, b, c.want, c.bound)
		}
	}
}
