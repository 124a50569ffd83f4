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
// A file may be changed under a name that is gone by the next look and was not
// in the index: a link that was made, written through and removed in one go.
// fanotify tells of the file itself, or that there is one (Change.Hidden); with
// inotify the Index suspects it of what comes and goes, see judge. A suspicion
// leads to a search of the tree for files that were changed since, see
// search.run and Run.
//
// Not found is what is changed through a name that is excluded or outside the
// root. With inotify neither is what is written through a file kept open when
// the directory it was opened in is removed, or when another file has had its
// name for more than ten seconds.
//
// Index and Run are used by one goroutine; Stats may be called by any. A search
// in the background is Run's only goroutine that outlives a Change, and has
// ended when Run returns. No descriptor is held between calls. No symbolic link
// below the root is followed.
package links
