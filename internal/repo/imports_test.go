package repo

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// edges are the imports of our own packages that each package may have: one
// step back in the flow. "*" is every package but those of notAll.
var edges = map[string][]string{
	"watcher":             nil,
	"coalesce":            {"watcher", "internal/sorted"},
	"scheduler":           {"coalesce"},
	"transport":           {"scheduler", "internal/filter"},
	"internal/faillog":    nil,
	"internal/filter":     nil,
	"internal/guard":      nil,
	"internal/config":     {"internal/filter"},
	"internal/lsyncd":     {"internal/config", "transport"},
	"internal/plugin":     {"coalesce", "internal/config", "internal/filter"},
	"internal/sersync":    {"internal/config", "internal/filter", "transport"},
	"internal/sorted":     nil,
	"internal/links":      {"coalesce", "watcher", "internal/sorted"},
	"internal/engine":     {"*"},
	"internal/control":    {"internal/engine", "scheduler", "watcher"},
	"internal/receive":    nil,
	"internal/mirrortest": nil,
	"internal/repo":       nil,
	"cmd/fansync":         {"*", "internal/engine", "internal/control", "internal/receive"},

	"bench":                {"bench/engine", "bench/measure", "bench/record", "bench/report", "bench/suite", "bench/watchers", "bench/workload"},
	"bench/engine":         {"bench/engine/session", "bench/measure", "bench/remote"},
	"bench/engine/session": nil,
	"bench/gate":           nil,
	"bench/gate/perfgate":  {"bench/gate"},
	"bench/measure":        {"bench/engine/session"},
	"bench/micro":          {"coalesce", "watcher"},
	"bench/record":         nil,
	"bench/remote":         {"bench/engine/session"},
	"bench/report":         {"bench/record"},
	"bench/rsynctest":      nil,
	"bench/suite":          {"bench/engine", "bench/measure", "bench/record", "bench/remote", "bench/workload"},
	"bench/watchers":       {"bench/engine/session", "bench/record"},
	"bench/workload":       nil,
}

// notAll must be named where they are wanted.
var notAll = []string{"internal/control", "internal/engine", "internal/mirrortest", "internal/receive", "internal/repo", "cmd/fansync"}

// testsOnly are packages that programs never import; tests may.
var testsOnly = []string{"internal/mirrortest", "bench/rsynctest"}

// confined are modules that only one package, or one file, may know, or one of
// each program. Tests of that package may know them too.
var confined = map[string][]string{
	"github.com/panjf2000/ants":    {"scheduler/pool.go"},
	"github.com/google/btree":      {"internal/sorted"},
	"github.com/cenkalti/backoff":  {"scheduler"},
	"github.com/pelletier/go-toml": {"internal/config"},
	"github.com/dlclark/regexp2":   {"internal/filter"},
	"github.com/yuin/gopher-lua":   {"internal/lsyncd"},
	"github.com/spf13/cobra":       {"cmd/fansync", "bench"},
	"golang.org/x/term":            {"cmd/fansync"},
	"gonum.org/v1/plot":            {"bench/report"},
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := edges[s.dir()]
		if !known {
			t.Errorf("%s: package %s is not in the table of imports", s.name, s.dir())
			continue
		}
		for _, imp := range s.file.Imports {
			p := importPath(t, imp)
			if own, ok := strings.CutPrefix(p, module+"/"); ok {
				if !edgeAllowed(s, own, allowed) {
					t.Errorf("%s:%d: %s must not import %s", s.name, s.line(imp), s.dir(), own)
				}
				continue
			}
			for mod, homes := range confined {
				inHome := slices.ContainsFunc(homes, func(home string) bool {
					return s.name == home || s.dir() == home || s.isTest() && s.dir() == path.Dir(home)
				})
				if (p == mod || strings.HasPrefix(p, mod+"/")) && !inHome {
					t.Errorf("%s:%d: only %v may import %s", s.name, s.line(imp), homes, p)
				}
			}
		}
	}
}

func edgeAllowed(s source, own string, allowed []string) bool {
	switch {
	case own == s.dir(): // an external test of the package
		return s.isTest()
	case slices.Contains(testsOnly, own):
		return s.isTest()
	case slices.Contains(allowed, own):
		return true
	}
	return slices.Contains(allowed, "*") && !slices.Contains(notAll, own)
}

func importPath(t *testing.T, imp *ast.ImportSpec) string {
	t.Helper()
	p, err := strconv.Unquote(imp.Path.Value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestImportTable: the table names what is there and nothing else.
func TestImportTable(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		there[s.dir()] = true
	}
	for dir, to := range edges {
		for _, d := range append([]string{dir}, to...) {
			if d != "*" && !there[path.Clean(d)] {
				t.Errorf("the table of imports names %s, which is not there", d)
			}
		}
	}
}
