// Package engine starts and stops the programs that the suite compares: fansync,
// sersync 2, lsyncd, the folk recipe of inotifywait and rsync, one perfectly
// informed rsync ("ideal"), and a plain rsync of the whole tree.
//
// Each is configured as somebody who wants a quick and right mirror would do it:
//
//   - fansync: its defaults, but for the guard against mass deletions, which the
//     others do not have.
//   - sersync2: its defaults as shipped, with the options -art for rsync. The
//     shipped -artuz would compress, which nobody else does on the loopback, and
//     would leave out a file that became older.
//   - lsyncd: a delay of 1 s instead of 15 s, one rsync at a time for each remote,
//     insist, so that it outlives a dead remote, and sending also before a writer
//     has closed its file.
//   - inotifywait: events are drained before each rsync -a --delete; one remote
//     after the other.
//   - ideal: rsync --files-from of what changed, all remotes at once, comparing
//     times to the nanosecond.
//   - rsync: rsync -a --delete, all remotes at once.
//
// Every program runs in a session of its own (package session) with all that it
// starts, and in the job's cgroup. Variables that would change what rsync does are
// kept from it. The context of Start is for the starting alone; the caller must
// Stop each Process.
package engine
