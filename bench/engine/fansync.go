package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fansync is ours.
type fansync struct{ binary Binary }

func (f fansync) Name() string {
	if f.binary.Label == "" {
		return "fansync"
	}
	return "fansync-" + f.binary.Label
}

func (fansync) Live() bool { return true }

// path finds the program, in PATH if it is only a name.
func (f fansync) path() (string, error) {
	path, err := exec.LookPath(f.binary.Path)
	if err == nil || errors.Is(err, exec.ErrDot) {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("the fansync program %q is not there: build it and name it with --fansync PATH", f.binary.Path)
	}
	return path, nil
}

func (f fansync) Version(ctx context.Context) (string, error) {
	if _, err := rsyncVersion(ctx); err != nil {
		return "", err
	}
	path, err := f.path()
	if err != nil {
		return "", err
	}
	line, err := firstLine(ctx, path, "version")
	if err == nil && !strings.HasPrefix(line, "fansync") {
		err = fmt.Errorf("%s is no fansync: it says %q", path, line)
	}
	return line, err
}

// maxSocket is how long the path of a unix socket can be.
const maxSocket = 107

func (f fansync) Start(_ context.Context, job Job) (Process, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	dir, remove := job.Scratch, func() error { return nil }
	if len(dir)+len("/fansync.sock") > maxSocket {
		if dir, err = os.MkdirTemp("", "fansync-"); err != nil {
			return nil, fmt.Errorf("make a directory with a short name for fansync's socket: %w", err)
		}
		remove = func() error { return os.RemoveAll(dir) }
	}
	args := []string{path, job.Src}
	for _, r := range job.Remotes {
		args = append(args, r.url())
	}
	args = append(args, "--socket", filepath.Join(dir, "fansync.sock"), "--max-delete-share", "1")
	d, err := launch(job, args...)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	d.restore = remove
	return d, nil
}
