// Package watcher tells which paths below one directory tree, the root, have
// changed.
//
// In flow the kernel's change records: of a whole filesystem by fanotify, or
// of single directories by inotify. Out flow batches of Event on one bounded
// channel, in order. An Event says "look at this path again"; it is a hint,
// never a history, and nothing here reads file contents or decides what to do.
//
// Two goroutines do the work while Run runs:
//
//   - The reader owns the kernel queue. On a thread of its own it waits in
//     epoll, drains the queue, decodes in place and fills the ring. It never
//     allocates, resolves a name, takes a lock or waits for another goroutine.
//     Watchers of one filesystem may share it (Groups): the first to run
//     starts it, it fills the ring of each, and it ends with the last.
//   - The resolver is Run's caller. It owns everything else: it empties the
//     ring, knows the directories, drops what lies outside the root or is
//     ignored, and sends the Events. With inotify a few walkers that arm many
//     directories at once share the directory tree with it under one mutex.
//
// A mark does not cover what is mounted below the root. With fanotify each
// filesystem mounted there gets a branch: a Watcher of its own, inotify if it
// must be, run by goroutines of its own, whose Events the root's resolver
// passes on. With inotify directories are directories, wherever they lie.
//
// Invariants:
//
//   - Every change below the root made after Ready is reported: as an Event
//     for its path, or for a directory above it with Subtree or Rescan, or
//     for the directory that holds it with Children. Changes not reported are
//     those the kernel has no record of: stores through a memory mapping
//     before it is unmapped (on an overlay: after its descriptor is closed),
//     access times, inode flags (chattr), and writes through another name of a
//     hard-linked file: they are told for the name used, if it is below the
//     root and not ignored. With inotify a name that came and went in a
//     directory before that was watched is covered by the directory's Created.
//   - With fanotify, when a file loses a name that was told so, a name that it
//     has left is told as Hidden, or that there is one: the lost name leads
//     nobody to the file any more.
//   - What is lost is lost aloud: a full kernel queue, a full ring, a record
//     or handle that cannot be read, a watch limit, and a mount below the root
//     that comes, goes or cannot be watched (as proc) each end in a Rescan
//     with its Reason, sent after the losing has ended.
//   - A barrier is answered when the root and all branches have met it; one
//     that ends or cannot be watched owes nothing.
//   - A receiver that stalls holds up nobody: news of the same path is folded
//     together while it waits, up to a bound. Above that the resolver waits,
//     never the reader: the kernel queue stays short, other programs are not
//     slowed down, and Watchers that share the reader miss nothing.
//   - Bits of one Event have no order, and neither has one path's last Event
//     the last word: the kernel merges records. Only a look at the path tells.
//   - No descriptor into a watched filesystem is kept open while waiting, so
//     each can be unmounted at any time.
package watcher
