package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/transport"
)

func TestDisplayOnTerminal(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, true)
	ev := d.events("/root")
	ev.Progress("a", scheduler.Progress{Bytes: 1500, Percent: 50, Rate: 2_500_000, Files: 3, Checked: 7, Total: 10, ETA: 83*time.Second + 1})
	if _, err := d.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	want := `"a"                      [############............]  50%  3 files sent, 7 of 10 checked  1.5 kB  2.5 MB/s  about 1m23s left` + "\n"
	// The line is drawn, taken away for the log's, and drawn again below it.
	if got, wants := out.String(), want+"\x1b[1A\x1b[Ja log line\n"+want; got != wants {
		t.Errorf("got  %q\nwant %q", got, wants)
	}
	out.Reset()
	ev.Ended("a", scheduler.Batch{Form: scheduler.Full}, scheduler.Result{}, 0)
	d.close()
	if got := out.String(); got != "\x1b[1A\x1b[J" {
		t.Errorf("after the end: %q", got)
	}
}

// A remote's name may hold what a terminal would obey.
func TestDisplayQuotesNames(t *testing.T) {
	s := progressLine{remote: "\x1b[31mred"}.String()
	if strings.Contains(s, "\x1b") {
		t.Errorf("escape sequence in %q", s)
	}
}

func TestDisplayElsewhere(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out, false)
	d.progress("a", scheduler.Progress{Percent: 1})
	if out.Len() > 0 {
		t.Errorf("said at once: %q", out.String())
	}
	d.lines[0].said = d.lines[0].said.Add(-2 * sayAgain)
	d.progress("a", scheduler.Progress{Percent: 40, Files: 4})
	if got := out.String(); !strings.Contains(got, "percent=40") || strings.Contains(got, "\x1b") {
		t.Errorf("got %q", got)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_951: "1.0 MB", 1 << 40: "1.1 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{usageError{errors.New("x")}, 2},
		{fmt.Errorf("flush: %w", errors.Join(errNotInSync, errors.New("late"))), 3},
		{fmt.Errorf("start: %w", transport.ErrNoRsync), 4},
		{transport.ErrOldRsync, 4},
	} {
		var out bytes.Buffer
		if got := exitCode(c.err, &out); got != c.want {
			t.Errorf("exitCode(%v) = %d, want %d", c.err, got, c.want)
		}
		if c.err != nil && !strings.HasPrefix(out.String(), "fansync: ") {
			t.Errorf("message %q", out.String())
		}
	}
}
