package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// side is one of the two trees and what was built of it.
type side struct {
	name string // "base" or "head"
	dir  string // top directory
	out  string // where the binaries are
	// tests are the test binaries by package directory, program the path of
	// fansync or "".
	tests   map[string]string
	program string
}

// benchFunc is the head of a benchmark's declaration.
var benchFunc = regexp.MustCompile(`(?m)^func (Benchmark\w*)\(`)

// benchmarksIn are the names of the benchmark functions in the tree at top, by
// package directory, relative with slashes, "." for the top.
func benchmarksIn(top string) (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != top && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, filepath.Dir(p))
		if err != nil {
			return err
		}
		for _, m := range benchFunc.FindAllSubmatch(text, -1) {
			found[filepath.ToSlash(rel)] = append(found[filepath.ToSlash(rel)], string(m[1]))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for benchmarks: %w", err)
	}
	return found, nil
}

// moduleOf splits a package directory into that of its module and the rest.
func (s *side) moduleOf(pkg string) (module, rest string) {
	for module = pkg; module != "."; module = path.Dir(module) {
		if _, err := os.Stat(filepath.Join(s.dir, module, "go.mod")); err == nil {
			break
		}
	}
	rest, err := filepath.Rel(module, pkg)
	if err != nil { // never: module is a prefix of pkg
		return ".", pkg
	}
	return module, filepath.ToSlash(rest)
}

// build runs go in the module of pkg, to make one binary. Paths are trimmed, so
// that the same sources give the same bytes wherever they lie.
func (s *side) build(ctx context.Context, pkg string, verb ...string) (string, error) {
	module, rest := s.moduleOf(pkg)
	out := filepath.Join(s.out, strings.ReplaceAll(pkg, "/", "-")+".bin")
	args := append(slices.Clone(verb), "-trimpath", "-buildvcs=false", "-o", out, "./"+rest)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(s.dir, module)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: go %s %s: %w\n%s", s.name, verb[0], pkg, err, bytes.TrimSpace(text))
	}
	if _, err := os.Stat(out); errors.Is(err, fs.ErrNotExist) {
		return "", nil // no test files
	} else if err != nil {
		return "", err
	}
	return out, nil
}

// buildAll makes the binaries of the packages that are there, and the program
// if wanted. What cannot be built is not there, if bear is told of it and
// returns true.
func (s *side) buildAll(ctx context.Context, pkgs []string, program bool, bear func(error) bool) error {
	s.tests = map[string]string{}
	for _, pkg := range pkgs {
		if _, err := os.Stat(filepath.Join(s.dir, pkg)); err != nil {
			continue
		}
		bin, err := s.build(ctx, pkg, "test", "-c")
		if err != nil && !bear(err) {
			return err
		}
		if bin != "" {
			s.tests[pkg] = bin
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, programDir)); err != nil || !program {
		return nil
	}
	var err error
	if s.program, err = s.build(ctx, programDir, "build"); err != nil && !bear(err) {
		return err
	}
	return nil
}

// programDir is the program's package.
const programDir = "cmd/fansync"

// sameFile reports whether two files hold the same bytes.
func sameFile(a, b string) (bool, error) {
	x, err := sum(a)
	if err != nil {
		return false, err
	}
	y, err := sum(b)
	return x == y, err
}

func sum(name string) (digest [sha256.Size]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return digest, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return digest, fmt.Errorf("read %s: %w", name, err)
	}
	h.Sum(digest[:0])
	return digest, nil
}
