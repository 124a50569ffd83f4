package watchers

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
)

// markPrefix begins the names of the files that are made to see how far a
// watcher has come.
const markPrefix = "mark-"

// census reads what a watcher prints, and knows of what it has not told yet. Its
// methods may be called by any goroutine.
type census struct {
	root  string
	parse func(root string, line []byte) said

	mu      sync.Mutex
	missing map[string]struct{} // paths relative to root
	partial []byte              // a line that has not ended
	ready   bool
	mark    string // the last that was told
	lines   int    // that tell of something in the tree
	losses  int    // notices that events were lost
	rescans int
	last    string // line that says nothing of the tree
}

func newCensus(root string, parse func(string, []byte) said) *census {
	return &census{root: root, parse: parse, missing: map[string]struct{}{}}
}

// want adds paths, relative to root, that must be told. Call it before they are
// made.
func (c *census) want(paths ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range paths {
		c.missing[p] = struct{}{}
	}
}

// Write takes output of the watcher.
func (c *census) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			c.partial = append(c.partial, b...)
			return n, nil
		}
		line := b[:i]
		if len(c.partial) > 0 {
			c.partial = append(c.partial, line...)
			line = c.partial
		}
		c.line(line)
		c.partial, b = c.partial[:0], b[i+1:]
	}
}

// line takes one line. Where it says to look, it is looked at once: what is made
// later must be told by itself.
func (c *census) line(line []byte) {
	s := c.parse(c.root, line)
	switch s.kind {
	case ready:
		c.ready = true
		return
	case noise:
		return
	case lost:
		c.losses++
		return
	case other:
		c.last = string(line[:min(len(line), 200)])
		return
	case changed:
	case rescan:
		c.rescans++
		c.look(s.path, true)
	case inside, children:
		c.look(s.path, s.kind == inside)
	}
	c.lines++
	delete(c.missing, s.path)
	if strings.HasPrefix(s.path, markPrefix) {
		c.mark = s.path
	}
}

// look takes what is below path, or only in it, for told.
func (c *census) look(path string, deep bool) {
	top := filepath.Join(c.root, path)
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			// Gone again: there is nothing to tell of.
			return nil
		}
		if rel, ok := below(c.root, p); ok {
			delete(c.missing, rel)
		}
		if d.IsDir() && p != top && !deep {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.last = err.Error()
	}
}

// tally is a census at one moment.
type tally struct {
	ready                           bool
	mark, last                      string
	missing, lines, losses, rescans int
}

func (c *census) tally() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return tally{c.ready, c.mark, c.last, len(c.missing), c.lines, c.losses, c.rescans}
}
