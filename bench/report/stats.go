package report

import (
	"math"
	"slices"
)

const (
	// fewReps is the number of repetitions below which a spread says little.
	fewReps = 3
	// manyReps is the number from which the spread is that of the quartiles.
	manyReps = 8
)

// figure is what repetitions of one measure gave. Lo and Hi are the spread:
// the extremes, or the quartiles from manyReps on.
type figure struct {
	Median, Lo, Hi float64
	Values         []float64 // sorted
	// Floor is what the measure can tell apart; 0 if that does not matter.
	Floor float64
}

// summarise needs at least one value.
func summarise(values []float64, floor float64) figure {
	v := slices.Sorted(slices.Values(values))
	f := figure{Median: quantile(v, 0.5), Values: v, Floor: floor}
	f.Lo, f.Hi = spread(v, len(v))
	return f
}

// spread is that of sorted values from so many repetitions.
func spread(sorted []float64, reps int) (lo, hi float64) {
	if reps >= manyReps {
		return quantile(sorted, 0.25), quantile(sorted, 0.75)
	}
	return sorted[0], sorted[len(sorted)-1]
}

// below reports whether the median is less than what the measure can tell.
func (f figure) below() bool { return f.Median < f.Floor }

// quantile interpolates between the two nearest of the sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// bound says that a ratio is only known from one side.
type bound int

const (
	exact   bound = iota
	atLeast       // the denominator is below its floor
	atMost        // the numerator is
	mixed         // a mean of some of both
)

// ratio compares two figures of one measure: that of the medians, with the
// spread of the ratios of each value of one to each of the other.
type ratio struct {
	Value, Lo, Hi float64
	Bound         bound
	Reps          int     // the fewer of both
	Less, More    float64 // the shares of those ratios below and above 1
}

// agree is the share of the ratios that must lie on one side of 1 for a
// difference to be called clear.
const agree = 0.95

// ratioOf is a/b. It is false if nothing can be said: both are below the floor,
// or b is 0.
func ratioOf(a, b figure) (ratio, bool) {
	r := ratio{Reps: min(len(a.Values), len(b.Values))}
	if a.below() && b.below() {
		return r, false
	}
	up, down := math.Max(a.Median, a.Floor), math.Max(b.Median, b.Floor)
	if down <= 0 {
		return r, false
	}
	r.Value = up / down
	switch {
	case b.below():
		r.Bound = atLeast
	case a.below():
		r.Bound = atMost
	}
	var all []float64
	for _, x := range a.Values {
		for _, y := range b.Values {
			if y = math.Max(y, b.Floor); y > 0 {
				all = append(all, math.Max(x, a.Floor)/y)
			}
		}
	}
	slices.Sort(all)
	r.Lo, r.Hi = spread(all, r.Reps)
	for _, v := range all {
		switch {
		case v < 1:
			r.Less += 1 / float64(len(all))
		case v > 1:
			r.More += 1 / float64(len(all))
		}
	}
	return r, true
}

// clearly is -1 or 1 if nearly all repetitions of a were less or more than those
// of b, and 0 if that cannot be told.
func (r ratio) clearly() int {
	switch {
	case r.Reps < fewReps:
		return 0
	case r.Less >= agree:
		return -1
	case r.More >= agree:
		return 1
	}
	return 0
}

// geomean is the geometric mean, which is the one for ratios. It needs at least
// one.
func geomean(ratios []ratio) (float64, bound) {
	sum, b := 0.0, exact
	for _, r := range ratios {
		sum += math.Log(r.Value)
		switch {
		case b == exact:
			b = r.Bound
		case r.Bound != exact && r.Bound != b:
			b = mixed
		}
	}
	return math.Exp(sum / float64(len(ratios))), b
}
