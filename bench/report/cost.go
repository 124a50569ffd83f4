package report

import (
	"fmt"
	"strings"
)

// cost compares what the engines used.
func (m *model) cost() (verdict, bool) {
	v := verdict{Tone: neutral}
	texts := []string{fmt.Sprintf("What the others used, as multiples of %s (geometric means over the workloads both did right).", subject)}
	for _, by := range []measure{cpu, peakRSS, rsyncs, idle, ready} {
		var parts []string
		for _, e := range m.peers() {
			c := m.compare(e, subject, by)
			if len(c.ratios) == 0 {
				continue
			}
			mean := times(geomean(c.ratios))
			parts = append(parts, e+" "+mean)
			if v.Figure == "" {
				v.Figure, v.Title = mean, fmt.Sprintf("%s/%s: %s, and other costs", e, subject, by.title)
			}
		}
		if len(parts) > 0 {
			texts = append(texts, fmt.Sprintf("%s: %s.", capital(by.title), strings.Join(parts, ", ")))
		}
	}
	v.Text = strings.Join(texts, " ")
	return v, v.Figure != ""
}

// betterElsewhere names every comparison that the subject clearly lost to a
// peer, by measure and peer.
func (m *model) betterElsewhere() (verdict, bool) {
	judged, won := 0, 0
	var texts []string
	for _, by := range []measure{p50, converge, cpu, peakRSS, rsyncs, idle, ready} {
		var parts []string
		for _, e := range m.peers() {
			c := m.compare(e, subject, by)
			for _, r := range c.ratios {
				judged += btoi(r.Reps >= fewReps)
			}
			names := c.which(-1)
			if len(names) == 0 {
				continue
			}
			won += len(names)
			where := list(names)
			if len(names) == len(c.ratios) && len(names) > 2 {
				where = fmt.Sprintf("all %d", len(names))
			}
			parts = append(parts, fmt.Sprintf("%s in %s (down to %s)", e, where, twoDigits(c.least())+"x"))
		}
		if len(parts) > 0 {
			texts = append(texts, capital(by.title)+": "+strings.Join(parts, ", ")+".")
		}
	}
	if judged == 0 {
		return verdict{}, false
	}
	v := verdict{Figure: fmt.Sprintf("%d/%d", won, judged), Title: "comparisons that another live engine clearly won", Tone: neutral}
	if won == 0 {
		v.Text = fmt.Sprintf("In time, processor, memory and transfers no other live engine that was right clearly did better than %s.", subject)
		return v, true
	}
	v.Tone = uneven
	v.Text = strings.Join(texts, " ")
	return v, true
}
