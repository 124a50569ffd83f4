// Package workload makes the changes that the suite measures engines with:
// seeded, so that every engine gets the same, and scaled, so that a laptop and
// a server both can run them.
//
// A Size flows in. Prepare leaves a tree, which the suite copies to the mirrors;
// Run changes it, and out flow the Changes, exact also when it was ended early.
//
// Contents, names, kinds and modes depend on the Size alone; modification times
// are those of the clock unless a workload sets them. Loads that last write at
// a fixed rate and never wait for an engine: a late write keeps its due time
// and is made at once. No workload calls fsync, so that none measures the disk.
//
// What Prepare starts has ended when it returns; Run starts no goroutine.
package workload
