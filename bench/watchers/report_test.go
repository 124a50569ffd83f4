package watchers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/bench/record"
)

// TestReport: medians, spread, ratios, and beside a figure what was missed; a cell
// that went wrong gives no figure.
func TestReport(t *testing.T) {
	cell := func(watcher string, rep int, cpu float64, v Verdict, missed int, note string) Cell {
		return Cell{
			Scenario: "create", Watcher: watcher, Params: "files=1000", Rep: rep, Verdict: v, Note: note, Ops: 1000,
			WriterSeconds: 0.5, CPUMicros: cpu, PeakRSSMB: 12, Wanted: 1000, Missed: missed,
		}
	}
	cells := []Cell{
		cell("fansync", 0, 2, Complete, 0, ""), cell("fansync", 1, 4, Complete, 0, ""), cell("fansync", 2, 2.5, Complete, 0, ""),
		cell("inotifywait", 0, 10, Missed, 3, ""), cell("inotifywait", 1, 10, Complete, 0, ""),
		cell("fatrace", 0, 99, Ended, 900, "it broke"),
		{Scenario: "create", Watcher: None, Verdict: Complete, Ops: 1000, WriterSeconds: 0.25},
	}
	text := markdown(Run{Run: record.Run{Command: []string{"bench", "watch"}, Versions: map[string]string{"fansync": "1.2"}}, MaxQueuedEvents: 16384}, cells)
	for _, want := range []string{
		"- command: `bench watch`\n", "- fs.inotify.max_queued_events: 16384\n", "- fansync: 1.2\n", "files=1000",
		"| fansync | 2.50 µs (2.00 µs–4.00 µs) | 2,000 *0.50x* | 12.0 MB | all 1,000 |",
		"| inotifywait | 10.0 µs *4.00x* | 2,000 *0.50x* | 12.0 MB | **missed 0–3** of 1,000 |",
		"| fatrace | – | – | – | **missed 900** of 1,000; ended 1 of 1 times |",
		"| none | – | 4,000 | – |  |",
		"- fatrace: it broke\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

// TestResults: what is written is read, without a line that was cut off; a second
// run does not go into the same directory.
func TestResults(t *testing.T) {
	dir := t.TempDir()
	head := Run{Run: record.Run{Kind: "run", Command: []string{"x"}, Reps: 2}, MaxQueuedEvents: 7}
	r, err := CreateResults(dir, head)
	if err != nil {
		t.Fatal(err)
	}
	cells := []Cell{{Kind: "cell", Scenario: "create", Watcher: "fansync", Verdict: Missed, Missed: 3}, {Kind: "cell", Scenario: "flood", Watcher: None}}
	for _, c := range cells {
		if err := r.Cell(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ResultsName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, `{"kind":"ce`...), 0o644); err != nil {
		t.Fatal(err)
	}
	gotHead, got, err := ReadResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(head, gotHead); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
	if d := cmp.Diff(cells, got); d != "" {
		t.Errorf("cells (-want +got):\n%s", d)
	}
	if _, err := CreateResults(dir, head); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("a second run into the same directory: %v", err)
	}
	if err := os.WriteFile(path, text[:3], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(dir); err == nil || !strings.Contains(err.Error(), "no run") {
		t.Errorf("a report of nothing: %v", err)
	}
}
