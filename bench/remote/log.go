package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"
)

// Every line of the daemon's log begins with date, time and process. The first
// kind tells of each connection, the second of each client that logged in and said
// which way ("to" for an upload, "on" for a download), the third of each transfer
// that ended well.
var (
	connectLine = regexp.MustCompile(`^\S+ \S+ \[\d+\] connect from `)
	begunLine   = regexp.MustCompile(`^\S+ \S+ \[\d+\] rsync (?:to|on) `)
	endedLine   = regexp.MustCompile(`^\S+ \S+ \[\d+\] sent (\d+) bytes  received (\d+) bytes  total size \d+$`)
)

// tally is what a log tells.
type tally struct {
	connections int
	begun       int   // transfers
	ended       int   // those of them that ended well
	bytes       int64 // that these sent and received
}

// add counts the whole lines of text and returns how many bytes they are.
func (t *tally) add(text []byte) (int, error) {
	used := 0
	for {
		end := bytes.IndexByte(text[used:], '\n')
		if end < 0 {
			return used, nil
		}
		line := text[used : used+end]
		used += end + 1
		if connectLine.Match(line) {
			t.connections++
			continue
		}
		if begunLine.Match(line) {
			t.begun++
			continue
		}
		m := endedLine.FindSubmatch(line)
		if m == nil {
			continue
		}
		sent, err := strconv.ParseInt(string(m[1]), 10, 64)
		received, rerr := strconv.ParseInt(string(m[2]), 10, 64)
		if err = errors.Join(err, rerr); err != nil {
			return used, fmt.Errorf("read the rsync daemon's log: %q: %w", line, err)
		}
		t.ended++
		t.bytes += sent + received
	}
}

// logReader follows a log.
type logReader struct {
	path  string
	at    int64 // bytes that were read
	tally tally
}

// read takes in what was written since the last time.
func (l *logReader) read() (t tally, err error) {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l.tally, nil // nothing has happened yet
	}
	if err != nil {
		return tally{}, fmt.Errorf("read the rsync daemon's log: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Seek(l.at, io.SeekStart); err != nil {
		return tally{}, fmt.Errorf("read the rsync daemon's log: %w", err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return tally{}, fmt.Errorf("read the rsync daemon's log: %w", err)
	}
	used, err := l.tally.add(text)
	l.at += int64(used)
	return l.tally, err
}

// How bytes are counted.
const (
	// Sockets counts what each connection has carried, its greeting and all,
	// as the kernel tells; exact to 2 bytes a connection.
	Sockets = "sockets"
	// Log adds up what rsync logged of transfers that ended well.
	Log = "log"
)

// Counting is how Served counts bytes: Sockets or Log.
func (d *Daemon) Counting() string {
	if d.wire == nil {
		return Log
	}
	return Sockets
}

// Served is how many transfers clients have begun, be it that they still run or
// wait for something to send, and how many bytes the daemon has sent and received up
// to now; with Log, those of transfers that have ended, some milliseconds late. It is
// not for several goroutines at once.
func (d *Daemon) Served() (rsyncs int, wireBytes int64, err error) {
	for start := time.Now(); ; time.Sleep(pollEvery) {
		t, err := d.log.read()
		if err != nil {
			return 0, 0, err
		}
		if d.wire == nil {
			return t.begun, t.bytes, nil
		}
		c, err := d.wire.total()
		if err != nil {
			return 0, 0, err
		}
		// A connection that the log knows, and that neither is open nor has
		// ended, has an end that is yet to be told.
		if c.connections >= t.connections || d.stopped {
			return t.begun, c.bytes, nil
		}
		if time.Since(start) > toldWithin {
			return 0, 0, fmt.Errorf("count the bytes of connections: the kernel tells of %d, the rsync daemon's log of %d", c.connections, t.connections)
		}
	}
}

// toldWithin is how long the kernel may take to tell of a connection's end.
const toldWithin = 5 * time.Second
