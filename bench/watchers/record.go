package watchers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fansync/fansync/bench/record"
)

// ResultsName is the file of raw results in a run's directory.
const ResultsName = "watchers.jsonl"

// Run is the first line of the results.
type Run struct {
	record.Run
	// MaxQueuedEvents is fs.inotify.max_queued_events.
	MaxQueuedEvents int `json:"max_queued_events"`
}

// Verdict says how a cell ended.
type Verdict string

const (
	Complete Verdict = "complete" // it told of all
	Missed   Verdict = "missed"   // some paths were not told
	Ended    Verdict = "ended"    // the watcher ended by itself
	Silent   Verdict = "silent"   // it did not tell of a change or a mark in time
	Skipped  Verdict = "skipped"  // it is not there or cannot do it
	Failed   Verdict = "failed"   // the suite could not do its part
)

// Cell is one watcher in one scenario once. A figure of 0 was not taken.
type Cell struct {
	Kind     string  `json:"kind"` // "cell"
	Scenario string  `json:"scenario"`
	Watcher  string  `json:"watcher"`
	Params   string  `json:"params"` // such as "files=80000 dirs=1000"
	Rep      int     `json:"rep"`
	Verdict  Verdict `json:"verdict"`
	Note     string  `json:"note,omitempty"`
	// ReadySeconds is from the start to the moment it watches all.
	ReadySeconds float64 `json:"ready_s,omitempty"`
	// RSSMB is the resident memory of its process then, PeakRSSMB the largest up
	// to the end of the cell. KernelMB is what the kernel's slab that cannot be
	// reclaimed grew by until it was ready, whoever made it grow.
	RSSMB     float64 `json:"rss_mb,omitempty"`
	PeakRSSMB float64 `json:"peak_rss_mb,omitempty"`
	KernelMB  float64 `json:"kernel_mb,omitempty"`
	// Ops are the changes that the writers made, WriterSeconds the time it took
	// them. CPUMicros is the CPU time of the watcher's process per change.
	Ops           int     `json:"ops,omitempty"`
	WriterSeconds float64 `json:"writer_s,omitempty"`
	CPUMicros     float64 `json:"cpu_us_per_op,omitempty"`
	// Wanted paths had to be told, Missed were not.
	Wanted int `json:"wanted,omitempty"`
	Missed int `json:"missed,omitempty"`
	// Rescans counts the lines that say where to look for lost events, Losses
	// those that only say that some were lost.
	Rescans int `json:"rescans,omitempty"`
	Losses  int `json:"losses,omitempty"`
}

// Results appends to the file of results. A line is on the disk when its method
// returns.
type Results struct{ f *os.File }

// CreateResults makes the file of results in dir and writes its first line. The
// caller closes it.
func CreateResults(dir string, run Run) (*Results, error) {
	f, err := os.OpenFile(filepath.Join(dir, ResultsName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%w: name another directory with --out", err)
	}
	if err != nil {
		return nil, fmt.Errorf("write results: %w", err)
	}
	r := &Results{f}
	run.Kind = "run"
	if err := r.write(run); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// Cell writes a further line.
func (r *Results) Cell(c Cell) error {
	c.Kind = "cell"
	return r.write(c)
}

// Close closes the file.
func (r *Results) Close() error { return r.f.Close() }

func (r *Results) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line of results: %w", err)
	}
	_, err = r.f.Write(append(line, '\n'))
	if err = errors.Join(err, r.f.Sync()); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// ReadResults reads the file of results in dir. A last line that an interruption
// cut off is left out.
func ReadResults(dir string) (run Run, cells []Cell, err error) {
	text, err := os.ReadFile(filepath.Join(dir, ResultsName))
	if err != nil {
		return run, nil, fmt.Errorf("read results: %w", err)
	}
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines[:len(lines)-1] {
		if i == 0 {
			err = json.Unmarshal(line, &run)
		} else {
			cells = append(cells, Cell{})
			err = json.Unmarshal(line, &cells[i-1])
		}
		if err != nil {
			return run, cells, fmt.Errorf("results, line %d: %w", i+1, err)
		}
	}
	if run.Kind != "run" {
		return run, cells, errors.New("results: there is no run in them")
	}
	return run, cells, nil
}
