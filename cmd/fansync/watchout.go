package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// writeAt is how many bytes are written at once.
const writeAt = 64 << 10

// output prints what happens in all trees, a Change or a batch of events in
// one piece. It is safe for concurrent use; while a write is stuck all wait.
type output struct {
	mu     sync.Mutex
	w      io.Writer
	buf    []byte
	format formatter
	once   bool
	done   bool // nothing is printed any more
	err    error

	// notes takes what is not a change, if the form has no place for it.
	notes io.Writer
	// ended is closed when done is set.
	ended chan struct{}
	// news has a token when something was printed since it was taken.
	news chan struct{}
	// changes counts the Changes, or batches, printed.
	changes atomic.Int64
}

func newOutput(w, notes io.Writer, f form, once bool) *output {
	return &output{
		w: w, notes: notes, format: formatter{form: f, loc: time.Local}, once: once,
		buf: make([]byte, 0, writeAt+writeAt/4), ended: make(chan struct{}), news: make(chan struct{}, 1),
	}
}

// offset turns a time of watcher.Now into one since 1970.
func offset() int64 { return time.Now().UnixNano() - watcher.Now() }

// change prints a Change of a tree.
func (o *output) change(t *tree, ch coalesce.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	off := offset()
	now := off + watcher.Now()
	n := len(ch.Rescans) + len(ch.Entries)
	for _, rs := range ch.Rescans {
		o.add(t, record{kind: recordRescan, time: now, path: rs.Path, words: wordRescan | wordDir, reason: rs.Reason})
	}
	if ch.Hidden != 0 {
		n++
		o.add(t, record{kind: recordHidden, time: off + ch.Hidden, words: wordHidden | wordDir, reason: hiddenReason})
	}
	for _, e := range ch.Entries {
		r := entryRecord(e, off)
		if r.words&wordRemoved != 0 {
			r.settle(t.root)
		}
		o.add(t, r)
	}
	if ch.Gone {
		o.add(t, record{kind: recordGone, time: now})
	}
	o.printed(t, n)
}

// events prints a batch of events of a tree.
func (o *output) events(t *tree, events []watcher.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	off, n := offset(), 0
	for _, ev := range events {
		switch {
		case ev.Has(watcher.Barrier):
		case ev.Has(watcher.Gone):
			o.add(t, record{kind: recordGone, time: off + ev.Time})
		default:
			n++
			o.add(t, eventRecord(ev, off))
		}
	}
	o.printed(t, n)
}

// watching says how a tree is watched.
func (o *output) watching(t *tree) {
	kind, reason := t.watch.Backend()
	backend := string(kind)
	reason = strings.TrimPrefix(reason, backend+": ")
	o.status(t, record{kind: recordWatching, time: time.Now().UnixNano(), backend: backend, reason: reason},
		"watching %q with %s: %s", t.name, backend, reason)
}

// ready says that all of a tree is watched now.
func (o *output) ready(t *tree) {
	took := time.Since(t.began)
	o.status(t, record{kind: recordReady, time: time.Now().UnixNano(), after: int64(took)},
		"%q is ready after %s", t.name, took.Round(time.Millisecond))
}

// status prints a record in JSON, else a note.
func (o *output) status(t *tree, r record, note string, args ...any) {
	if o.format.form != formJSON {
		fmt.Fprintf(o.notes, "fansync: "+note+"\n", args...)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(t, r)
	o.flush()
}

// printed ends a Change or batch of n lines. The caller holds mu, as with all
// that follow.
func (o *output) printed(t *tree, n int) {
	t.lines.Add(int64(n))
	o.flush()
	if n == 0 {
		return
	}
	o.changes.Add(1)
	select {
	case o.news <- struct{}{}:
	default:
	}
	if o.once {
		o.end()
	}
}

func (o *output) add(t *tree, r record) {
	if o.done {
		return
	}
	o.buf = o.format.append(o.buf, &t.place, &r)
	if o.format.form == formNull && r.reason != "" {
		// A bare path does not say that it stands for all below it.
		fmt.Fprintf(o.notes, "fansync: look at %q and all below it: %s\n", o.format.whole(&t.place, r.path), r.reason)
	}
	if len(o.buf) >= writeAt {
		o.flush()
	}
}

func (o *output) flush() {
	if len(o.buf) == 0 || o.done {
		return
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	if err != nil {
		o.broken(err)
	}
}

// fail says that the output cannot be written to.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken(err)
}

// broken ends the output: in silence if its reader went away.
func (o *output) broken(err error) {
	if !o.done && !errors.Is(err, syscall.EPIPE) {
		o.err = fmt.Errorf("write output: %w", err)
	}
	o.end()
}

// end ends the output.
func (o *output) end() {
	if !o.done {
		o.done = true
		close(o.ended)
	}
}

// endAt ends the output if it has not ended yet and no more than so many
// Changes have been printed.
func (o *output) endAt(changes int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done || o.changes.Load() != changes {
		return false
	}
	o.end()
	return true
}

// close ends the output and returns what went wrong with it.
func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end()
	return o.err
}
