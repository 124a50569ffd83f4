// Package coalesce turns a stream of hints into a sorted set of dirty paths.
//
// In flow batches of watcher.Event, in the order in which the kernel told
// them; out flow Changes: entries sorted by path in which everything heard of
// a path is merged, what a subtree covers is folded into it, and a file still
// being written waits until its writer closes it or rests.
//
// Three types, each usable without the next:
//
//   - Set is the dirty set: a B-tree over paths with the merge rules. The
//     scheduler keeps one per remote.
//   - Coalescer adds windows and the waiting for writers. It has no clock and
//     no goroutine: every method takes the time.
//   - Run is the stage: it drives a Coalescer from a channel of events to a
//     channel of Changes.
//
// Run works in the goroutine that calls it and starts no other; neither Set
// nor Coalescer may be used by two goroutines at once. Run ends when its input
// is closed: it hands on what is left and closes its output, so nothing that
// was read is lost on the way out.
//
// Invariants:
//
//   - No hint is dropped. A path that may differ stands in the set itself, or
//     below a Subtree entry, or below a directory that went away; a change of a
//     file whose path nobody knows is told by the time of the Change's Hidden.
//   - Nothing stands below a Subtree entry.
//   - Flags widen what is looked at. Only Born and Ghost narrow it, so they
//     are given only where the order of events is certain: bits of one event
//     have no order, and whatever is in doubt is not Born.
package coalesce
