package guard

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Fault says what is wrong with a root.
type Fault uint8

const (
	// Missing: nothing is at the path.
	Missing Fault = iota + 1
	// NotDirectory: something else than a directory is at the path.
	NotDirectory
	// Replaced: another directory is at the path, or another filesystem.
	Replaced
	// Emptied: the directory held entries and now holds none.
	Emptied
	// Unreadable: the directory could not be looked at.
	Unreadable
)

var faultNames = [...]string{"", "missing", "not a directory", "replaced", "emptied", "unreadable"}

// String is the fault as it stands in status and metrics.
func (f Fault) String() string { return faultNames[f] }

// RootError says that a root cannot be trusted, and why. Nothing may be
// deleted at its remotes until it is gone.
type RootError struct {
	Fault Fault
	Path  string
	// Was and Is are the identities behind Replaced.
	Was, Is Identity
	// Err is the system's answer behind Missing, NotDirectory and Unreadable.
	Err error
}

// Error is one line that says what to do.
func (e *RootError) Error() string {
	switch e.Fault {
	case Missing:
		return fmt.Sprintf("root %q is missing; mount it or put it back, nothing is sent until then", e.Path)
	case NotDirectory:
		return fmt.Sprintf("root %q is not a directory; put the directory back, nothing is sent until then", e.Path)
	case Replaced:
		if e.Was.Dev == e.Is.Dev && e.Was.FSID == e.Is.FSID {
			return fmt.Sprintf("root %q is another directory than before (inode %d, was %d); put the old one back, or restart to mirror the new one", e.Path, e.Is.Ino, e.Was.Ino)
		}
		return fmt.Sprintf("root %q is on another filesystem than before (device %s, was %s); mount the old one, or restart to mirror the new one", e.Path, e.Is.device(), e.Was.device())
	case Emptied:
		return fmt.Sprintf("root %q is empty and was not before; mount or restore what belongs there, or confirm that it is to be empty", e.Path)
	}
	return fmt.Sprintf("root %q cannot be read (%v); make it readable, nothing is sent until then", e.Path, e.Err)
}

// Unwrap gives Err.
func (e *RootError) Unwrap() error { return e.Err }

// faultOf is what an error of opening or reading the root stands for.
func faultOf(path string, err error) *RootError {
	f := Unreadable
	switch {
	case errors.Is(err, unix.ENOENT):
		f = Missing
	case errors.Is(err, unix.ENOTDIR):
		f = NotDirectory
	}
	return &RootError{Fault: f, Path: path, Err: err}
}
