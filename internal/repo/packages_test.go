package repo

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestPackageComments: each package says once what it is.
func TestPackageComments(t *testing.T) {
	docs := map[string][]string{}
	for _, s := range sources(t) {
		if s.isTest() {
			if s.file.Doc != nil {
				t.Errorf("%s: the package comment belongs to a file that is no test", s.name)
			}
			continue
		}
		if _, ok := docs[s.dir()]; !ok {
			docs[s.dir()] = nil
		}
		if s.file.Doc == nil {
			continue
		}
		docs[s.dir()] = append(docs[s.dir()], s.name)
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command "
		}
		if text := s.file.Doc.Text(); !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package comment begins %.20q, not %q", s.name, text, want)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(docs)) {
		if n := len(docs[dir]); n != 1 {
			t.Errorf("package %s has %d package comments %v, want 1", dir, n, docs[dir])
		}
	}
}

// TestEveryPackageIsTested also holds for the packages outside internal.
func TestEveryPackageIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, s := range sources(t) {
		tested[s.dir()] = tested[s.dir()] || s.isTest() && hasTest(s)
	}
	for _, dir := range slices.Sorted(maps.Keys(tested)) {
		if !tested[dir] {
			t.Errorf("package %s has no test", dir)
		}
	}
}

func hasTest(s source) bool {
	return slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" || strings.HasPrefix(f.Name.Name, "Fuzz"))
	})
}

// folders are those of the design.
var folders = []string{".ci", ".github", "bench", "cmd", "coalesce", "docs", "internal", "scheduler", "scripts", "transport", "watcher"}

func TestFolders(t *testing.T) {
	for _, name := range files(t) {
		if dir, _, ok := strings.Cut(name, "/"); ok && !slices.Contains(folders, dir) {
			t.Errorf("%s lies in a top-level folder that the design does not have", name)
		}
	}
}
