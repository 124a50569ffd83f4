// Package links finds the other names of files with several hard links.
//
// A write through one name of such a file is told by the kernel for that name
// only, while the content of all its names changes; at the mirrors, where the
// names are files of their own, the others would stay as they were.
//
// In flow the entries of a Change; out flow the same entries and one more for
// each other name of a file that changed. The first time a changed file with
// several links is met, the whole tree is walked once for the names of all
// such files; until then the package costs one look at each changed path.
// From then on the names that come and go in the entries keep the index right,
// and every name is looked at again before it is told.
//
// The kernel does not tell of the first name of a file that gets a second one.
// The names of recently changed files are remembered for that; if a file still
// has more links than known names when it changes, the tree is walked again,
// at most once an Expand. Names that this walk does not find either, being
// excluded or outside the root, are not looked for again.
//
// Not seen is a write whose own name is gone by the next Expand if the name
// was not in the index: because it was made after the last Expand, or because
// no file with several links had changed before. Nor a write to a file whose
// mtime was then set back and whose directory was removed, all in one window.
//
// An Index has one owner and is not safe for concurrent use. The goroutines of
// a walk end before the call that started it returns. No descriptor is held
// between calls. No symbolic link below the root is followed.
package links
