package coalesce

import "math"

// gone reports whether the last news of e's name is that it went away.
func gone(e Entry) bool { return e.Any(Gone | Ghost) }

// named reports whether e is news of the name itself.
func named(e Entry) bool { return e.Any(Name | Gone | Ghost) }

// merge joins two entries of one path; x is the older knowledge, e the newer.
//
//   - Since is the smaller, Last the larger, Seq the smaller that is not zero,
//     Deletes the sum; in these the order does not matter.
//   - Flags are united, but for the four that say how things stand now.
//   - Gone and Dir follow the newest news of the name. News that is not of the
//     name (a late write to an unlinked file) leaves Gone as it was.
//   - Born follows x: x said whether a remote can have the path, and no later
//     event changes what a remote has. But a rename that brings something to
//     the path ends it: when two names are exchanged the removal of the name is
//     told after its arrival, and what is there would look like a ghost.
//   - Ghost is Born and Gone together; created again it is Born only.
//   - A name that went away, or was a file's, and came back as a directory is
//     Subtree and Moved: a remote's old children must go, and the history of
//     what is there now is unknown, so sizes and times prove nothing.
//   - Two wide looks at one path are Jumbled: only the first may tell of what
//     From held.
//   - From is that of the newest arrival; a mere removal and news that is not
//     of the name keep the old one.
func merge(x, e Entry) Entry {
	const state = Born | Ghost | Gone | Dir
	r := account(x, e)
	r.Flags = (x.Flags | e.Flags) &^ state
	last := x
	if named(e) {
		last = e
		r.Flags |= e.Flags & Dir
	} else {
		r.Flags |= (x.Flags | e.Flags) & Dir
	}
	if gone(last) {
		r.Flags |= Gone
	}
	if x.Any(Born|Ghost) && !(named(e) && e.Has(Moved)) {
		r.Flags |= Born
		if gone(last) {
			r.Flags |= Ghost
		}
	}
	if named(e) && !gone(e) && e.Has(Dir) && (gone(x) || named(x) && !x.Has(Dir)) {
		r.Flags |= Subtree | Moved
	}
	if x.Any(Subtree|Children) && e.Any(Subtree|Children) {
		r.Flags |= Jumbled
	}
	if e.From != "" || named(e) && (!gone(e) || e.Any(Content|Subtree)) {
		r.From = e.From
	}
	return r
}

// unborn is e without the claim that no remote has the path.
func unborn(e Entry) Entry {
	if e.Has(Ghost) {
		e.Flags |= Gone
	}
	e.Flags &^= Born | Ghost
	return e
}

// fold lets a stand for b, which lies below it. a keeps its own flags, and
// learns of b what the look at the whole needs: what may be deleted, that size
// and mtime cannot be trusted, and that files in it were changed: such a file
// may have another name elsewhere; and that it is Jumbled, if more came there, or
// is unknown, than one file.
func fold(a, b Entry) Entry {
	r := account(a, b)
	r.Flags = a.Flags | b.Flags&(Uncounted|Moved|Racy|Content|Attr|Wrote|Jumbled)
	if b.Any(Moved | Subtree | Children) {
		r.Flags |= Jumbled
	}
	return r
}

// account is a with the times, the sequence and the count of both.
func account(a, b Entry) Entry {
	r := a
	r.Since = min(a.Since, b.Since)
	r.Last = max(a.Last, b.Last)
	if a.Seq == 0 || b.Seq != 0 && b.Seq < a.Seq {
		r.Seq = b.Seq
	}
	if r.Deletes += b.Deletes; r.Deletes < a.Deletes {
		r.Deletes = math.MaxUint32
	}
	return r
}
