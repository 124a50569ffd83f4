package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/bench/record"
)

func TestOutcome(t *testing.T) {
	of := func(v record.Verdict, paths int) record.Cell {
		return record.Cell{Engine: "e", Verdict: v, WrongPaths: paths}
	}
	right, failed, skipped, crashed := of(record.Right, 0), of(record.Failed, 0), of(record.Skipped, 0), of(record.Crashed, 0)
	for name, c := range map[string]struct {
		cells []record.Cell
		words string
		class string
		reps  int // that count
	}{
		"nothing":         {nil, "not run", "none", 0},
		"right":           {[]record.Cell{right, right}, "right", "ok", 2},
		"wrong":           {[]record.Cell{of(record.Wrong, 1), of(record.Wrong, 1)}, "wrong (1 path)", "wrong", 0},
		"never began":     {[]record.Cell{of(record.Wrong, 0)}, "wrong", "wrong", 0},
		"wrong, range":    {[]record.Cell{of(record.Wrong, 1200), of(record.Wrong, 3)}, "wrong (3–1,200 paths)", "wrong", 0},
		"once wrong":      {[]record.Cell{right, of(record.Wrong, 2), right}, "wrong in 1 of 3 (2 paths)", "wrong", 0},
		"wrong and crash": {[]record.Cell{right, of(record.Wrong, 2), crashed}, "wrong in 1 of 3 (2 paths), crashed in 1 of 3", "wrong", 0},
		"crashed":         {[]record.Cell{crashed, crashed}, "crashed", "wrong", 0},
		"suite failed":    {[]record.Cell{failed}, "not measured", "none", 0},
		"failed once":     {[]record.Cell{right, failed}, "right, not measured in 1 of 2", "ok", 1},
		"skipped":         {[]record.Cell{skipped}, "skipped", "none", 0},
		"failed, skipped": {[]record.Cell{skipped, failed}, "not measured in 1 of 2, skipped in 1 of 2", "none", 0},
		"no verdict":      {[]record.Cell{of("", 0)}, "no verdict", "none", 0},
		"unknown":         {[]record.Cell{of("splendid", 0)}, "no verdict", "none", 0},
		"another engine":  {[]record.Cell{{Engine: "f", Verdict: record.Right}}, "not run", "none", 0},
	} {
		o := newOutcome("e", c.cells)
		f, ok := o.figure(converge)
		if o.words() != c.words || o.class() != c.class || ok != (c.reps > 0) || len(f.Values) != c.reps {
			t.Errorf("%s: %q, %s, %d figures; want %q, %s, %d", name, o.words(), o.class(), len(f.Values), c.words, c.class, c.reps)
		}
	}
}

func TestGroups(t *testing.T) {
	cell := func(engine, workload, params string) record.Cell {
		return record.Cell{Engine: engine, Workload: workload, Params: params, Verdict: record.Right}
	}
	m := newModel(record.Run{}, []record.Cell{
		cell("ideal", "b", ""), // its params were not known yet
		cell("rsync", "b", "n=1"), cell("zeta", "b", "n=1"), cell(subject, "b", "n=1"), cell("alpha", "b", "n=2"),
		cell("zeta", "a b", ""), cell("zeta", "a-b", ""),
	}, map[string]string{"b": "one\nline"})
	if d := cmp.Diff([]string{subject, "zeta", "alpha", "rsync", "ideal"}, m.engines); d != "" {
		t.Errorf("engines (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"zeta", "alpha"}, m.peers()); d != "" {
		t.Errorf("peers (-want +got):\n%s", d)
	}
	type shown struct {
		Title, Slug, Doc string
		Ran              []string
	}
	var got []shown
	for _, g := range m.groups {
		s := shown{Title: m.title(g), Slug: g.slug, Doc: g.doc}
		for _, o := range g.outcomes {
			if len(o.cells) > 0 {
				s.Ran = append(s.Ran, o.engine)
			}
		}
		got = append(got, s)
	}
	want := []shown{
		{"b n=1", "b", `one\nline`, []string{subject, "zeta", "rsync", "ideal"}},
		{"b n=2", "b-2", `one\nline`, []string{"alpha"}},
		{"a b", "a-b", "", []string{"zeta"}},
		{"a-b", "a-b-2", "", []string{"zeta"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("groups (-want +got):\n%s", d)
	}
}

func TestModelLeavesTheCellsAlone(t *testing.T) {
	cells := []record.Cell{{Engine: "e\n", Workload: "w", WrongSample: []string{"a\nb"}, Verdict: record.Wrong, WrongPaths: 1}}
	m := newModel(record.Run{}, cells, nil)
	if cells[0].Engine != "e\n" || cells[0].WrongSample[0] != "a\nb" {
		t.Errorf("the caller's cells became %+v", cells)
	}
	if m.cells[0].Engine != `e\n` || m.cells[0].WrongSample[0] != `a\nb` {
		t.Errorf("the model has %+v", m.cells[0])
	}
}

func TestPoolWeighsByChanges(t *testing.T) {
	cells := []record.Cell{
		{Latency: &record.Latency{Count: 3, Counts: []record.Point{{Micros: 10, Share: 1}}}},
		{Latency: &record.Latency{Count: 0, Lost: 1}},
		{Latency: &record.Latency{Count: 99}},
		{},
		{Latency: &record.Latency{Count: 4, Lost: 1, Counts: []record.Point{{Micros: 10, Share: 0.2}, {Micros: 50, Share: 0.8}}}},
	}
	points := pool(cells)
	// Three and one of nine by 10 µs, three more by 50 µs, two never; the cells
	// that kept no curve do not count.
	want := []float64{10, 4. / 9, 50, 7. / 9}
	var got []float64
	for _, p := range points {
		got = append(got, p.X, p.Y)
	}
	if len(got) != len(want) {
		t.Fatalf("points %v, want %v", got, want)
	}
	for i := range want {
		if d := got[i] - want[i]; d > 1e-12 || d < -1e-12 {
			t.Errorf("points %v, want %v", got, want)
		}
	}
}

func TestScale(t *testing.T) {
	of := func(v ...float64) []figure {
		var all []figure
		for _, x := range v {
			all = append(all, summarise([]float64{x}, 0))
		}
		return all
	}
	for name, c := range map[string]struct {
		scale scale
		log   bool
		ticks []string
	}{
		"near":          {scaleOf(cpu, of(1, 5), false), false, []string{"0 s", "1 s", "2 s", "3 s", "4 s", "5 s"}},
		"far":           {scaleOf(cpu, of(0.1, 50), false), true, []string{"100 ms", "1 s", "10 s"}},
		"forced":        {scaleOf(converge, of(1, 3), true), true, []string{"500 ms", "1 s", "2 s"}},
		"zeros":         {scaleOf(rsyncs, of(0, 0), false), false, []string{"0", "1"}},
		"few":           {scaleOf(rsyncs, of(1, 2), false), false, []string{"0", "1", "2"}},
		"many decades":  {scaleOf(rsyncs, of(1, 1e9), false), true, []string{"1", "100", "10,000", "1,000,000", "100,000,000"}},
		"no halves":     {scaleOf(rsyncs, of(1, 30), false), true, []string{"1", "2", "5", "10", "20"}},
		"zero and more": {scaleOf(rsyncs, of(0, 100), false), false, []string{"0", "20", "40", "60", "80", "100"}},
	} {
		var labels []string
		for _, tick := range c.scale.ticks() {
			labels = append(labels, tick.Label)
			if tick.Value < c.scale.lo*0.99 || tick.Value > c.scale.hi {
				t.Errorf("%s: %s is outside of %v to %v", name, tick.Label, c.scale.lo, c.scale.hi)
			}
		}
		if c.scale.log != c.log || !cmp.Equal(labels, c.ticks) {
			t.Errorf("%s: log %v, ticks %q; want %v, %q", name, c.scale.log, labels, c.log, c.ticks)
		}
	}
}
