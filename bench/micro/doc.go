// Package micro compares the watcher of fansync, with either of its backends,
// with fsnotify: the CPU time that each takes to learn of real changes, as events
// and, for a writer in a process of its own, through the dirty set.
// BenchmarkForms compares the ways to tell rsync what has changed.
//
// The comparisons of single parts, such as the ring with a channel, are
// benchmarks in the packages of these parts, for the parts are not exported.
// There is no code here besides tests and benchmarks.
package micro
