// Package session starts a program in a session of its own and ends it together
// with all that it started: what runs below it, what stayed in its session, and
// what made itself a daemon.
//
// The calling process becomes the reaper of orphans (PR_SET_CHILD_SUBREAPER) with
// the first Start, so that nothing can hide below init. Each program carries a
// mark in its environment; an orphan is known by it, or by having been seen below
// the program before. Programs die with the calling process.
//
// A Session owns two goroutines: one waits for the program, on a thread of its
// own, and one copies its output. Both have ended when Stop returns.
package session
