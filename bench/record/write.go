package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Writer appends to a file of results. Each line is on the disk when its method
// returns, so that an interruption costs at most the line being written. It is
// not safe for concurrent use.
type Writer struct {
	f   *os.File
	end int64 // of the last whole line
}

// Open opens the file of results at path to append to it, and makes it if it is
// not there. A last line that an interruption cut off is taken away: it says
// nothing. The caller closes the Writer.
func Open(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	w := &Writer{f: f}
	if err := w.mend(); err != nil {
		f.Close()
		return nil, fmt.Errorf("continue results %s: %w", path, err)
	}
	return w, nil
}

// mend sets end behind the last whole line and cuts off the rest.
func (w *Writer) mend() error {
	text, err := io.ReadAll(w.f)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	w.end = int64(whole)
	if whole == len(text) {
		return nil
	}
	if json.Valid(text[whole:]) {
		return w.append(append(text[whole:], '\n'))
	}
	return w.f.Truncate(w.end)
}

// Run writes the first line.
func (w *Writer) Run(run Run) error {
	run.Kind = kindRun
	return w.write(run)
}

// Cell writes a further line.
func (w *Writer) Cell(cell Cell) error {
	cell.Kind = kindCell
	return w.write(cell)
}

// Close closes the file. Nothing is left to be written.
func (w *Writer) Close() error { return w.f.Close() }

func (w *Writer) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a line of results: %w", err)
	}
	return w.append(append(line, '\n'))
}

// append puts line behind the last whole one, and takes it away again if it did
// not get there whole, so that the next does not run on from it.
func (w *Writer) append(line []byte) error {
	if _, err := w.f.WriteAt(line, w.end); err != nil {
		return errors.Join(fmt.Errorf("write results: %w", err), w.f.Truncate(w.end))
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sync results: %w", err)
	}
	w.end += int64(len(line))
	return nil
}
