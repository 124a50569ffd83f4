package gate

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

const (
	// maxSlower is how much longer than at the base a benchmark may take.
	maxSlower = 1.15
	// alpha is the chance, for all benchmarks of a round together, that one
	// seems to be slower than that and is not. A finding needs two rounds.
	alpha = 0.01
	// staleSlower is the ratio of times below which an allowed slowdown is
	// held not to be there any more.
	staleSlower = 1.05
)

// Tolerance is how far a count may rise above the base's: not at all from
// figures up to Exact; else by Abs or by Share of it, whichever is more.
type Tolerance struct{ Exact, Abs, Share float64 }

// allocations: of a hundred or less an allocation more is one too many. Above,
// maps and slices that grow at random times blur the count.
var allocations = Tolerance{Exact: 100, Share: 0.02}

func (t Tolerance) limit(base float64) float64 {
	if base <= t.Exact {
		return base
	}
	return base + max(t.Abs, base*t.Share)
}

// Measure is one figure of both sides: the samples in the order in which they
// were taken, those of one place in turn. Smaller is better. A side without
// samples does not have it.
type Measure struct {
	Name string
	// Counted figures are compared by Tolerance, others are times.
	Counted    bool
	Tolerance  Tolerance
	Base, Head []float64
}

// Judgement says how head stands to base.
type Judgement string

const (
	Fine     Judgement = "ok"
	Better   Judgement = "better"
	Worse    Judgement = "WORSE"
	Chance   Judgement = "ok (worse once, not again)"
	OnlyBase Judgement = "only in base"
	OnlyHead Judgement = "new"
	Equal    Judgement = "built equal"
	Allowed  Judgement = "allowed"
)

// Finding is a judged Measure.
type Finding struct {
	Measure
	Judgement Judgement
	// Old and New are the figures shown: medians of times, and for counts the
	// smallest, which chance touches least.
	Old, New float64
	// Reason is why it was allowed.
	Reason string
}

// Judge compares all measures. again measures those with the given names a
// second time, independently; it is called at most once, and not if nothing
// looks worse.
func Judge(all []Measure, again func(names []string) ([]Measure, error)) ([]Finding, error) {
	findings := make([]Finding, len(all))
	var suspects []string
	level := alpha / float64(max(1, timed(all)))
	for i, m := range all {
		findings[i] = find(m)
		if findings[i].Judgement == Fine && worse(m, level) {
			findings[i].Judgement = Worse
			suspects = append(suspects, m.Name)
		}
	}
	if len(suspects) == 0 {
		return findings, nil
	}
	second, err := again(suspects)
	if err != nil {
		return findings, err
	}
	level = alpha / float64(max(1, timed(second)))
	for i := range findings {
		f := &findings[i]
		if f.Judgement != Worse {
			continue
		}
		j := slices.IndexFunc(second, func(m Measure) bool { return m.Name == f.Name })
		if j < 0 || !worse(second[j], level) {
			f.Judgement = Chance
			continue
		}
		// The second round was not chosen for being bad, so it is the better
		// estimate.
		f.Old, f.New = figure(second[j].Counted, second[j].Base), figure(second[j].Counted, second[j].Head)
	}
	return findings, nil
}

// timed counts the times among the measures that both sides have.
func timed(all []Measure) (n int) {
	for _, m := range all {
		if !m.Counted && len(m.Base) > 0 && len(m.Head) > 0 {
			n++
		}
	}
	return n
}

func find(m Measure) Finding {
	f := Finding{Measure: m, Judgement: Fine, Old: figure(m.Counted, m.Base), New: figure(m.Counted, m.Head)}
	switch {
	case len(m.Base) == 0:
		f.Judgement = OnlyHead
	case len(m.Head) == 0:
		f.Judgement = OnlyBase
	case worse(Measure{Counted: m.Counted, Tolerance: m.Tolerance, Base: m.Head, Head: m.Base}, alpha):
		f.Judgement = Better
	}
	return f
}

// worse reports whether head costs more than the base by more than it may.
//
// A count: both its smallest and its median are beyond the tolerance. A time:
// head is slower than the base would be if all of its times were longer by
// maxSlower. So a true slowdown of less, as the mere placing of code can bring
// about, is a finding with a chance of at most the level. Two tests share the
// level, neither of which assumes anything about the shape of the noise: Mann
// and Whitney's, which is the stronger one on a quiet machine, and signedRank.
func worse(m Measure, level float64) bool {
	if len(m.Base) == 0 || len(m.Head) == 0 {
		return false
	}
	if m.Counted {
		return smallest(m.Head) > m.Tolerance.limit(smallest(m.Base)) && median(m.Head) > m.Tolerance.limit(median(m.Base))
	}
	limit := make([]float64, len(m.Base))
	for i, v := range m.Base {
		limit[i] = v * maxSlower
	}
	var ratios []float64 // logarithms, of the pairs
	for i := range min(len(limit), len(m.Head)) {
		ratios = append(ratios, math.Log(m.Head[i]/limit[i]))
	}
	if median(ratios) > 0 && signedRank(ratios) < level/2 {
		return true
	}
	if median(m.Head) <= median(limit) {
		return false
	}
	t := benchmath.Thresholds{CompareAlpha: level / 2}
	c := benchmath.AssumeNothing.Compare(benchmath.NewSample(limit, &t), benchmath.NewSample(slices.Clone(m.Head), &t))
	return c.P < level/2
}

// figure is what a side's samples come to; NaN without any.
func figure(counted bool, samples []float64) float64 {
	if counted {
		return smallest(samples)
	}
	return median(samples)
}

func smallest(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	return slices.Min(samples)
}

func median(samples []float64) float64 {
	n := len(samples)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(samples))
	return (s[(n-1)/2] + s[n/2]) / 2
}
