package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// noisy makes samples of benchmarks as a shared machine gives them: most a few
// per cent apart, one in eight much slower, by up to 20 times, and all of it
// under a load that comes and goes and meets both sides alike.
type noisy struct {
	rnd    *rand.Rand
	spread float64
}

// sample is the shortest of some runs, as bench.go takes it.
func (n noisy) sample(mean, load float64) float64 {
	best := math.Inf(1)
	for range runsPerSample {
		v := mean * load * math.Exp(n.spread*n.rnd.NormFloat64())
		if n.rnd.IntN(8) == 0 {
			v *= min(20, math.Pow(1-n.rnd.Float64(), -1/1.5)) // Pareto
		}
		best = min(best, v)
	}
	return best
}

// times are interleaved samples of one benchmark; ratio is head to base.
func (n noisy) times(name string, ratio float64, samples int) Measure {
	m := Measure{Name: name}
	load := 1.0
	for range samples {
		load = max(1, load*math.Exp(0.2*n.rnd.NormFloat64()))
		m.Base = append(m.Base, n.sample(1e-6, load))
		m.Head = append(m.Head, n.sample(1e-6*ratio, load))
	}
	return m
}

// TestSteadySlowdownFails: without a neighbour's load nothing slower by a third
// gets through, and a slowdown of a tenth always does.
func TestSteadySlowdownFails(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		for ratio, want := range map[float64]Judgement{1.3: Worse, 1.1: Fine} {
			round := func() []Measure {
				m := Measure{Name: "BenchmarkOne sec/op"}
				for range 10 {
					m.Base = append(m.Base, 1+0.03*rnd.NormFloat64())
					m.Head = append(m.Head, ratio*(1+0.03*rnd.NormFloat64()))
				}
				return []Measure{m}
			}
			findings, err := Judge(round(), func([]string) ([]Measure, error) { return round(), nil })
			if err != nil {
				t.Fatal(err)
			}
			if got := findings[0].Judgement; got != want {
				t.Errorf("seed %d: times %v judged %q, want %q", seed, ratio, got, want)
			}
		}
	}
}

// TestSignedRank compares with the test's definition: all ways to give signs.
func TestSignedRank(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 5))
	for range 200 {
		d := make([]float64, 1+rnd.IntN(10))
		for i := range d {
			d[i] = float64(rnd.IntN(9) - 3) // with ties and zeros
		}
		if got, want := signedRank(d), byDefinition(d); math.Abs(got-want) > 1e-9 {
			t.Fatalf("%v: %v, want %v", d, got, want)
		}
	}
	if p := signedRank(slices.Repeat([]float64{1}, 16)); p != 2.0/(1<<16) {
		t.Errorf("sixteen of one sign: %v", p)
	}
}

func byDefinition(all []float64) float64 {
	d := slices.DeleteFunc(slices.Clone(all), func(v float64) bool { return v == 0 })
	rank := func(i int) (r float64) { // the mean rank of its ties
		for j := range d {
			switch a, b := math.Abs(d[j]), math.Abs(d[i]); {
			case a < b || j == i:
				r++
			case a == b:
				r += 0.5
			}
		}
		return r
	}
	positive, total := 0.0, 0.0
	for i, v := range d {
		total += rank(i)
		if v > 0 {
			positive += rank(i)
		}
	}
	low, n := min(positive, total-positive), 0
	for signs := range 1 << len(d) {
		sum := 0.0
		for i := range d {
			if signs>>i&1 == 1 {
				sum += rank(i)
			}
		}
		if sum <= low {
			n++
		}
	}
	return min(1, 2*float64(n)/float64(int(1)<<len(d)))
}

// rsyncs are counts as the loads give them: 2, now and then 3, seldom 4.
func (n noisy) rsyncs(name string, more float64) Measure {
	m := Measure{Name: name, Counted: true, Tolerance: toleranceOf(name)}
	count := func() float64 { return 2 + []float64{0, 0, 0, 1, 1, 2}[n.rnd.IntN(6)] }
	for range 3 {
		m.Base, m.Head = append(m.Base, count()), append(m.Head, count()+more)
	}
	return m
}

// simulate is one gate: 20 benchmarks, the first with that ratio, the others
// differing by what the placing of code can do, and a count. It returns the
// names of what failed.
func simulate(t *testing.T, n noisy, ratio, more float64) (failed []string) {
	t.Helper()
	all := func() []Measure {
		ms := []Measure{n.times("BenchmarkOne sec/op", ratio, 16), n.rsyncs("burst rsyncs", more)}
		for i := range 19 {
			ms = append(ms, n.times(fmt.Sprintf("Benchmark%d sec/op", i), 0.93+0.01*float64(i%15), 16))
		}
		return ms
	}
	findings, err := Judge(all(), func(names []string) ([]Measure, error) {
		return slices.DeleteFunc(all(), func(m Measure) bool { return !slices.Contains(names, m.Name) }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Judgement == Worse {
			failed = append(failed, f.Name)
		}
	}
	return failed
}

func TestNoiseNeverFails(t *testing.T) {
	for _, spread := range []float64{0.02, 0.1, 0.4} {
		for seed := range uint64(1000) {
			n := noisy{rand.New(rand.NewPCG(seed, 1)), spread}
			if failed := simulate(t, n, 1, 0); len(failed) > 0 {
				t.Errorf("spread %v, seed %d: %v failed by chance", spread, seed, failed)
			}
		}
	}
}

func TestSlowdownFails(t *testing.T) {
	const gates = 200
	for _, c := range []struct {
		ratio, spread float64
		least         int
	}{{1.3, 0.02, 190}, {1.3, 0.05, 190}, {1.5, 0.1, 195}, {2, 0.2, 195}} {
		found := 0
		for seed := range uint64(gates) {
			n := noisy{rand.New(rand.NewPCG(seed, 2)), c.spread}
			failed := simulate(t, n, c.ratio, 0)
			if slices.Equal(failed, []string{"BenchmarkOne sec/op"}) {
				found++
			} else if len(failed) > 0 {
				t.Errorf("%+v, seed %d: %v failed", c, seed, failed)
			}
		}
		if found < c.least {
			t.Errorf("times %v with a spread of %v: found in %d of %d gates, want %d", c.ratio, c.spread, found, gates, c.least)
		}
	}
}

func TestMoreRsyncsFail(t *testing.T) {
	for seed := range uint64(200) {
		n := noisy{rand.New(rand.NewPCG(seed, 3)), 0.1}
		if failed := simulate(t, n, 1, 5); !slices.Equal(failed, []string{"burst rsyncs"}) {
			t.Errorf("seed %d: five rsyncs more: %v failed", seed, failed)
		}
	}
}

// fixed is a second round that gives the same.
func fixed(all []Measure) func([]string) ([]Measure, error) {
	return func([]string) ([]Measure, error) { return all, nil }
}

func TestJudgements(t *testing.T) {
	ten := func(v float64) []float64 { return slices.Repeat([]float64{v}, 10) }
	allocs := func(base, head []float64) Measure {
		return Measure{Name: "BenchmarkOne allocs/op", Counted: true, Tolerance: allocations, Base: base, Head: head}
	}
	for name, c := range map[string]struct {
		m    Measure
		want Judgement
	}{
		"one allocation more":           {allocs(ten(0), ten(1)), Worse},
		"one of a hundred more":         {allocs(ten(100), ten(101)), Worse},
		"one of a thousand more":        {allocs(ten(1000), ten(1001)), Fine},
		"three of a hundred more":       {allocs(ten(1000), ten(1030)), Worse},
		"one more, but not always":      {allocs(ten(5), append(ten(6), 5)), Fine},
		"one more sometimes":            {allocs(ten(5), append(ten(5), 6, 6, 6)), Fine},
		"one less":                      {allocs(ten(5), ten(4)), Better},
		"no more":                       {allocs(ten(5), ten(5)), Fine},
		"a new benchmark":               {allocs(nil, ten(5)), OnlyHead},
		"a benchmark that went":         {allocs(ten(5), nil), OnlyBase},
		"a time just under the limit":   {Measure{Name: "t", Base: ten(1), Head: ten(1.149)}, Fine},
		"a time beyond the limit":       {Measure{Name: "t", Base: ten(1), Head: ten(1.2)}, Worse},
		"a time much shorter":           {Measure{Name: "t", Base: ten(1.2), Head: ten(1)}, Better},
		"too few samples to be certain": {Measure{Name: "t", Base: ten(1)[:3], Head: ten(2)[:3]}, Fine},
	} {
		t.Run(name, func(t *testing.T) {
			all := []Measure{c.m}
			findings, err := Judge(all, fixed(all))
			if err != nil {
				t.Fatal(err)
			}
			if got := findings[0].Judgement; got != c.want {
				t.Errorf("judged %q, want %q", got, c.want)
			}
		})
	}
}

// TestOnceIsChance: what looks worse only in the first round passes, and the
// second round is asked for it alone.
func TestOnceIsChance(t *testing.T) {
	worse := Measure{Name: "one", Counted: true, Tolerance: allocations, Base: []float64{1}, Head: []float64{2}}
	good := Measure{Name: "two", Counted: true, Tolerance: allocations, Base: []float64{1}, Head: []float64{1}}
	findings, err := Judge([]Measure{worse, good}, func(names []string) ([]Measure, error) {
		if !slices.Equal(names, []string{"one"}) {
			t.Errorf("asked for %v again", names)
		}
		mended := worse
		mended.Head = []float64{1}
		return []Measure{mended}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if findings[0].Judgement != Chance || findings[1].Judgement != Fine {
		t.Errorf("judged %q and %q", findings[0].Judgement, findings[1].Judgement)
	}
}
