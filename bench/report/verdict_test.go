package report

import (
	"strings"
	"testing"

	"github.com/fansync/fansync/bench/record"
)

// twoEngines are three repetitions of a workload in which the subject took that
// many seconds and lsyncd one.
func twoEngines(workload string, seconds ...float64) []record.Cell {
	var cells []record.Cell
	for rep, s := range seconds {
		cells = append(cells,
			record.Cell{Engine: subject, Workload: workload, Rep: rep, Verdict: record.Right, ConvergeSeconds: s, CPUSeconds: s, PeakRSSMB: 10, Rsyncs: 3},
			record.Cell{Engine: "lsyncd", Workload: workload, Rep: rep, Verdict: record.Right, ConvergeSeconds: 1, CPUSeconds: 1, PeakRSSMB: 10, Rsyncs: 3})
	}
	return cells
}

func verdictOf(t *testing.T, title string, cells []record.Cell) verdict {
	t.Helper()
	all := newModel(madeUpRun(3), cells, nil).verdicts()
	for _, v := range all {
		if strings.Contains(v.Title, title) {
			return v
		}
	}
	t.Fatalf("no verdict on %q in %+v", title, all)
	return verdict{}
}

func (v verdict) check(t *testing.T, tone tone, figure string, texts ...string) {
	t.Helper()
	if v.Tone != tone || v.Figure != figure {
		t.Errorf("%s is %s %s, want %s %s", v.Title, v.Tone, v.Figure, tone, figure)
	}
	for _, want := range texts {
		if !strings.Contains(v.Text, want) {
			t.Errorf("%s: %q does not say %q", v.Title, v.Text, want)
		}
	}
}

// TestVerdictsFollowTheFigures: the same sentences for a quick and for a slow
// subject would be no verdicts.
func TestVerdictsFollowTheFigures(t *testing.T) {
	const peer, lost = "lsyncd/fansync: time", "clearly won"
	quick, slow := twoEngines("quick", 0.5, 0.5, 0.25), twoEngines("slow", 2, 4, 4)
	even := twoEngines("even", 0.9, 1.1, 1)

	verdictOf(t, peer, quick).check(t, good, "2.0x", "In the one workload that both did right: 2.0x (quick)", "clearly sooner in 1 and clearly later in 0.")
	verdictOf(t, peer, slow).check(t, uneven, "0.25x", "clearly sooner in 0 and clearly later in 1 (slow).")
	verdictOf(t, peer, even).check(t, neutral, "1.0x", "in 0 and clearly later in 0; 1 cannot be told apart.")
	both := append(append(quick, slow...), even...)
	verdictOf(t, peer, both).check(t, uneven, "0.79x", "over the 3 workloads", "from 0.25x (slow) to 2.0x (quick)",
		"clearly sooner in 1 and clearly later in 1 (slow); 1 cannot be told apart.")

	verdictOf(t, lost, quick).check(t, neutral, "0/4", "no other live engine that was right clearly did better")
	verdictOf(t, lost, slow).check(t, uneven, "2/4", "Converged after: lsyncd in slow (down to 0.25x).", "CPU time: lsyncd in slow (down to 0.25x).")
	verdictOf(t, lost, both).check(t, uneven, "2/12")
	verdictOf(t, "CPU time, and other costs", slow).check(t, neutral, "0.25x", "CPU time: lsyncd 0.25x. Peak RSS: lsyncd 1.0x. Rsync transfers: lsyncd 1.0x.")
}

func TestFewRepetitionsAreSaid(t *testing.T) {
	cells := twoEngines("burst", 0.5, 0.5)
	verdictOf(t, "lsyncd/fansync: time", cells).check(t, neutral, "2.0x", "With fewer than 3 repetitions no difference is certain.")
	for _, v := range newModel(madeUpRun(2), cells, nil).verdicts() {
		if strings.Contains(v.Title, "clearly won") {
			t.Errorf("it judges: %+v", v)
		}
	}
	run := madeUpRun(2)
	if w := newModel(run, cells, nil).warnings(); len(w) != 1 || !strings.Contains(w[0], "2 repetitions of each cell, fewer than 3") {
		t.Errorf("warnings %q", w)
	}
	run.Reps = 3
	if w := newModel(run, cells, nil).warnings(); len(w) != 1 || !strings.Contains(w[0], "2 cells did not take place") {
		t.Errorf("warnings %q", w)
	}
}

func TestASubjectThatIsWrongIsSaidFirst(t *testing.T) {
	cells := append(twoEngines("burst", 0.5, 0.5, 0.5), twoEngines("deep", 0.5, 0.5, 0.5)...)
	cells[2].Verdict, cells[2].WrongPaths = record.Wrong, 3
	m := newModel(madeUpRun(3), cells, nil)
	m.verdicts()[0].check(t, bad, "1/2", "burst wrong in 1 of 3 (3 paths)", "5 of 6 runs")
	verdictOf(t, "lsyncd/fansync: time", cells).check(t, good, "2.0x", "In the one workload that both did right: 2.0x (deep)")
	verdictOf(t, "other engines", cells).check(t, neutral, "1/1", "lsyncd: right in 2 of 2.")
}

// TestLatencyIsJudgedByItself: how long after the end the last single change
// came says nothing of all the others.
func TestLatencyIsJudgedByItself(t *testing.T) {
	cells := twoEngines("trickle", 2, 2, 2)
	for i := range cells {
		l := &record.Latency{Count: 10, P50: 4000, P99: 20_000}
		if cells[i].Engine == "lsyncd" {
			l = &record.Latency{Count: 9, Lost: 1, P50: 1_000_000, P99: 2_000_000}
		}
		cells[i].Latency = l
	}
	verdictOf(t, "until a change was visible, trickle", cells).check(t, neutral, "4 ms",
		"half of the changes within 4 ms, 99 % within 20 ms", "lsyncd: 1 s and 2 s (lsyncd/fansync 250x)")
	m := newModel(madeUpRun(3), cells, nil)
	for _, v := range m.verdicts() {
		if strings.Contains(v.Title, "time until the mirror was right") {
			t.Errorf("convergence is judged: %+v", v)
		}
	}
	row := m.matrix()[0]
	if c := row.Cells[1]; c.Main != "1 s" || c.Ratio != "250x" || c.Sub != "p99 2 s, up to 1 never seen" {
		t.Errorf("the matrix has %+v", c)
	}
}
