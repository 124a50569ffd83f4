package watcher

import (
	"strings"
	"time"
)

// Kind tells what the kernel said of a path. Several bits may stand together,
// and bits of one event have no order (the kernel merges records), so a Kind
// is a hint where to look, never a history to replay.
type Kind uint16

const (
	// Created: the name appeared: created, linked, or moved here (then Moved
	// stands too).
	Created Kind = 1 << iota
	// Removed: the name went away: unlinked, or moved away (then Moved stands
	// too).
	Removed
	// Modified: the content, size or modification time changed, and the file
	// may still be open for writing.
	Modified
	// Closed: a writer closed the file.
	Closed
	// Attrib: mode, owner, times, links or extended attributes changed.
	Attrib
	// Moved: the Created or Removed of this event is half of a rename.
	Moved
	// Dir: the path is, or was, a directory.
	Dir
	// Subtree: everything below Path may have changed unseen, as in a
	// directory that was moved in.
	Subtree
	// Rescan: events were lost; everything at and below Path must be compared
	// again. Reason says why.
	Rescan
	// Barrier: not a change but the answer to a Barrier request: every change
	// made before the request has been delivered before this event.
	Barrier
	// Gone: the root itself was deleted, moved or unmounted. Nothing follows.
	Gone
	// Children: the directory's direct entries must be compared with what is
	// there now: something changed among them that has no name of its own, as
	// a file opened with O_TMPFILE that was given a name while being written.
	Children
	// Hidden: the file was, or may have been, changed under another name that
	// is gone: its size and times prove nothing. With Dir on the root: some
	// file of the tree, not known which, and Time is when the change was read,
	// or before.
	Hidden
)

// Reason says why a Rescan is needed. It is a counter's label: a closed list.
type Reason string

const (
	QueueOverflow Reason = "kernel queue overflow"
	RingFull      Reason = "event ring full"
	WatchLimit    Reason = "watch limit reached"
	ResolveFailed Reason = "directory handle not resolvable"
	NewMount      Reason = "mount changed below the root"
	Restarted     Reason = "watch restarted"
)

// Event says that Path should be looked at again. It is passed by value;
// its strings are immutable and own their bytes.
type Event struct {
	// Path is relative to the watched root, with no leading or trailing slash;
	// "" is the root itself. Any bytes but NUL, and no component is empty,
	// "." or "..".
	Path string
	// From is the old path of a rename whose both ends are inside the root and
	// not ignored; else "". It stands only with Created|Moved.
	From string
	Kind Kind
	// Below counts the removals below Path that were seen but cannot be told by
	// themselves, because their directory was gone before its path was looked
	// up. It stands only with Removed|Dir.
	Below uint32
	// Reason stands only with Rescan.
	Reason Reason
	// Barrier is the number of the request, only with Barrier.
	Barrier uint64
	// Time is when the event was read, as Now gives it.
	Time int64
}

// Has reports whether all bits of k stand.
func (e Event) Has(k Kind) bool { return e.Kind&k == k }

var kindNames = []string{"created", "removed", "modified", "closed", "attrib", "moved", "dir", "subtree", "rescan", "barrier", "gone", "children", "hidden"}

// String lists the bits, joined by "|", in the order of their declaration.
func (k Kind) String() string {
	var s []string
	for i, n := range kindNames {
		if k&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, "|")
}

var epoch = time.Now()

// Now is the monotonic clock of all events and windows, in nanoseconds since
// the program started.
func Now() int64 { return int64(time.Since(epoch)) }
