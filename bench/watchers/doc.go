// Package watchers compares programs that tell of changes below a directory:
// what each needs to begin, what an event costs it and those who write, and
// whether it tells of all.
//
// A Plan goes in; a line of results comes out for each Watcher, scenario and
// repetition, and WriteReport makes tables of them.
//
//	tree → watcher (a session) → its output → census ← what was made
//
// The watcher runs in a session of its own. What it prints goes to a file in
// memory that is read afterwards, so that reading takes no CPU time from what is
// measured, or to a pipe that is read as it comes, where a scenario is about
// that. Changes are made by Helper in processes of their own. All of it has
// ended, and the trees are gone, when Run returns.
package watchers
