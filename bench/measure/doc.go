// Package measure takes the suite's measures: the CPU time and memory of a tree
// of processes, whether a mirror is equal, when it last changed, and when a name
// became visible there. (What rsync daemons served, package remote tells.)
//
// A Group is a cgroup to start a program in, where the machine has one to give; a
// Tracker samples a program, alone or in its Group, from a goroutine of its own
// until Stop. Arrivals stamps what appears in one directory from a thread of its
// own until Stop. Everything else works in the call.
package measure
