// Package guard keeps a mirror from being deleted by mistake.
//
// Root remembers which directory the root was when the program met it. In
// flows its path; out flows, before every run that deletes and every scan,
// either a descriptor of that very directory or an error that says what has
// become of it. A filesystem that was unmounted, a disk that was swapped, a
// directory that was emptied or put in another's place would all look like
// "everything was deleted".
//
// Limits judge a number of deletions against the size of the tree.
//
// Invariants:
//   - Between calls no descriptor is held, so the root's filesystem can be
//     unmounted at any time.
//   - What OpenDir returns has been checked after it was opened; nothing that
//     happens to the path later changes what it stands for.
//   - In doubt the answer is no.
//
// The package owns no goroutine. A Root is safe for concurrent use.
package guard
