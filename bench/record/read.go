package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrCutOff is wrapped by the error of Read when the last line is no whole
// object, as an interrupted run leaves it. What Read returns with it is
// complete up to that line.
var ErrCutOff = errors.New("the last line is cut off")

const (
	kindRun  = "run"
	kindCell = "cell"
)

// Read reads what a Writer wrote: one Run, then Cells in the order in which
// they ended. An error that is ErrCutOff comes with all that is whole; any
// other names the line, and what was read before it is returned too. Keys that
// it does not know are ignored, kinds are not.
func Read(r io.Reader) (Run, []Cell, error) {
	var (
		run   Run
		cells []Cell
		began bool
		lines = bufio.NewReader(r)
	)
	for n := 1; ; n++ {
		line, end := lines.ReadBytes('\n')
		if end != nil && end != io.EOF {
			return run, cells, fmt.Errorf("read results, line %d: %w", n, end)
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			head, cell, err := decode(text)
			switch {
			case err != nil && end == io.EOF:
				return run, cells, fmt.Errorf("results, line %d: %w: %w", n, ErrCutOff, err)
			case err != nil:
				return run, cells, fmt.Errorf("results, line %d: %w", n, err)
			case head != nil && began:
				return run, cells, fmt.Errorf("results, line %d: a second run; keep one run in a file", n)
			case cell != nil && !began:
				return run, cells, fmt.Errorf("results, line %d: a cell before the run", n)
			case head != nil:
				run, began = *head, true
			default:
				cells = append(cells, *cell)
			}
		}
		if end == io.EOF {
			break
		}
	}
	if !began {
		return run, cells, errors.New("results: there is no run in them")
	}
	return run, cells, nil
}

// decode returns the one that the line is.
func decode(line []byte) (*Run, *Cell, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, nil, err
	}
	switch head.Kind {
	case kindRun:
		run := new(Run)
		return run, nil, json.Unmarshal(line, run)
	case kindCell:
		cell := new(Cell)
		return nil, cell, json.Unmarshal(line, cell)
	}
	return nil, nil, fmt.Errorf("kind %q is neither %q nor %q", head.Kind, kindRun, kindCell)
}
