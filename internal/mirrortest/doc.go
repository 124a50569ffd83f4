// Package mirrortest is what the tests of other packages stand on: real rsync
// daemons and a real sshd on the loopback, real filesystems in loop devices
// and RAM, snapshots of trees with a strict comparison, and seeded random
// histories of filesystem operations.
//
// In flow a testing.TB and a configuration; out flow addresses, directories
// and differences. Everything that is started or mounted is registered with
// TB.Cleanup and is gone when the test ends, failed or not. What the machine
// cannot offer (no root, no rsync, no loop device) skips the test with the
// reason.
//
// Goroutines: each child process has one, which starts it, waits for it and
// ends with it. Nothing else runs in the background; a History works in the
// goroutine that calls Step.
//
// Invariants: only own processes are signalled, found by pid and descent,
// never by name. Only 127.0.0.1 is listened on. Names are bytes. The
// operations of a History depend on its seed and options alone, never on the
// clock or on what the filesystem answered, so that a seed replays.
package mirrortest
