// Package filter decides which paths of a root are mirrored, by rsync's own
// exclude and include patterns.
//
// In flow the rules of a root ("- PATTERN", "+ PATTERN"); out flow yes or no
// for a path, and the same rules in the form rsync takes them. The watcher,
// the scan and rsync must agree on every path: what is excluded here is never
// sent, and what rsync excludes must never be counted as missing. So the
// matching follows rsync to the byte, oddities included, and the tests hold it
// against the real rsync.
//
// A path is tried against the rules in order; the first that matches decides,
// and a path that none matches is mirrored. What lies in an excluded directory
// is excluded, whatever a later or deeper rule says.
//
//   - A pattern that starts with "/" is tied to the root.
//   - A pattern without an inner "/" and without "**" is tried on the last
//     component; one with an inner "/" on as many trailing components as it
//     has itself; one with "**" on the path from any component on.
//   - A "/" at the end makes the pattern match directories only, "/***" makes
//     it match a directory and everything in it.
//   - "*" and "?" and classes as [a-z], [!a-z] and [[:digit:]] never match a
//     "/"; "**" does. A backslash makes the next character plain, but only in
//     a pattern that has one of "*", "?", "[".
//
// Character classes are those of the C locale: bytes above 127 are in no named
// class.
//
// Regular expressions exclude paths too, as sersync has them; what patterns can
// say of them becomes patterns, exactly (translate.go, pattern.go), so that
// rsync knows it. The rest is a question that is asked of each path.
//
// The package owns no goroutine. A Filter does not change after Parse and is
// safe for concurrent use.
package filter
