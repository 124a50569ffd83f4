package coalesce

import "github.com/fansync/fansync/watcher"

// signals are the kinds that are no news of a path.
const signals = watcher.Rescan | watcher.Barrier | watcher.Gone

// isChange reports whether k is news of a path. A kind that says nothing at
// all still says "look here".
func isChange(k watcher.Kind) bool { return k&signals == 0 || k&^(signals|watcher.Dir) != 0 }

// someFile reports whether ev says that a file was changed and does not know
// which.
func someFile(ev watcher.Event) bool {
	return ev.Has(watcher.Hidden) && (ev.Has(watcher.Dir) || ev.Path == "")
}

// bornKind reports whether k proves that the name did not exist before. Bits
// of one event have no order: with any other bit beside Created, a write may
// have come first and another process's removal, itself an event still to
// come, in between.
func bornKind(k watcher.Kind) bool {
	return k&^watcher.Dir == watcher.Created
}

// writing reports whether k leaves a file that may be open for writing.
func writing(k watcher.Kind) bool {
	const never = watcher.Closed | watcher.Removed | watcher.Dir | watcher.Subtree | watcher.Children
	if k&never != 0 {
		return false
	}
	return k&watcher.Modified != 0 || k&watcher.Created != 0 && k&watcher.Moved == 0
}

// endsWriting reports whether a file that was being written need be waited for
// no longer; only news of attributes leaves it as it was.
func endsWriting(k watcher.Kind) bool { return k&^(watcher.Attrib|signals) != 0 }

// newEntry is what one event says of its path:
//
//   - Modified and Closed are Content and Wrote, Attrib is Attr, Created is
//     Name, and for anything but a directory Content.
//   - Removed is Name and Gone and counts one deletion; a directory that was
//     moved away took an unknown number of files with it (Uncounted), one that
//     was removed was empty.
//   - Created and Removed together have no order: the name may be Gone, and a
//     directory is Subtree and Moved.
//   - What was moved here is Moved; a directory Subtree too, whether the event
//     says so or not.
//   - Hidden, which is of a file, is Content, Attr, Wrote and Racy.
func newEntry(ev watcher.Event, t int64) Entry {
	e := Entry{Path: ev.Path, Since: t, Last: t}
	dir, moved := ev.Has(watcher.Dir), ev.Has(watcher.Moved)
	created, removed := ev.Has(watcher.Created), ev.Has(watcher.Removed)
	set := func(on bool, f Flags) {
		if on {
			e.Flags |= f
		}
	}
	set(ev.Kind&(watcher.Modified|watcher.Closed) != 0, Content|Wrote)
	set(ev.Has(watcher.Attrib), Attr)
	set(ev.Has(watcher.Hidden), Content|Attr|Wrote|Racy)
	set(created || removed, Name)
	set(created && !dir, Content)
	set(removed, Gone)
	set(removed && moved && dir, Uncounted)
	set(ev.Has(watcher.Subtree), Subtree)
	set(ev.Has(watcher.Children), Children)
	set(created && dir && (moved || removed), Subtree|Moved)
	set(moved && (created || ev.Has(watcher.Subtree)), Moved)
	set(e.Flags == 0, Attr)
	set(dir, Dir)
	if removed {
		e.Deletes = 1 + ev.Below
	}
	if created {
		e.From = ev.From
	}
	return e
}
