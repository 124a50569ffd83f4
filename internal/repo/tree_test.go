package repo

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/fansync/fansync"

// source is one Go file. Its name is relative to the root, with slashes.
type source struct {
	name string
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s source) dir() string  { return path.Dir(s.name) }
func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// line is where a node stands.
func (s source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// root is the directory of go.mod.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// files are all files of the tree, but those of git, of editors (hidden
// folders) and of tests.
func files(tb testing.TB) []string {
	tb.Helper()
	base := root(tb)
	var names []string
	err := filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == base {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || strings.HasPrefix(name, ".") && name != ".ci" && name != ".github") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(base, p)
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(root(tb), filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

var parsed struct {
	once    sync.Once
	sources []source
	err     error
}

// sources are all Go files, parsed.
func sources(tb testing.TB) []source {
	tb.Helper()
	parsed.once.Do(func() {
		fset := token.NewFileSet()
		for _, name := range files(tb) {
			if !strings.HasSuffix(name, ".go") {
				continue
			}
			text := read(tb, name)
			f, err := parser.ParseFile(fset, name, text, parser.ParseComments)
			if err != nil {
				parsed.err = err
				return
			}
			parsed.sources = append(parsed.sources, source{name, text, f, fset})
		}
	})
	if parsed.err != nil {
		tb.Fatal(parsed.err)
	}
	return parsed.sources
}

// isText reports whether a file is for people.
func isText(b []byte) bool { return !bytes.ContainsRune(b[:min(len(b), 4096)], 0) }
