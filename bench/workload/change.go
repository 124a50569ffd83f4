package workload

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// changer changes the tree at src. Paths are relative to it. One for Run notes
// every path before it touches it, so that what it noted is complete also after
// an error. It is for one goroutine.
type changer struct {
	src   string
	rng   *rand.Rand
	noted map[string]bool // nil in Prepare, whose changes nobody asks for
	buf   []byte
}

func newPreparer(src string, size Size, workload string) *changer {
	return &changer{src: src, rng: size.random(workload + " prepare")}
}

func newChanger(src string, size Size, workload string) *changer {
	return &changer{src: src, rng: size.random(workload + " run"), noted: map[string]bool{}}
}

func (c *changer) note(rel string) {
	if c.noted != nil {
		c.noted[rel] = true
	}
}

func (c *changer) path(rel string) string { return c.src + "/" + rel }

// random is n bytes that no compression shortens, valid until the next call.
func (c *changer) random(n int) []byte {
	c.buf = fill(c.buf, c.rng, n)
	return c.buf
}

// fill makes buf n random bytes long, in new memory if it is too small.
func fill(buf []byte, rng *rand.Rand, n int) []byte {
	padded := (n + 7) &^ 7
	buf = slices.Grow(buf[:0], padded)[:padded]
	for i := 0; i < padded; i += 8 {
		binary.LittleEndian.PutUint64(buf[i:], rng.Uint64())
	}
	return buf[:n]
}

// create makes a new file, rewrite empties an old one first, overwrite leaves
// its blocks in place, extend writes behind its end: each with n random bytes,
// in one write between open and close.
func (c *changer) create(rel string, n int) error { return c.put(rel, os.O_CREATE|os.O_EXCL, n) }

func (c *changer) rewrite(rel string, n int) error { return c.put(rel, os.O_TRUNC, n) }

func (c *changer) overwrite(rel string, n int) error { return c.put(rel, 0, n) }

func (c *changer) extend(rel string, n int) error { return c.put(rel, os.O_APPEND, n) }

func (c *changer) put(rel string, flag, n int) error {
	c.note(rel)
	return put(c.path(rel), flag, c.random(n))
}

func put(path string, flag int, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flag, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (c *changer) mkdir(rel string) error {
	c.note(rel)
	return os.Mkdir(c.path(rel), 0o755)
}

func (c *changer) rename(from, to string) error {
	c.note(from)
	c.note(to)
	return os.Rename(c.path(from), c.path(to))
}

func (c *changer) unlink(rel string) error {
	c.note(rel)
	return os.Remove(c.path(rel))
}

func (c *changer) removeAll(rel string) error {
	c.note(rel)
	return os.RemoveAll(c.path(rel))
}

// changes are what was noted, without the paths that lie below others.
func (c *changer) changes() Changes {
	var paths []string
	for p := range c.noted {
		if !c.below(p) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return Changes{Paths: paths}
}

// below reports whether a directory above p was noted.
func (c *changer) below(p string) bool {
	for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
		if c.noted[p[:i]] {
			return true
		}
	}
	return false
}
