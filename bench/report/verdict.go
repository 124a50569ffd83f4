package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fansync/fansync/bench/record"
)

// tone colours a verdict; its words do not depend on it.
type tone string

const (
	good    tone = "good"
	bad     tone = "bad"
	uneven  tone = "uneven"
	neutral tone = "neutral"
)

// verdict is one headline: a figure or word, what it is, and the whole of it.
type verdict struct {
	Tone                tone
	Figure, Title, Text string
}

// verdicts are what the figures say, the subject's correctness first.
func (m *model) verdicts() []verdict {
	if len(m.cells) == 0 {
		return []verdict{{uneven, "0", "Nothing was run", "There is no cell in these results."}}
	}
	var all []verdict
	if m.hasEngine(subject) {
		all = append(all, m.subjectRight())
	} else {
		all = append(all, verdict{uneven, "–", "No " + subject, "It is not in this run, so nothing is compared with it."})
	}
	if len(m.peers()) > 0 {
		all = append(all, m.peersRight())
	}
	for _, peer := range m.peers() {
		if v, ok := m.against(peer); ok {
			all = append(all, v)
		}
	}
	for _, f := range []func() (verdict, bool){m.toIdeal, m.visible, m.cost, m.betterElsewhere} {
		if v, ok := f(); ok {
			all = append(all, v)
		}
	}
	return all
}

// tally counts the workloads an engine was judged at, and names those it did
// not do right. What was skipped or failed for the suite is not judged.
func (m *model) tally(engine string) (right, judged, cellsRight, cells int, wrong []string) {
	for _, g := range m.groups {
		o := g.outcome(engine)
		n := o.count(record.Right) + o.count(record.Wrong) + o.count(record.Crashed)
		if n == 0 {
			continue
		}
		judged++
		cells += n
		cellsRight += o.count(record.Right)
		if o.ok() {
			right++
		} else {
			wrong = append(wrong, m.title(g)+" "+o.words())
		}
	}
	return right, judged, cellsRight, cells, wrong
}

func (m *model) subjectRight() verdict {
	right, judged, cellsRight, cells, wrong := m.tally(subject)
	v := verdict{Figure: fmt.Sprintf("%d/%d", right, judged), Title: subject + ": workloads with every mirror right"}
	switch {
	case judged == 0:
		v.Tone, v.Figure, v.Text = uneven, "–", "It was not run: every cell of it was skipped or failed."
		return v
	case len(wrong) > 0:
		v.Tone = bad
		v.Text = fmt.Sprintf("Not right: %s. %d of %s ended with mirrors equal to the source.",
			strings.Join(wrong, "; "), cellsRight, plural(cells, "run"))
		return v
	}
	v.Tone = good
	v.Text = fmt.Sprintf("After each of its %s every mirror was equal to the source, compared by content.", plural(cells, "run"))
	return v
}

func (m *model) peersRight() verdict {
	v := verdict{Tone: neutral, Title: "other engines right in every workload they ran"}
	var perfect, ran int
	var texts []string
	for _, e := range m.peers() {
		right, judged, _, _, wrong := m.tally(e)
		switch {
		case judged == 0:
			texts = append(texts, e+" was not run.")
			continue
		case len(wrong) == 0:
			perfect++
			texts = append(texts, fmt.Sprintf("%s: right in %d of %d.", e, right, judged))
		default:
			texts = append(texts, fmt.Sprintf("%s: right in %d of %d (%s).", e, right, judged, strings.Join(wrong, "; ")))
		}
		ran++
	}
	v.Figure = fmt.Sprintf("%d/%d", perfect, ran)
	v.Text = strings.Join(texts, " ")
	if ran == 0 {
		v.Figure = "–"
	}
	return v
}

// compared are the ratios of two engines at all groups at which both have m.
type compared struct {
	ratios []ratio
	names  []string
}

func (m *model) compare(a, b string, by measure) compared {
	var c compared
	for _, g := range m.groups {
		// Where changes are timed one by one, the end of the last tells nothing.
		if by.key == converge.key && g.primary.key != converge.key {
			continue
		}
		if r, ok := g.ratio(by, a, b); ok && r.Value >= 0 {
			c.ratios = append(c.ratios, r)
			c.names = append(c.names, m.title(g))
		}
	}
	return c
}

// extremes is "from 1.2x (burst) to 14x (deep)".
func (c compared) extremes() string {
	lo, hi := 0, 0
	for i, r := range c.ratios {
		if r.Value < c.ratios[lo].Value {
			lo = i
		}
		if r.Value > c.ratios[hi].Value {
			hi = i
		}
	}
	one := func(i int) string { return fmt.Sprintf("%s (%s)", c.ratios[i], c.names[i]) }
	switch {
	case len(c.ratios) == 1:
		return one(lo)
	case lo == hi:
		return c.ratios[lo].String() + " in each"
	}
	return "from " + one(lo) + " to " + one(hi)
}

// least is the smallest ratio; there must be one.
func (c compared) least() float64 {
	return slices.MinFunc(c.ratios, func(a, b ratio) int { return cmp.Compare(a.Value, b.Value) }).Value
}

// which are the names at which the ratio is clearly on that side of 1.
func (c compared) which(side int) []string {
	var names []string
	for i, r := range c.ratios {
		if r.clearly() == side {
			names = append(names, c.names[i])
		}
	}
	return names
}

// few reports whether no comparison has enough repetitions to be clear.
func (c compared) few() bool {
	return !slices.ContainsFunc(c.ratios, func(r ratio) bool { return r.Reps >= fewReps })
}

func (m *model) against(peer string) (verdict, bool) {
	c := m.compare(peer, subject, converge)
	if len(c.ratios) == 0 {
		return verdict{}, false
	}
	mean, b := geomean(c.ratios)
	v := verdict{Tone: neutral, Figure: times(mean, b), Title: peer + "/" + subject + ": time until the mirror was right"}
	if n := len(c.ratios); n == 1 {
		v.Text = fmt.Sprintf("In the one workload that both did right: %s.", c.extremes())
	} else {
		v.Text = fmt.Sprintf("Geometric mean over the %d workloads that both did right; %s.", n, c.extremes())
	}
	if c.few() {
		v.Text += fmt.Sprintf(" With fewer than %d repetitions no difference is certain.", fewReps)
		return v, true
	}
	sooner, later := c.which(1), c.which(-1)
	v.Text += fmt.Sprintf(" %s was clearly sooner in %d and clearly later in %d", subject, len(sooner), len(later))
	if len(later) > 0 {
		v.Text += " (" + list(later) + ")"
	}
	if rest := len(c.ratios) - len(sooner) - len(later); rest > 0 {
		v.Text += fmt.Sprintf("; %d cannot be told apart", rest)
	}
	v.Text += "."
	switch {
	case len(later) > 0:
		v.Tone = uneven
	case len(sooner) > 0:
		v.Tone = good
	}
	return v, true
}

func (m *model) toIdeal() (verdict, bool) {
	c := m.compare(subject, ideal, converge)
	if len(c.ratios) == 0 {
		return verdict{}, false
	}
	mean, b := geomean(c.ratios)
	v := verdict{Tone: neutral, Figure: times(mean, b), Title: subject + "/" + ideal + ": convergence against one perfectly informed rsync"}
	v.Text = fmt.Sprintf("Over %s: %s.", plural(len(c.ratios), "workload"), c.extremes())
	if slices.ContainsFunc(c.ratios, func(r ratio) bool { return r.Value < 1 }) {
		v.Text += fmt.Sprintf(" Less than 1x is possible: %s begins while the changes are still being made, %s when they have ended.", subject, ideal)
	}
	return v, true
}

// visible tells the latencies of the first workload that measured them.
func (m *model) visible() (verdict, bool) {
	for _, g := range m.groups {
		mid, ok := g.outcome(subject).figure(p50)
		if !ok {
			continue
		}
		tail, _ := g.outcome(subject).figure(p99)
		v := verdict{Tone: neutral, Figure: micros.median(mid), Title: "median time until a change was visible, " + m.title(g)}
		texts := []string{fmt.Sprintf("%s: half of the changes within %s, 99 %% within %s.", subject, micros.median(mid), micros.median(tail))}
		for _, e := range m.peers() {
			o := g.outcome(e)
			if f, ok := o.figure(p50); ok {
				t, _ := o.figure(p99)
				text := fmt.Sprintf("%s: %s and %s", e, micros.median(f), micros.median(t))
				if r, ok := g.ratio(p50, e, subject); ok {
					text += fmt.Sprintf(" (%s/%s %s)", e, subject, r)
				}
				texts = append(texts, text+".")
			}
		}
		v.Text = strings.Join(texts, " ")
		return v, true
	}
	return verdict{}, false
}
