package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fansync/fansync/bench/record"
)

const (
	// subject is the engine that the report is about.
	subject = "fansync"
	// ideal is what all are measured against.
	ideal = "ideal"
	plain = "rsync"
)

// onDemand are the engines that are told to work after the changes; the others
// mirror as they come.
var onDemand = []string{plain, ideal}

// model is a run in the order in which it is shown. All names in it are clean.
type model struct {
	run     record.Run
	engines []string // the subject, its peers, then those on demand
	groups  []group
	cells   []record.Cell
}

// group is a workload at one size.
type group struct {
	workload, params, doc string
	slug                  string // for file names and anchors, unique
	outcomes              []outcome
	primary               measure // what the group is judged by
}

// outcome is one engine at one group.
type outcome struct {
	engine  string
	verdict record.Verdict // "" if there is no cell
	cells   []record.Cell
	right   []record.Cell
}

// newModel takes the docs by workload name.
func newModel(run record.Run, cells []record.Cell, docs map[string]string) *model {
	m := &model{run: run}
	for _, c := range cells {
		c.Engine, c.Workload, c.Params, c.Note = clean(c.Engine), clean(c.Workload), clean(c.Params), clean(c.Note)
		c.Verdict = record.Verdict(clean(string(c.Verdict)))
		c.WrongSample = slices.Clone(c.WrongSample)
		for i, s := range c.WrongSample {
			c.WrongSample[i] = clean(s)
		}
		m.cells = append(m.cells, c)
	}
	m.engines = engineOrder(m.cells)
	sentences := map[string]string{}
	for name, doc := range docs {
		sentences[clean(name)] = clean(doc)
	}
	m.makeGroups(sentences)
	return m
}

func engineOrder(cells []record.Cell) []string {
	var names []string
	for _, c := range cells {
		if !slices.Contains(names, c.Engine) {
			names = append(names, c.Engine)
		}
	}
	rank := func(name string) int {
		if name == subject {
			return -1
		}
		return 1 + slices.Index(onDemand, name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return names
}

// makeGroups makes the groups in the order of their first cells. A cell without
// params, such as one that was skipped before they were known, belongs to the
// first group of its workload.
func (m *model) makeGroups(docs map[string]string) {
	type key struct{ workload, params string }
	var keys []key
	for _, c := range m.cells {
		if k := (key{c.Workload, c.Params}); c.Params != "" && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	first := func(workload string) int {
		return slices.IndexFunc(keys, func(k key) bool { return k.workload == workload })
	}
	in := map[key][]record.Cell{}
	for _, c := range m.cells {
		k := key{c.Workload, c.Params}
		if c.Params == "" {
			if i := first(c.Workload); i >= 0 {
				k = keys[i]
			} else {
				keys = append(keys, k)
			}
		}
		in[k] = append(in[k], c)
	}
	slugs := map[string]bool{}
	for _, k := range keys {
		g := group{workload: k.workload, params: k.params, doc: docs[k.workload], slug: slug(k.workload)}
		for n := 2; slugs[g.slug]; n++ {
			g.slug = fmt.Sprintf("%s-%d", slug(k.workload), n)
		}
		slugs[g.slug] = true
		for _, e := range m.engines {
			g.outcomes = append(g.outcomes, newOutcome(e, in[k]))
		}
		g.primary = converge
		if g.has(p50) {
			g.primary = p50
		}
		m.groups = append(m.groups, g)
	}
}

// slug keeps letters and digits, so that a name is no path and needs no quotes.
func slug(name string) string {
	keep := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	if s := strings.Trim(strings.Map(keep, strings.ToLower(shorten(name, 40))), "-"); s != "" {
		return s
	}
	return "workload"
}

// newOutcome judges an engine by its worst: one wrong mirror or crash, and its
// other repetitions are no results either. What the suite failed to do is not
// held against it.
func newOutcome(engine string, cells []record.Cell) outcome {
	o := outcome{engine: engine}
	for _, c := range cells {
		if c.Engine == engine {
			o.cells = append(o.cells, c)
			if c.Verdict == record.Right {
				o.right = append(o.right, c)
			}
		}
	}
	for _, v := range []record.Verdict{record.Wrong, record.Crashed, record.Right, record.Failed, record.Skipped} {
		if o.count(v) > 0 {
			o.verdict = v
			return o
		}
	}
	if len(o.cells) > 0 {
		o.verdict = record.Failed
	}
	return o
}

func (o outcome) count(v record.Verdict) int {
	n := 0
	for _, c := range o.cells {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// ok reports whether every mirror was right.
func (o outcome) ok() bool { return o.verdict == record.Right }

// limit is beyond all that can be measured; arithmetic within it stays finite.
const limit = 1e15

// figure is the one way to what was measured. It is false unless the outcome is
// ok and has the measure.
func (o outcome) figure(m measure) (figure, bool) {
	if !o.ok() {
		return figure{}, false
	}
	var values []float64
	for _, c := range o.right {
		if v, ok := m.of(c); ok {
			values = append(values, min(max(v, -limit), limit))
		}
	}
	if len(values) == 0 {
		return figure{}, false
	}
	return summarise(values, m.floor), true
}

// words are the outcome without figures, such as "wrong in 2 of 3 (12 paths)".
func (o outcome) words() string {
	if o.verdict == "" {
		return "not run"
	}
	var parts []string
	for _, v := range []record.Verdict{record.Wrong, record.Crashed, record.Failed, record.Skipped} {
		n := o.count(v)
		if n == 0 {
			continue
		}
		s := string(v)
		if v == record.Failed {
			// It was the suite that failed, not the engine.
			s = "not measured"
		}
		if n < len(o.cells) {
			s += fmt.Sprintf(" in %d of %d", n, len(o.cells))
		}
		if v == record.Wrong {
			s += o.wrongPaths()
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 && !o.ok() {
		return "no verdict"
	}
	if o.ok() {
		parts = append([]string{"right"}, parts...)
	}
	return strings.Join(parts, ", ")
}

// wrongPaths is " (3 paths)", or " (3–12 paths)" if repetitions differ, and ""
// for an engine that did not even begin to mirror.
func (o outcome) wrongPaths() string {
	var n []int
	for _, c := range o.cells {
		if c.Verdict == record.Wrong {
			n = append(n, c.WrongPaths)
		}
	}
	lo, hi := slices.Min(n), slices.Max(n)
	switch {
	case hi == 0:
		return ""
	case lo == hi:
		return " (" + plural(hi, "path") + ")"
	}
	return fmt.Sprintf(" (%s–%s)", count.show(float64(lo)), plural(hi, "path"))
}

// remarks are the notes of its cells and samples of what was wrong, each once.
func (o outcome) remarks() (notes, samples []string) {
	for _, c := range o.cells {
		if c.Note != "" && !slices.Contains(notes, c.Note) {
			notes = append(notes, c.Note)
		}
		for _, s := range c.WrongSample {
			if !slices.Contains(samples, s) {
				samples = append(samples, s)
			}
		}
	}
	return notes, samples
}

func (g group) outcome(engine string) outcome {
	for _, o := range g.outcomes {
		if o.engine == engine {
			return o
		}
	}
	return outcome{engine: engine}
}

// ratio compares two engines; false if one has no figure.
func (g group) ratio(m measure, a, b string) (ratio, bool) {
	fa, okA := g.outcome(a).figure(m)
	fb, okB := g.outcome(b).figure(m)
	if !okA || !okB {
		return ratio{}, false
	}
	return ratioOf(fa, fb)
}

// has reports whether any engine has a figure.
func (g group) has(m measure) bool {
	return slices.ContainsFunc(g.outcomes, func(o outcome) bool { _, ok := o.figure(m); return ok })
}

// references are those of the subject and ideal with which by can be compared
// anywhere.
func (m *model) references(by measure) []string {
	var found []string
	for _, to := range []string{subject, ideal} {
		if slices.ContainsFunc(m.engines, func(e string) bool {
			return slices.ContainsFunc(m.groups, func(g group) bool { _, ok := g.ratio(by, e, to); return ok && e != to })
		}) {
			found = append(found, to)
		}
	}
	return found
}

// title is the workload's name, with its size if it occurs in several.
func (m *model) title(g group) string {
	for _, other := range m.groups {
		if other.workload == g.workload && other.slug != g.slug {
			return strings.TrimSpace(g.workload + " " + g.params)
		}
	}
	return g.workload
}

// peers are the engines that mirror live, besides the subject.
func (m *model) peers() []string {
	return slices.DeleteFunc(slices.Clone(m.engines), func(e string) bool {
		return e == subject || slices.Contains(onDemand, e)
	})
}

func (m *model) hasEngine(name string) bool { return slices.Contains(m.engines, name) }

// wrong reports whether the engine is to blame that there are no figures.
func (o outcome) wrong() bool { return o.verdict == record.Wrong || o.verdict == record.Crashed }
