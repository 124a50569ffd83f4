package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/bench/record"
)

func example() (record.Run, []record.Cell) {
	run := record.Run{
		Kind: "run", Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Command: []string{"bench", "run", "--reps=2"},
		Host:     record.Host{Kind: "kvm-2cpu-24g", Cores: 2, SrcFS: "ext4", Accounting: "cgroup2"},
		Versions: map[string]string{"fansync": "0.3", "rsync": "3.5.0"}, Seed: math.MaxUint64, Reps: 2, Scale: 0.5,
	}
	return run, []record.Cell{
		{Kind: "cell", Engine: "fansync", Workload: "burst", Verdict: record.Right, TotalSeconds: 1.5, Latency: &record.Latency{
			Count: 3, Lost: 1, P50: 400, Counts: []record.Point{{Micros: 400, Share: 0.5}},
		}},
		{Kind: "cell", Engine: "lsyncd", Workload: "burst", Rep: 1, Verdict: record.Wrong, WrongPaths: 1,
			WrongSample: []string{`"a\n<b>\x00": missing`, strings.Repeat("x", 1<<17)}},
	}
}

func written(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "results.jsonl")
	run, cells := example()
	w, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Run(run); err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if err := w.Cell(c); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	text := content(t, written(t))
	if n := bytes.Count(text, []byte("\n")); n != 3 {
		t.Errorf("%d lines, want one for each of the 3", n)
	}
	run, cells, err := record.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	wantRun, wantCells := example()
	if d := cmp.Diff(wantRun, run); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
	if d := cmp.Diff(wantCells, cells); d != "" {
		t.Errorf("cells (-want +got):\n%s", d)
	}
}

// TestEveryCut cuts the results at every byte: what is whole is read, the rest
// is told of, and a Writer goes on behind what is whole.
func TestEveryCut(t *testing.T) {
	run, cells := example()
	cells[1].WrongSample = cells[1].WrongSample[:1]
	var text []byte
	for _, v := range []any{run, cells[0], cells[1]} {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, line...), '\n')
	}
	first := bytes.IndexByte(text, '\n') + 1
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for n := first; n < len(text); n++ {
		part := text[:n]
		lines := bytes.Count(part, []byte("\n"))
		// A line that lacks only its end is whole.
		atEnd := text[n] == '\n'
		cut := part[n-1] != '\n' && !atEnd
		want := lines - 1
		if atEnd {
			want++
		}
		_, got, err := record.Read(bytes.NewReader(part))
		if len(got) != want || errors.Is(err, record.ErrCutOff) != cut || err != nil && !cut {
			t.Fatalf("cut at %d of %d: %d cells, error %v; want %d, cut off: %v", n, len(text), len(got), err, want, cut)
		}
		if err := os.WriteFile(path, part, 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := record.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Cell(cells[1]), w.Close()); err != nil {
			t.Fatal(err)
		}
		_, got, err = record.Read(bytes.NewReader(content(t, path)))
		if err != nil || len(got) != want+1 {
			t.Fatalf("cut at %d and continued: %d cells, error %v; want %d", n, len(got), err, want+1)
		}
	}
}

func TestReadErrors(t *testing.T) {
	const run, cell = `{"kind":"run"}` + "\n", `{"kind":"cell"}` + "\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "no run"},
		"blank":         {"\n \n", "no run"},
		"cell first":    {cell + run, "line 1: a cell before the run"},
		"two runs":      {run + cell + run, "line 3: a second run"},
		"broken inside": {run + "{\"kind\":\"ce\n" + cell, "line 2: "},
		"broken end":    {run + cell + "{\"kind\":\n", "line 3: "},
		"other kind":    {run + `{"kind":"<b>"}` + "\n", `line 2: kind "<b>" is neither`},
		"wrong type":    {run + `{"kind":"cell","rep":"x"}` + "\n", "line 2: json"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := record.Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if errors.Is(err, record.ErrCutOff) {
				t.Errorf("%v: this is no interruption", err)
			}
		})
	}
}

func TestReadPassesOnTheReadersError(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, _, err := record.Read(iotest.ErrReader(broken))
	if !errors.Is(err, broken) || errors.Is(err, record.ErrCutOff) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestUnknownKeysAreIgnored(t *testing.T) {
	_, cells, err := record.Read(strings.NewReader(`{"kind":"run","later":1}` + "\n" + `{"kind":"cell","engine":"e","later":{}}`))
	if err != nil || len(cells) != 1 || cells[0].Engine != "e" {
		t.Errorf("cells %v, error %v", cells, err)
	}
}

func TestWhatCannotBeEncodedLeavesNoLine(t *testing.T) {
	path := written(t)
	before := content(t, path)
	w, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Cell(record.Cell{CPUSeconds: math.NaN()}); err == nil {
		t.Error("NaN was written, JSON has none")
	}
	if !bytes.Equal(before, content(t, path)) {
		t.Error("the file changed")
	}
}

// TestFullDisk: a line for which there is no room is an error, and leaves none
// of its bytes behind.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small filesystem takes root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("results", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "results.jsonl")
	w, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	run, _ := example()
	if err := w.Run(run); err != nil {
		t.Fatal(err)
	}
	big := record.Cell{Note: strings.Repeat("n", 100_000)}
	if err := w.Cell(big); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v, want no space", err)
	}
	if err := w.Cell(record.Cell{Engine: "after"}); err != nil {
		t.Fatal(err)
	}
	_, cells, err := record.Read(bytes.NewReader(content(t, path)))
	if err != nil || len(cells) != 1 || cells[0].Engine != "after" {
		t.Errorf("cells %v, error %v; want only the one there was room for", cells, err)
	}
}

func TestOpenNamesThePath(t *testing.T) {
	dir := t.TempDir()
	if _, err := record.Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that names %s", err, dir)
	}
}
