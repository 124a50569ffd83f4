package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fansync/fansync/scheduler"
)

const (
	// redraw is how often a terminal's progress lines change.
	redraw = 200 * time.Millisecond
	// sayAgain is how often progress is logged where there is no terminal.
	sayAgain = 10 * time.Second
)

// display shows the progress of full runs: on a terminal as lines that change,
// below the log; elsewhere as log lines now and then. It is the writer of the
// log, so that the two do not mix.
type display struct {
	mu    sync.Mutex
	w     io.Writer
	term  bool
	lines []progressLine
	drawn int // progress lines on the screen
	at    time.Time
	log   *slog.Logger
}

type progressLine struct {
	remote string
	p      scheduler.Progress
	said   time.Time
}

func newDisplay(w io.Writer, term bool) *display {
	d := &display{w: w, term: term}
	d.log = slog.New(slog.NewTextHandler(w, nil))
	return d
}

// Write is the log's: what it writes goes above the progress lines.
func (d *display) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wipe()
	n, err := d.w.Write(b)
	d.draw()
	return n, err
}

// events shows the full runs of one root.
func (d *display) events(string) scheduler.Events {
	return scheduler.Events{
		Progress: d.progress,
		Ended: func(remote string, b scheduler.Batch, _ scheduler.Result, _ time.Duration) {
			if b.Form == scheduler.Full {
				d.end(remote)
			}
		},
	}
}

func (d *display) progress(remote string, p scheduler.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	i := 0
	for i < len(d.lines) && d.lines[i].remote != remote {
		i++
	}
	if i == len(d.lines) {
		d.lines = append(d.lines, progressLine{remote: remote, said: now})
	}
	d.lines[i].p = p
	switch {
	case d.term && now.Sub(d.at) >= redraw:
		d.wipe()
		d.draw()
		d.at = now
	case !d.term && now.Sub(d.lines[i].said) >= sayAgain:
		d.lines[i].said = now
		d.log.Info("full run", "remote", remote, "files", p.Files, "bytes", p.Bytes, "percent", p.Percent, "bytes_per_second", p.Rate, "eta", p.ETA.Round(time.Second))
	}
}

func (d *display) end(remote string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wipe()
	keep := d.lines[:0]
	for _, l := range d.lines {
		if l.remote != remote {
			keep = append(keep, l)
		}
	}
	d.lines = keep
	d.draw()
}

func (d *display) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wipe()
	d.lines = nil
}

// wipe takes the progress lines off the screen.
func (d *display) wipe() {
	if d.drawn > 0 {
		fmt.Fprintf(d.w, "\x1b[%dA\x1b[J", d.drawn)
		d.drawn = 0
	}
}

func (d *display) draw() {
	if !d.term {
		return
	}
	for _, l := range d.lines {
		fmt.Fprintf(d.w, "%s\n", l)
		d.drawn++
	}
}

const barWidth = 24

// String is one line: a bar, and what has been done.
func (l progressLine) String() string {
	full := max(0, min(barWidth, l.p.Percent*barWidth/100))
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	checked := ""
	if l.p.Total > 0 { // not known before the first file has been sent
		checked = fmt.Sprintf(", %d of %d checked", l.p.Checked, l.p.Total)
	}
	return fmt.Sprintf("%-24.24q [%s] %3d%%  %d files sent%s  %s  %s/s%s",
		l.remote, bar, l.p.Percent, l.p.Files, checked, size(l.p.Bytes), size(l.p.Rate), left(l.p))
}

// left says how long it will take, if that is known.
func left(p scheduler.Progress) string {
	if p.ETA <= 0 {
		return ""
	}
	return fmt.Sprintf("  about %s left", p.ETA.Round(time.Second))
}

// size is n bytes for people.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 999.95 && i < len(units)-1 {
		v /= 1000
		i++
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}
