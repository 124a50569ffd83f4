package repo

import (
	"go/ast"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestManualNamesEveryKey: the pages on configuration name every key of the
// configuration file.
func TestManualNamesEveryKey(t *testing.T) {
	keys := 0
	for _, s := range sources(t) {
		if s.dir() != "internal/config" || s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.Field)
			if !ok || f.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(reflect.StructTag(tag).Get("toml"), ",")
			if key == "" {
				return true
			}
			keys++
			for _, page := range []string{"docs/configuration.md", "docs/configuration.zh-CN.md"} {
				text := string(read(t, page))
				if !strings.Contains(text, "| `"+key+"`") && !regexp.MustCompile("(?m)^\\| `\\[+([a-z]+\\.)?"+key+"\\]+`").MatchString(text) {
					t.Errorf("%s does not name the key %s of %s", page, key, s.name)
				}
			}
			return true
		})
	}
	if keys == 0 {
		t.Error("internal/config has no keys")
	}
}

// TestManualNamesEveryCommand: both READMEs, with the pages they belong to,
// name every command and every option of the command line.
func TestManualNamesEveryCommand(t *testing.T) {
	manuals := map[string]string{
		"the English pages": string(read(t, "README.md")) + string(read(t, "docs/configuration.md")) + string(read(t, "docs/operations.md")),
		"the Chinese pages": string(read(t, "README.zh-CN.md")) + string(read(t, "docs/configuration.zh-CN.md")) + string(read(t, "docs/operations.zh-CN.md")),
	}
	found := 0
	for _, s := range sources(t) {
		if s.dir() != "cmd/fansync" || s.isTest() {
			continue
		}
		for _, want := range append(commands(s.file), options(s.file)...) {
			found++
			for pages, text := range manuals {
				if !regexp.MustCompile(regexp.QuoteMeta(want) + `\b`).MatchString(text) {
					t.Errorf("%s do not name %q of %s", pages, want, s.name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("cmd/fansync has no commands")
	}
}

// commands are what the Use fields name.
func commands(f *ast.File) []string {
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "Use" {
				name, _, _ := strings.Cut(literal(kv.Value), " ")
				if name != "fansync" {
					name = "fansync " + name
				}
				names = append(names, name)
			}
		}
		return true
	})
	return names
}

// options are the names that are given to pflag's methods on variables.
func options(f *ast.File) []string {
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && strings.HasSuffix(strings.TrimSuffix(sel.Sel.Name, "P"), "Var") {
			if name := literal(call.Args[1]); name != "" && name != "config" { // known as -c
				names = append(names, "--"+name)
			}
		}
		return true
	})
	return names
}

// literal is the value of a string constant written out, else "".
func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return ""
}
