package repo

import (
	"bytes"
	"go/format"
	"os/exec"
	"regexp"
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

func TestVet(t *testing.T) { runGo(t, "vet", "./...") }

func TestStaticcheck(t *testing.T) { runGo(t, "tool", "staticcheck", "./...") }

func runGo(t *testing.T, args ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it compiles everything, which is not short")
	}
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go in PATH")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
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
