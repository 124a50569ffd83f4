package transport

import (
	"io"
	"time"

	"github.com/fansync/fansync/scheduler"
)

const (
	// maxLine is the longest line that is looked at whole: two paths of 4096
	// bytes, each byte escaped to five. The rest of a longer one is dropped.
	maxLine = 64 << 10
	// progressEvery is the least time between two calls of progress.
	progressEvery = 100 * time.Millisecond
)

// eachLine calls f for every line of r, ended by a newline or a carriage
// return, to the end or to the first error, which for a pipe is its end too.
// The line is valid only during the call.
func eachLine(r io.Reader, f func(line []byte)) {
	buf := make([]byte, 32<<10)
	var line []byte
	for {
		n, err := r.Read(buf)
		start := 0
		for i, c := range buf[:n] {
			if c != '\n' && c != '\r' {
				continue
			}
			line = appendUpTo(line, buf[start:i])
			f(line)
			line, start = line[:0], i+1
		}
		line = appendUpTo(line, buf[start:n])
		if err != nil {
			break
		}
	}
	if len(line) > 0 {
		f(line)
	}
}

func appendUpTo(line, more []byte) []byte {
	return append(line, more[:min(len(more), maxLine-len(line))]...)
}

// stdout is what matters of standard output.
type stdout struct {
	transcript
	stats scheduler.Stats

	progress func(scheduler.Progress) // nil: not asked for
	now      scheduler.Progress
	fresh    bool // now was not reported
	reported time.Time
}

func (o *stdout) read(r io.Reader) {
	eachLine(r, func(line []byte) {
		s := string(line)
		switch {
		case o.progress != nil && parseProgress(s, &o.now):
			o.fresh = true
			if t := time.Now(); t.Sub(o.reported) >= progressEvery {
				o.reported, o.fresh = t, false
				o.progress(o.now)
			}
		case parseStats(s, &o.stats):
		default:
			o.line(s)
		}
	})
	if o.fresh {
		o.progress(o.now)
	}
}

// read is for standard error.
func (t *transcript) read(r io.Reader) {
	eachLine(r, func(line []byte) { t.line(string(line)) })
}
