package gate

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// newRepo is an empty repository.
func newRepo(t *testing.T) string {
	t.Helper()
	needProgram(t, "git")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	runGit(t, dir, "init", "--quiet", "--initial-branch=main")
	runGit(t, dir, "config", "user.name", "nobody")
	runGit(t, dir, "config", "user.email", "nobody@example.com")
	return dir
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t.Context(), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// commit writes a file and commits all; it returns the revision.
func commit(t *testing.T, dir, name, text string) string {
	t.Helper()
	write(t, filepath.Join(dir, name), text)
	runGit(t, dir, "add", "--all")
	runGit(t, dir, "commit", "--quiet", "--message=x")
	return runGit(t, dir, "rev-parse", "HEAD")
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestFindBase(t *testing.T) {
	repo := newRepo(t)
	expect := func(asked, want string) {
		t.Helper()
		if got, err := findBase(t.Context(), repo, asked); err != nil || got != want {
			t.Errorf("base %q: got %q, %v, want %q", asked, got, err, want)
		}
	}
	none := func(dir, says string) {
		t.Helper()
		if got, err := findBase(t.Context(), dir, ""); !errors.Is(err, errNoBase) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %q, %v, want no base because %q", got, err, says)
		}
	}
	none(t.TempDir(), "no git checkout")
	none(repo, "nothing has been committed")
	one := commit(t, repo, "a", "1")
	none(repo, "the first one")
	two := commit(t, repo, "a", "2")
	expect("", one)
	runGit(t, repo, "checkout", "--quiet", "-b", "topic")
	expect("", one) // the branch has nothing of its own yet
	commit(t, repo, "b", "1")
	three := commit(t, repo, "b", "2")
	expect("", two)
	expect("HEAD~2", two)
	expect("topic", three)
	if _, err := findBase(t.Context(), repo, "no-such"); err == nil || errors.Is(err, errNoBase) {
		t.Errorf("a base that is not there: %v", err)
	}

	shallow := filepath.Join(t.TempDir(), "shallow")
	runGit(t, repo, "clone", "--quiet", "--depth=1", "file://"+repo, shallow)
	none(shallow, "shallow clone")
	whole := filepath.Join(t.TempDir(), "whole")
	runGit(t, repo, "clone", "--quiet", "file://"+repo, whole)
	// The branch has been pushed, which must not make its last commit all of it.
	if got, err := findBase(t.Context(), whole, ""); err != nil || got != two {
		t.Errorf("in a clone: %q, %v, want %q", got, err, two)
	}
}

func TestCheckOut(t *testing.T) {
	repo := newRepo(t)
	one := commit(t, repo, "a", "1")
	commit(t, repo, "a", "2")
	write(t, filepath.Join(repo, ".git/hooks/post-checkout"), "#!/bin/sh\nexit 1\n")
	if err := os.Chmod(filepath.Join(repo, ".git/hooks/post-checkout"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "base")
	remove, err := checkOut(t.Context(), repo, one, dir)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(text) != "1" {
		t.Errorf("%q, %v", text, err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	alone(t, repo)
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the checkout is still there: %v", err)
	}
}

// alone checks that a repository has no second work tree.
func alone(t *testing.T, repo string) {
	t.Helper()
	if list := runGit(t, repo, "worktree", "list", "--porcelain"); strings.Count(list, "worktree ") != 1 {
		t.Errorf("work trees left behind:\n%s", list)
	}
}
