package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// errNoBase says that there is nothing to compare with; its text tells why.
var errNoBase = errors.New("there is no base")

// trunks are where a branch is taken to come from, the first that is there.
var trunks = []string{"upstream/main", "origin/main", "main"}

// git runs git in dir and returns its output without the end of line.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = withoutGit(os.Environ())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}

// withoutGit drops what git tells its hooks, which would lead to another
// repository.
func withoutGit(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "GIT_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// findBase is the revision to compare the work tree of repo with: the one asked
// for; else where the branch left the trunk; else, on the trunk itself, the
// commit before. It wraps errNoBase if the history does not tell.
func findBase(ctx context.Context, repo, asked string) (string, error) {
	if asked != "" {
		rev, err := git(ctx, repo, "rev-parse", "--verify", "--quiet", asked+"^{commit}")
		if err != nil {
			return "", fmt.Errorf("there is no commit %q here: name another, or fetch it", asked)
		}
		return rev, nil
	}
	if _, err := git(ctx, repo, "rev-parse", "--git-dir"); err != nil {
		return "", fmt.Errorf("%w: %s is no git checkout (%w)", errNoBase, repo, err)
	}
	head, err := git(ctx, repo, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil {
		return "", fmt.Errorf("%w: nothing has been committed yet", errNoBase)
	}
	for _, trunk := range trunks {
		rev, err := git(ctx, repo, "merge-base", "HEAD", trunk)
		if err != nil {
			continue // no such branch, or no common history
		}
		if rev != head {
			return rev, nil
		}
		break
	}
	parent, err := git(ctx, repo, "rev-parse", "--verify", "--quiet", "HEAD^1^{commit}")
	if err == nil {
		return parent, nil
	}
	if shallow, err := git(ctx, repo, "rev-parse", "--is-shallow-repository"); err == nil && shallow == "true" {
		return "", fmt.Errorf("%w: this is a shallow clone that ends at its newest commit: fetch the history with git fetch --unshallow (fetch-depth: 0 in a workflow)", errNoBase)
	}
	return "", fmt.Errorf("%w: the newest commit is the first one", errNoBase)
}

// checkOut puts the revision into dir, which must not exist, as a work tree of
// repo. remove takes it away again.
func checkOut(ctx context.Context, repo, rev, dir string) (remove func() error, err error) {
	remove = func() error {
		// This must work after a cancellation too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if _, err := git(ctx, repo, "worktree", "remove", "--force", dir); err == nil {
			return nil
		}
		// Interrupted half-way, git may not know it as one.
		_, err := git(ctx, repo, "worktree", "prune")
		return errors.Join(os.RemoveAll(dir), err)
	}
	if _, err := git(ctx, repo, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach", dir, rev); err != nil {
		return nil, errors.Join(fmt.Errorf("check out the base: %w", err), remove())
	}
	return remove, nil
}

// topOf is the top directory of the checkout that holds dir.
func topOf(ctx context.Context, dir string) (string, error) {
	top, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	return filepath.Clean(top), nil
}
