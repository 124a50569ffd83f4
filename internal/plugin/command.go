package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/fansync/fansync/internal/config"
)

// keptOutput is how much of a command's output an error tells.
const keptOutput = 2048

// command runs a program for each change.
type command struct {
	argv   []string
	silent bool
}

func newCommand(conf config.Plugin) *command {
	return &command{argv: conf.Command, silent: conf.IgnoreError}
}

// tell runs the program, in a group of its own which is killed when its time is
// up.
func (c *command) tell(ctx context.Context, _ int, changes []Change) error {
	change := changes[0]
	argv := make([]string, len(c.argv))
	for i, word := range c.argv {
		if argv[i] = word; word == config.PathWord {
			argv[i] = change.Abs()
		}
	}
	event, dir := change.Event()
	kind := "file"
	if dir {
		kind = "directory"
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "FANSYNC_EVENT="+event, "FANSYNC_KIND="+kind, "FANSYNC_PATH="+change.Abs(),
		"FANSYNC_ROOT="+change.Root, "FANSYNC_REMOTE="+change.Remote)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out headOf
	if !c.silent {
		cmd.Stdout, cmd.Stderr = &out, &out
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: it was killed: %w", argv[0], errFinal, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w (%w): %q", err, errFinal, out.text.String())
	} else {
		err = fmt.Errorf("%w: %w", err, errFinal)
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}

func (c *command) close() error { return nil }

// headOf keeps the beginning of what is written to it.
type headOf struct{ text strings.Builder }

func (t *headOf) Write(b []byte) (int, error) {
	t.text.Write(b[:min(len(b), max(0, keptOutput-t.text.Len()))])
	return len(b), nil
}
