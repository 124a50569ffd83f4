package scheduler

import (
	"context"
	"strings"
	"time"
)

// Form is the way a batch is sent; each is one run of rsync.
type Form uint8

const (
	// Flat: the listed paths by themselves, one-level directories, deletions.
	Flat Form = iota
	// Racy: as Flat, but size and mtime are not trusted (--ignore-times).
	Racy
	// Fuzzy: as Racy, of files whose old names still stand beside them at the
	// remote, under which their data is looked for (--fuzzy).
	Fuzzy
	// Deep: the listed directories with everything below, deletions included.
	Deep
	// DeepRacy: as Deep, but size and mtime are not trusted.
	DeepRacy
	// Move: as Deep, of a directory that the remote may have under its old name:
	// what is not there yet is taken from there (--link-dest), and what is there
	// is compared as in DeepRacy.
	Move
	// MoveRacy: as Move, but size and mtime under the old name are not trusted
	// either: what lies there is only what differences are told from.
	MoveRacy
	// Full: the whole root, deletions included; the list is empty.
	Full
)

var formNames = [...]string{"flat", "racy", "fuzzy", "deep", "deep-racy", "move", "move-racy", "full"}

// String is the form's name as it stands in logs and status.
func (f Form) String() string { return formNames[f] }

// Deep reports whether the form descends into directories.
func (f Form) Deep() bool { return f >= Deep }

// Racy reports whether the form does not trust size and mtime everywhere.
func (f Form) Racy() bool { return f != Flat && f != Deep && f != Full }

// Plain is the form that makes the remote equal without its older names.
func (f Form) Plain() Form {
	switch f {
	case Fuzzy:
		return Racy
	case Move, MoveRacy:
		return DeepRacy
	}
	return f
}

// Item is one line of a batch's list.
type Item struct {
	// Path is relative to the root; "" is the root itself, which only a
	// one-level Item may name.
	Path string
	// Children asks for the one-level form: the directory and its direct
	// entries, and the removal of direct entries the source does not have.
	Children bool
	// Missing says that the source no longer had the path when the batch was
	// built: it is to be deleted.
	Missing bool
}

// Batch is one run of rsync to one remote. It is not changed after it was
// handed to a Sender.
type Batch struct {
	ID   uint64
	Form Form
	// Items are sorted by path, without duplicates. With Deep forms every
	// item is a directory or file to be taken with all it holds.
	Items []Item
	// From and To are directories, of the Move forms: what Items name below To
	// is looked for under the same names below From. An Item may be To itself.
	From, To string
	// MaxDelete is the most files the run may delete; negative: no limit.
	// 0 makes it count what it would delete and delete nothing.
	MaxDelete int
	// Border and Shards divide a Full batch among several rsyncs: first the
	// direct entries of the Border, which are one-level items, then the Shards,
	// at the same time. Without Shards it is one rsync.
	Border []Item
	Shards []Shard
	// Entries is about how many entries a Full batch will find; 0: not known.
	Entries int64
	// Part says that the batch, of another form, is a part of a Full one.
	Part bool
	// Keep says that a run that is cut is to keep what the remote has received
	// of a file, so that the next run goes on from there.
	Keep bool
	// MaxSize is the size in bytes above which files are left out; 0: none are.
	MaxSize int64
	// Settled says that no other large file is known to wait for the remote.
	// What cut runs left there is of no use once this one has succeeded.
	Settled bool
}

// Class says what a Result means for the remote.
type Class uint8

const (
	// OK: everything listed is at the remote.
	OK Class = iota
	// Partial: everything but what Failed names is at the remote; if Failed is
	// empty the names are unknown.
	Partial
	// Transient: nothing may be assumed sent; trying again later can help.
	Transient
	// Permanent: an operator must act; trying again changes nothing until then.
	Permanent
	// DeleteLimit: MaxDelete stopped the run; Skipped says how many more
	// deletions there were. All else is at the remote.
	DeleteLimit
	// Canceled: the context ended the run.
	Canceled
)

var classNames = [...]string{"ok", "partial", "transient", "permanent", "delete-limit", "canceled"}

// String is the class's name as it stands in logs.
func (c Class) String() string { return classNames[c] }

// PathError is rsync's complaint about one path. What was not sent because of
// it has a PathError of its own, as far as the batch listed it.
type PathError struct {
	// Path is relative to the root, as it stood in the batch where it could be
	// matched, else as far as rsync named it.
	Path string
	// Message is rsync's own line, unescaped, without the newline.
	Message string
	// Vanished says the source lost the path during the run.
	Vanished bool
}

// Result is what came of a Batch.
type Result struct {
	Class Class
	// Code is rsync's exit status, -1 if it did not run.
	Code int
	// Message is one line that names the thing and says what to do; "" if OK.
	Message string
	Failed  []PathError
	// Skipped is how many deletions MaxDelete held back.
	Skipped int
	// DeletesSkipped says that rsync left deletions undone after an error.
	DeletesSkipped bool
	// Touched are directories in which the Sender did more than was asked for,
	// so that their times may be wrong.
	Touched []string
	Stats   Stats
}

// Stats are rsync's own totals of one run.
type Stats struct {
	// Files is the number of entries (all types) in the file list.
	Files int64
	// Others is how many of them are neither regular files nor directories.
	Others int64
	// Transferred is the number of regular files whose data was sent.
	Transferred int64
	// Created and Deleted are the numbers of entries made and deleted at the
	// remote.
	Created, Deleted int64
	// Bytes is the total size of the listed files; Wire is what was written
	// to the remote, and Literal what of that was file data, bytes.
	Bytes, Wire, Literal int64
}

// Progress is a moment of a running Full batch.
type Progress struct {
	// Bytes of file data done, Percent of all known, Rate in bytes/s.
	Bytes   int64
	Percent int
	Rate    int64
	// ETA is about how long it takes from now; 0: not known.
	ETA time.Duration
	// Rsyncs is how many share the run.
	Rsyncs int
	// Files transferred so far; Checked of Total known files looked at.
	Files, Checked, Total int64
}

// Sender carries batches to one remote. Send is safe for concurrent use,
// returns when the run has ended and all its output was read, and never
// leaves a process behind. progress may be nil; it is called from one
// goroutine at a time, and only for Full batches.
type Sender interface {
	Send(ctx context.Context, b Batch, progress func(Progress)) Result
}

// String is a short form of the item for logs and tests.
func (it Item) String() string {
	var b strings.Builder
	if it.Missing {
		b.WriteByte('-')
	}
	b.WriteString(it.Path)
	if it.Children {
		b.WriteByte('/')
	}
	return b.String()
}
