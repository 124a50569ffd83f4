// Package receive sets up the other side of a mirror: a safe rsync daemon for
// one directory.
//
// In flows a Config; out flows a running daemon and the line to run at the
// source. Prepare checks everything that can be checked and writes what the
// daemon reads (configuration, secrets, password) into a state directory that
// only the daemon's own user can enter. Run runs the daemon until its context
// ends.
//
// Goroutines: Run owns three: one reads the daemon's log, one waits until it
// answers, one ends it. They are gone when Run returns, and so is every
// process of the daemon.
//
// Invariants:
//
//   - Nothing in the daemon's configuration can mean anything but what it says:
//     what rsyncd.conf cannot hold is refused.
//   - No secret stands in an argument, a log line or a file others can read.
//   - One state directory serves one Receiver at a time, and one directory: a
//     source that was set up for a module never writes into another directory
//     than the one it was set up for.
package receive
