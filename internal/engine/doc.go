// Package engine wires the stages together. It is the only place that knows
// more than one of them.
//
// For every root, in the order of the flow:
//
//		kernel → watcher.Watcher → coalesce.Run → links.Index → scheduler.Scheduler → transport.Rsync
//
//	 1. Root.find waits until the root exists and takes its identity (guard).
//	 2. A session watches it: the watcher's batches of events become Changes, to
//	    which links adds the other names of hard-linked files, and what it finds
//	    to be changed under names that are gone. When everything is watched the
//	    scheduler may send, and owes every remote a full run; so what changes
//	    meanwhile is never missed.
//	 3. Each second the root's identity is checked. A root that is missing,
//	    replaced or emptied suspends all sends with that reason; when it is back
//	    a new session begins, and every remote is compared whole.
//
// Beside the flow, plugins hear of what a remote has acknowledged, the failure log
// tells what failed twice, and full_every makes everything due to be compared.
// None of them is waited for.
//
// Ownership: Run owns one goroutine per root, which owns its scheduler and its
// sessions, and one each for the plugins and the failure log; a session owns watcher, coalescer, links and guard check. Each
// stage closes its output after its last send; cancellation enters at the
// watcher only, and when Run returns every goroutine and every rsync has ended.
package engine
