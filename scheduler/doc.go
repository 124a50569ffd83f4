// Package scheduler brings every remote up to date with the source, each at
// its own pace.
//
// In: coalesce.Change values, in order. Out: Batch values, one per run of
// rsync, through the Sender of each remote. Nothing flows between remotes.
//
// The flow, in the order of the files:
//
//  1. scheduler.go: Run numbers each Change and puts it into every remote's
//     inbox. It never waits for a remote.
//  2. remote.go: one goroutine per remote owns that remote's dirty set, its
//     flights and its state. It wakes for its inbox, for ended flights and for
//     its timer.
//     doubt.go notes on each entry what flights may have done with its path.
//  3. select.go: picks what may go now: no overlap with a flight, deletions
//     settled, failures due. pace.go lets a lone change go at once and batches
//     grow in a burst.
//  4. build.go: looks each picked path up in the source (source.go), asks the
//     kernel's times whether a flight can have met it (stamps.go) and makes one
//     Batch of one Form of them (bucket.go); moves.go takes what was renamed from
//     its old name, collapse.go and deepen.go shorten the list, guard.go asks
//     whether it may delete.
//     large.go gives large files flights of their own. survey.go finds those that
//     a wide run would take along, and shards.go divides full runs.
//  5. pool.go: runs the Batch on the shared pool of cores×2+2.
//  6. outcome.go: acknowledges, requeues, bisects, backs off or halts.
//
// Invariants:
//
//   - An entry leaves a remote only when a run that began after the entry's
//     last event has succeeded for it. An event that arrives during the run
//     makes a new entry, marked Racy.
//   - Flights of one remote never overlap: no shared path, no ancestor of one
//     in the other. Only the attributes of a directory may go while a large file
//     below it is in the air, and go again when that has landed.
//   - Beside large files there is always room for a flight of small changes.
//   - Removals are counted, by events or by a run that only counts, before they
//     are sent, and nothing that a list was shortened to anticipates one that
//     waits. What a run finds to delete beyond its list is bounded by MaxDelete.
//   - A remote keeps at most MaxDirty paths; beyond that it forgets them all
//     and owes itself a full run.
//   - Where the Senders delete by name only (Listed), removals are always listed.
//   - No remote waits for another: a send that lasts longer than a second no
//     longer counts against the pool.
package scheduler
