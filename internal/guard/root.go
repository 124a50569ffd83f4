package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Root is a directory whose identity was taken.
type Root struct {
	path string
	id   Identity
	// filled: the directory was seen with entries, so it must not be empty.
	filled atomic.Bool
}

// Open takes the identity of the directory at the absolute path; a symbolic
// link there is followed. The error is a *RootError.
func Open(path string) (*Root, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("open root: path %q is relative", path)
	}
	dir, err := open(path)
	if err != nil {
		return nil, faultOf(path, err)
	}
	defer dir.Close()
	r := &Root{path: path}
	if r.id, err = identify(dir); err != nil {
		return nil, faultOf(path, err)
	}
	filled, err := hasEntries(dir)
	if err != nil {
		return nil, faultOf(path, err)
	}
	r.filled.Store(filled)
	return r, nil
}

// Check looks at the path anew. The error is a *RootError.
func (r *Root) Check() error {
	dir, err := r.OpenDir(true)
	if err != nil {
		return err
	}
	dir.Close()
	return nil
}

// OpenDir opens the root for reading and makes sure that it is the directory
// it was. With needEntries it also has to hold entries if it ever did. The
// caller uses the descriptor as its working directory, so that check and use
// are about the same directory, and closes it. The error is a *RootError.
func (r *Root) OpenDir(needEntries bool) (*os.File, error) {
	dir, err := open(r.path)
	if err != nil {
		return nil, faultOf(r.path, err)
	}
	if err := r.verify(dir, needEntries); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func (r *Root) verify(dir *os.File, needEntries bool) error {
	id, err := identify(dir)
	if err != nil {
		return faultOf(r.path, err)
	}
	if id != r.id {
		return &RootError{Fault: Replaced, Path: r.path, Was: r.id, Is: id}
	}
	if !needEntries {
		return nil
	}
	filled, err := hasEntries(dir)
	switch {
	case err != nil:
		return faultOf(r.path, err)
	case filled:
		r.filled.Store(true)
	case r.filled.Load():
		return &RootError{Fault: Emptied, Path: r.path}
	}
	if _, err := dir.Seek(0, 0); err != nil {
		return faultOf(r.path, err)
	}
	return nil
}

// AcceptEmpty says that an operator wants the root empty: Check passes until
// entries have been seen in it again.
func (r *Root) AcceptEmpty() { r.filled.Store(false) }

func open(path string) (*os.File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
