package repo

import (
	"bytes"
	"go/format"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const maxLines = 400

func TestFormat(t *testing.T) {
	for _, s := range sources(t) {
		formatted, err := format.Source(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		} else if !bytes.Equal(formatted, s.text) {
			t.Errorf("%s is not formatted: run gofmt -w %s", s.name, s.name)
		}
	}
}

func TestShortFiles(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines: split it by nouns, at most %d each", s.name, n, maxLines)
		}
	}
}

// modules are the directories of the Go modules: the daemon's, and that of the
// benchmarks, whose packages the daemon does not need.
var modules = []string{".", "bench"}

func TestVet(t *testing.T) {
	for _, dir := range modules {
		run(t, dir, goProgram(t), "vet", "./...")
	}
}

func TestStaticcheck(t *testing.T) {
	checker := strings.TrimSpace(run(t, ".", goProgram(t), "tool", "-n", "staticcheck"))
	for _, dir := range modules {
		run(t, dir, checker, "./...")
	}
}

func goProgram(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it compiles everything, which is not short")
	}
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go in PATH")
	}
	return program
}

// run runs a program in a directory of the tree and returns what it printed.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = filepath.Join(root(t), dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("in %s: %s: %v\n%s%s", dir, cmd, err, out, errs.Bytes())
	}
	return string(out)
}

var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

func TestNothingIsLeftForLater(t *testing.T) {
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if w := unfinished.FindString(c.Text); w != "" {
					t.Errorf("%s:%d: %s", s.name, s.line(c), w)
				}
			}
		}
	}
}
