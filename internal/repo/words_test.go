package repo

import (
	"bytes"
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// traces are what no file may hold: paths of one machine, and words of how the
// work was done instead of what it is. They are in pieces, or this file would
// hold them.
var traces = []string{"/wo" + "rk/", "/fa" + "rm/", ".lib" + "rary", "sub" + "agent", "/tmp/bash" + "_jobs", "../sha" + "red"}

func TestNoTraces(t *testing.T) {
	for _, name := range files(t) {
		text := read(t, name)
		if !isText(text) {
			continue
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			for _, w := range traces {
				if bytes.Contains(bytes.ToLower(line), []byte(w)) {
					t.Errorf("%s:%d: %q", name, i+1, w)
				}
			}
		}
	}
}

// maySleep are the test files that may call time.Sleep where the rule does not
// allow it, with the reason.
var maySleep = map[string]string{}

// TestNoSleep: a sleep is no synchronisation. Two places are none: between two
// looks at a condition, as the last part of a for statement, and in files of
// synctest, whose bubbles have a clock of their own.
func TestNoSleep(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() || usesSynctest(s) {
			continue
		}
		for _, call := range sleeps(s.file) {
			used[s.name] = true
			if strings.TrimSpace(maySleep[s.name]) == "" {
				t.Errorf("%s:%d: time.Sleep in a test: poll a condition with a deadline, or wait for a channel", s.name, s.line(call))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(maySleep)) {
		if !used[name] {
			t.Errorf("%s does not sleep: take it off the list", name)
		}
	}
}

func usesSynctest(s source) bool {
	return slices.ContainsFunc(s.file.Imports, func(imp *ast.ImportSpec) bool { return imp.Path.Value == `"testing/synctest"` })
}

// sleeps are the calls of time.Sleep that are not the last part of a for
// statement.
func sleeps(f *ast.File) []*ast.CallExpr {
	var found []*ast.CallExpr
	polls := map[ast.Node]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt:
			if post, ok := n.Post.(*ast.ExprStmt); ok {
				polls[post.X] = true
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" && !polls[n] {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
					found = append(found, n)
				}
			}
		}
		return true
	})
	return found
}
