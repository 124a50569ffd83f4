// Package transport carries batches to one remote with stock rsync.
//
// In flow scheduler.Batch values, out flow scheduler.Result values; nothing
// else leaves the package, and no file is opened here but the source root (to
// look names up in it), for a moment the password file, and one of our own for
// rules that are too many for arguments.
//
// A Send is one rsync: its working directory is the very directory that
// OpenRoot opened and verified, and its source argument is ".", which rsync
// never resolves again by name. So a root that is replaced, or mounted over,
// after the check cannot be taken for the real one. For the same reason a full
// run is the recursive form of the root in the list, not a source directory
// on the command line, which rsync opens by its absolute name.
//
// The list goes to rsync's standard input, NUL-separated, every name after
// "./". A name is listed only while its parents are real directories below
// the root: rsync follows a symlink among the parents, at the source and at
// the remote, and would then send, or delete, what lies outside.
//
// A plain flat batch may go by a standby (standby.go), which Keep has started
// before: it has connected and logged in, and waits for its list. Its working
// directory is not the root but /proc/PID/fd, and every line of its list begins
// with the number of the root's descriptor, so it too sends what was verified
// for this batch. Whatever a standby fails of, the batch has a run of its own at
// once, with what MaxDelete still allows; so a standby's failure is never a
// batch's.
//
// Large files are received so that a cut run can go on (pieces.go). What it
// leaves at the remote is deleted when no large file waits any more: the one
// thing that the package remembers from run to run.
//
// What is deleted beyond the list is a choice (deletes.go), and rules of a run's
// own keep back what the filters cannot say in patterns (veto.go), or delete what
// the remote does not take by name (rules.go).
//
// Send owns six goroutines (the feeder of the list, a reader for each of the
// two outputs, the killer, the watchdog and the one that hurries the connection)
// and they are gone when it returns; so is rsync
// with its whole process group. The outputs are always read, with bounded
// memory. There is no shell anywhere, no secret in an argument, and nothing
// of the environment but what rsync and ssh need.
package transport
