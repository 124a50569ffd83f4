package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ideal is the least that rsync can do: it is told just what changed, after the
// changes have ended.
type ideal struct{}

func (ideal) Name() string { return "ideal" }

func (ideal) Live() bool { return false }

func (ideal) Version(ctx context.Context) (string, error) {
	v, err := rsyncVersion(ctx)
	return "rsync " + v, err
}

// Start needs rsync 3.1.3 or newer for the comparison to the nanosecond, without
// which a rewrite of the same size in the same second would be left out.
func (ideal) Start(_ context.Context, job Job) (Process, error) {
	o, err := newOneShot(job, []string{
		"-a", "-r", "--files-from=-", "--from0", "--delete", "--delete-missing-args", "--force", "--modify-window=-1", job.Src + "/",
	})
	if err != nil {
		return nil, err
	}
	o.list = func(changed []string) ([]byte, error) { return list(job.Src, changed) }
	return o, nil
}

// list makes rsync's list of what changed below src: NUL-terminated, each path
// with "./" before it, or rsync would take "#" and ";" for comments. What is gone
// is named by its topmost ancestor that is gone, and nothing is named below another
// name, for a directory is sent whole: rsync stumbles over both.
func list(src string, changed []string) ([]byte, error) {
	l := lister{src: src, kinds: map[string]kind{".": directory}}
	named := map[string]bool{}
	for _, p := range changed {
		top, err := l.top(path.Clean(p))
		if err != nil {
			return nil, err
		}
		named[top] = true
	}
	var out bytes.Buffer
	written := map[string]bool{}
	for _, p := range changed {
		top, err := l.top(path.Clean(p))
		if err != nil {
			return nil, err
		}
		if written[top] || under(top, named) {
			continue
		}
		written[top] = true
		if top != "." {
			out.WriteString("./" + top)
		} else {
			out.WriteString("./")
		}
		out.WriteByte(0)
	}
	return out.Bytes(), nil
}

// under reports whether an ancestor of p is named.
func under(p string, named map[string]bool) bool {
	for p != "." {
		if p = path.Dir(p); named[p] {
			return true
		}
	}
	return false
}

// kind is what is at a path.
type kind int

const (
	nothing kind = iota
	directory
	other
)

// lister remembers what it has looked at.
type lister struct {
	src   string
	kinds map[string]kind // of directories' paths and what else had to be one
}

// top is the highest of p and its ancestors that is no directory any more, which
// rsync then removes or replaces with all that was below it; p itself if all are
// directories.
func (l lister) top(p string) (string, error) {
	if p == ".." || strings.HasPrefix(p, "../") || strings.HasPrefix(p, "/") {
		return "", fmt.Errorf("the changed path %q is not below the source", p)
	}
	for i := 0; i < len(p); i++ {
		if p[i] != '/' {
			continue
		}
		k, err := l.kind(p[:i])
		if err != nil {
			return "", err
		}
		if k != directory {
			return p[:i], nil
		}
	}
	return p, nil
}

func (l lister) kind(p string) (kind, error) {
	if k, ok := l.kinds[p]; ok {
		return k, nil
	}
	st, err := os.Lstat(l.src + "/" + p)
	k := other
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		k = nothing
	case err != nil:
		return nothing, fmt.Errorf("look at what changed: %w", err)
	case st.IsDir():
		k = directory
	}
	l.kinds[p] = k
	return k, nil
}
