package transport

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// oldest is the first rsync with --delete-missing-args.
var oldest = [3]int{3, 1, 0}

// When rsync is looked for:
var (
	// ErrNoRsync says that there is no rsync to run.
	ErrNoRsync = errors.New("rsync is not installed: apt-get install rsync (or dnf install rsync)")
	// ErrOldRsync is wrapped by the error about an rsync that is too old.
	ErrOldRsync = errors.New("too old")
)

// Version asks program (default "rsync") for its version.
func Version(ctx context.Context, program string) (major, minor, patch int, err error) {
	if program == "" {
		program = "rsync"
	}
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = environ()
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return 0, 0, 0, ErrNoRsync
	}
	if err != nil {
		return 0, 0, 0, fmt.Errorf("run %s --version: %w", program, err)
	}
	return parseVersion(string(out))
}

// CheckVersion is an error if program is not an rsync this package can use.
func CheckVersion(ctx context.Context, program string) error {
	major, minor, patch, err := Version(ctx, program)
	if err != nil {
		return err
	}
	return checkVersion([3]int{major, minor, patch})
}

func checkVersion(v [3]int) error {
	for i := range v {
		if v[i] > oldest[i] {
			return nil
		}
		if v[i] < oldest[i] {
			return fmt.Errorf("rsync %d.%d.%d is %w: install rsync %d.%d.%d or newer (3.1.3 for times finer than a second)",
				v[0], v[1], v[2], ErrOldRsync, oldest[0], oldest[1], oldest[2])
		}
	}
	return nil
}

// parseVersion reads the first line that tells a version of rsync. A missing
// part counts as 0, and so does what follows the digits of a part ("3.2.0pre1").
func parseVersion(out string) (major, minor, patch int, err error) {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, "rsync")
		if !ok {
			continue
		}
		_, rest, ok = strings.Cut(rest, "version")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		var v [3]int
		parts := strings.SplitN(strings.TrimPrefix(fields[0], "v"), ".", 3)
		for i, p := range parts {
			digits := strings.IndexFunc(p, func(r rune) bool { return r < '0' || r > '9' })
			if digits >= 0 {
				p = p[:digits]
			}
			if v[i], err = strconv.Atoi(p); err != nil {
				return 0, 0, 0, fmt.Errorf("read the version of rsync in %q: no number", line)
			}
		}
		return v[0], v[1], v[2], nil
	}
	if strings.Contains(out, "openrsync") {
		return 0, 0, 0, errors.New("this is openrsync, which cannot delete what is missing: install rsync 3.1.0 or newer")
	}
	return 0, 0, 0, errors.New("read the version of rsync: no version in its output")
}
