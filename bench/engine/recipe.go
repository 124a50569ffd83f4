package engine

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed recipe.bash
var recipeScript string

// recipe is the loop that answers to "how do I mirror a directory as it changes"
// recommend.
type recipe struct{}

func (recipe) Name() string { return "inotifywait" }

func (recipe) Live() bool { return true }

func (recipe) Version(ctx context.Context) (string, error) {
	rsync, err := rsyncVersion(ctx)
	if err != nil {
		return "", err
	}
	bash, err := program("bash", "bash")
	if err != nil {
		return "", err
	}
	inotifywait, err := program("inotifywait", "inotify-tools")
	if err != nil {
		return "", err
	}
	tools, err := firstLine(ctx, inotifywait, "--help") // "inotifywait 3.22.6.0"
	if err != nil {
		return "", err
	}
	shell, err := firstLine(ctx, bash, "--version") // "GNU bash, version 5.2.15(1)-release (...)"
	if err != nil {
		return "", err
	}
	_, shell, _ = strings.Cut(shell, "version ")
	shell, _, _ = strings.Cut(shell, " ")
	return fmt.Sprintf("%s, bash %s, rsync %s", tools, shell, rsync), nil
}

func (recipe) Start(_ context.Context, job Job) (Process, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	bash, err := program("bash", "bash")
	if err != nil {
		return nil, err
	}
	args := []string{bash, "-c", recipeScript, "recipe", job.Src}
	for _, r := range job.Remotes {
		args = append(args, r.url())
	}
	d, err := launch(job, args...)
	if err != nil {
		return nil, err
	}
	return d, nil
}
