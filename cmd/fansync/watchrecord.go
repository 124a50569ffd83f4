package main

import (
	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// words are what happened to a path, as watch says it.
type words uint16

const (
	wordCreated words = 1 << iota
	wordMoved
	wordModified // --raw only
	wordClosed   // --raw only
	wordWritten
	wordAttrib
	wordRemoved
	wordHidden
	wordSubtree
	wordChildren
	wordRescan
	wordDir
)

// wordNames are part of the interface.
var wordNames = [...]string{"created", "moved", "modified", "closed", "written", "attrib", "removed", "hidden", "subtree", "children", "rescan", "dir"}

// recordType is the type of an object in JSON.
type recordType uint8

const (
	recordChange recordType = iota
	recordEvent
	recordRescan
	recordHidden
	recordGone
	recordWatching
	recordReady
)

// recordNames are part of the interface.
var recordNames = [...]string{"change", "event", "rescan", "hidden", "gone", "watching", "ready"}

// record is one thing to print. Its times are nanoseconds since 1970, 0 for
// none; its paths are relative to the tree.
type record struct {
	kind recordType
	// time is when it happened last, since when it did first.
	time, since int64
	path, from  string
	words       words
	// flags and deletes are those of a coalesce.Entry.
	flags   coalesce.Flags
	deletes uint32
	// reason stands with recordRescan, recordHidden and recordWatching.
	reason string
	// backend stands with recordWatching.
	backend string
	// after is how long it took, in nanoseconds, with recordReady.
	after int64
}

const hiddenReason = "some file was changed under a name that is gone"

// entryWords is what an entry says of its path. A name that came is moved if
// it came by a rename, and created if not, or if that is not sure: a directory
// that was removed and made anew is Moved too. A directory is not written to:
// that is said of files below it for which it stands.
func entryWords(e coalesce.Entry) (w words) {
	named := e.Has(coalesce.Name) && !e.Any(coalesce.Gone)
	moved := named && e.Has(coalesce.Moved) && (e.From != "" || !e.Has(coalesce.Dir) || e.Deletes == 0)
	set := func(on bool, word words) {
		if on {
			w |= word
		}
	}
	set(moved, wordMoved)
	set(named && !moved || e.Has(coalesce.Ghost), wordCreated)
	set(e.Has(coalesce.Wrote) && !e.Has(coalesce.Dir), wordWritten)
	set(e.Has(coalesce.Attr), wordAttrib)
	set(e.Has(coalesce.Gone), wordRemoved)
	set(e.Has(coalesce.Racy) && !e.Has(coalesce.Dir), wordHidden)
	set(e.Has(coalesce.Subtree), wordSubtree)
	set(e.Has(coalesce.Children), wordChildren)
	set(e.Has(coalesce.Dir), wordDir)
	return w
}

// eventWords is what an event says of its path.
func eventWords(k watcher.Kind) (w words) {
	for _, m := range [...]struct {
		kind watcher.Kind
		word words
	}{
		{watcher.Created, wordCreated}, {watcher.Removed, wordRemoved}, {watcher.Modified, wordModified},
		{watcher.Closed, wordClosed}, {watcher.Attrib, wordAttrib}, {watcher.Moved, wordMoved},
		{watcher.Dir, wordDir}, {watcher.Subtree, wordSubtree}, {watcher.Rescan, wordRescan},
		{watcher.Children, wordChildren}, {watcher.Hidden, wordHidden},
	} {
		if k&m.kind != 0 {
			w |= m.word
		}
	}
	return w
}

// entryRecord is the record of an entry. offset turns a time of watcher.Now
// into one since 1970.
func entryRecord(e coalesce.Entry, offset int64) record {
	r := record{
		kind: recordChange, time: offset + e.Last, since: offset + e.Since, path: e.Path,
		words: entryWords(e), flags: e.Flags, deletes: e.Deletes,
	}
	if r.words&wordMoved != 0 {
		r.from = e.From
	}
	return r
}

// settle makes a record that says "removed" agree with what is there: the
// kernel may tell a removal and a creation as one, and then nobody knows which
// was the last. dir is the directory that the record's path begins in.
func (r *record) settle(dir string) {
	var st unix.Stat_t
	if unix.Lstat(dir+"/"+r.path, &st) != nil {
		return
	}
	r.words = r.words&^(wordRemoved|wordDir) | wordCreated
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		r.words |= wordDir | wordSubtree
	}
}

// eventRecord is the record of an event that is neither Barrier nor Gone.
func eventRecord(ev watcher.Event, offset int64) record {
	r := record{
		kind: recordEvent, time: offset + ev.Time, path: ev.Path, from: ev.From,
		words: eventWords(ev.Kind), deletes: ev.Below, reason: string(ev.Reason),
	}
	if ev.Has(watcher.Rescan) {
		r.kind = recordRescan
	}
	return r
}
