package coalesce

import "strings"

// Flags say how a dirty path is to be looked at. They only ever widen what is
// sent, except Born and Ghost, which allow the scheduler to skip work.
type Flags uint16

const (
	// Content: the file's data may have changed.
	Content Flags = 1 << iota
	// Attr: metadata may have changed.
	Attr
	// Name: the name came or went (created, removed, moved).
	Name
	// Dir: the path was a directory when last heard of.
	Dir
	// Subtree: everything below the path is to be compared too, deletions
	// included. A Subtree entry swallows all entries below it.
	Subtree
	// Children: the path's direct entries are to be compared, deletions
	// included (the one-level form).
	Children
	// Moved: the path arrived by a rename, so its size and mtime say nothing
	// about its content; or its subtree did.
	Moved
	// Born: the path came into being while this entry was in the set, so no
	// remote can have it unless a batch covered it meanwhile.
	Born
	// Ghost: Born and gone again: only a batch that covered it meanwhile can
	// have taken it to a remote. Meanwhile begins before Since, by as much as
	// the reader lags behind the kernel. Like every hint it may be out of
	// date: the kernel merges a second creation into the record of the first,
	// so look whether the path is there before letting the entry vanish.
	Ghost
	// Uncounted: a directory left with an unknown number of files in it.
	Uncounted
	// Racy: size and mtime cannot be trusted: the path changed while it was
	// being sent, or under another name. What is Born is not made so by the
	// latter: nothing is there to compare with, unless a batch covered it.
	Racy
	// Exact: the path failed or must be listed by itself: never collapse it
	// into its directory's one-level form.
	Exact
	// Gone: the last news of the name was that it went away, or may have. If
	// a directory is there all the same when the path is looked at, nothing is
	// known of what it holds: treat it as Subtree and Moved. The same goes for
	// a directory under an entry that has Name but not Dir.
	Gone
	// Wrote: the data or its time is known to have been written, under this
	// name or under names that this entry stands for. Content also stands for
	// names that came with what they hold.
	Wrote
	// Jumbled: below the path things arrived by renames, or news of it was lost
	// or came twice. What a remote has under From may differ from what is here
	// without a difference in size or mtime.
	Jumbled
)

// Entry is one dirty path. It is a value; its strings are immutable.
type Entry struct {
	// Path is relative to the root; "" is the root itself.
	Path string
	// From is the rename's old path as a remote may know it, or "". It is a
	// hint: without it the content is sent whole. A Gone entry keeps it, for
	// the renames that lead on from there.
	From  string
	Flags Flags
	// Deletes counts the removals of files and directories folded into this entry.
	Deletes uint32
	// Since is the time of the oldest unsent event, Last of the newest, both
	// as watcher.Now gives them.
	Since, Last int64
	// Seq orders entries against barriers; the scheduler sets it. A merge
	// keeps the smaller one that is not zero.
	Seq uint64
}

// Has reports whether all bits of f stand.
func (e Entry) Has(f Flags) bool { return e.Flags&f == f }

// Any reports whether any bit of f stands.
func (e Entry) Any(f Flags) bool { return e.Flags&f != 0 }

var flagNames = []string{"content", "attr", "name", "dir", "subtree", "children", "moved", "born", "ghost", "uncounted", "racy", "exact", "gone", "wrote", "jumbled"}

// String lists the bits, joined by "|", in the order of their declaration.
func (f Flags) String() string {
	var s []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, "|")
}

// Under reports whether path lies strictly below dir; everything but "" lies
// below "".
func Under(path, dir string) bool {
	if dir == "" {
		return path != ""
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// Parent is the directory that holds path; the parent of a top-level name is
// "", and so is the parent of "".
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}

// Change is what the coalescer hands on in one piece.
type Change struct {
	// Entries are sorted by path and free of overlaps: nothing stands below a
	// Subtree entry.
	Entries []Entry
	// Rescans are the parts whose events were lost, and why.
	Rescans []Rescan
	// Barriers are the requests that everything up to this Change answers.
	Barriers []uint64
	// Gone says that the root went away.
	Gone bool
	// Hidden says that some file of the tree, not known which, was changed
	// under a name that is gone: it is the time of the earliest hint of that in
	// this Change, as watcher.Now gives it, and 0 if there was none.
	Hidden int64
}

// Rescan asks for everything at and below Path to be compared again.
type Rescan struct {
	Path   string
	Reason string
}
