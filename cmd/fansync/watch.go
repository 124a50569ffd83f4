package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/filter"
	"github.com/fansync/fansync/watcher"
)

// watchFlags are the options of `fansync watch`.
type watchFlags struct {
	rules   []string
	backend string
	modify  string
	json    bool
	null    bool
	raw     bool
	once    bool
	stats   bool
	timeout time.Duration
}

func watchCommand() *cobra.Command {
	var w watchFlags
	cmd := &cobra.Command{
		Use: "watch DIR [DIR...]", Short: "Print what changes below directories, as it changes",
		Long: `Watch prints what changes below each DIR, in all of the tree, and mirrors nothing.
What happens to one path within a few milliseconds is one line; a file that is
being written comes when its writer closes it, or rests. Four columns, with a tab
between them:

  TIME  KINDS  PATH  [from OLD, or a reason]

KINDS is a list with commas of created, moved, written, attrib, removed, hidden
(it may have been changed under another name), subtree (look at all below it
too), children (look at its entries too), rescan (events were lost: look at it
and all below it) and dir. It says where to look, not in which order things
happened. PATH begins with DIR, as with find. One that holds what does not print,
that begins or ends with a blank, or that begins with $' is written as the shell's
$'...', with \ooo for bytes. --json prints an object a line, -0 bare paths that
end in NUL.

What watch says of itself ("watching", "ready") goes to standard error, with
--json to standard output. Changes made before "ready" may be missing. When lines
are read slower than they come, changes are merged, and at last lost with a
rescan; never in silence. The file that the output goes to is left out.

SIGINT or SIGTERM prints what was changed before it and ends with exit code 0; a
second one ends at once, with 130. A reader that closes the pipe ends it with 0.
1: a DIR is gone or cannot be watched. 2: the arguments are wrong. 3: no change
within --timeout. SIGUSR1 prints counters to standard error.`,
		Example: `  fansync watch /srv/www
  fansync watch --exclude '*.tmp' --json /srv/www | jq -r 'select(.path).path'
  fansync watch -0 . | xargs -0 -n1 ls -ld --
  fansync watch --once --timeout 10m /srv/inbox && import-inbox`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return w.run(cmd, args) },
	}
	f := cmd.Flags()
	f.BoolVar(&w.json, "json", false, "print JSON, an object a line")
	f.BoolVarP(&w.null, "null", "0", false, "print bare paths that end in NUL")
	f.BoolVar(&w.raw, "raw", false, "print the events as they were read, not merged")
	f.BoolVar(&w.once, "once", false, "end after the first change")
	f.DurationVar(&w.timeout, "timeout", 0, "end with exit code 3 when nothing changes for so long; 0 never does")
	f.BoolVar(&w.stats, "stats", false, "print counters to standard error at the end")
	f.Var(&ruleFlag{&w.rules, "- "}, "exclude", "leave out what matches this rsync `pattern`; the first rule that matches decides")
	f.Var(&ruleFlag{&w.rules, "+ "}, "include", "take what matches this rsync `pattern`, whatever later rules say")
	f.Var(&ruleFlag{&w.rules, ""}, "filter", "an rsync filter `rule`: \"- PATTERN\" or \"+ PATTERN\"")
	f.StringVar(&w.backend, "backend", "auto", "how changes are heard of: auto, fanotify or inotify")
	f.StringVar(&w.modify, "modify", "on", "whether writes to files that stay open are heard of: on or off")
	return cmd
}

func (w *watchFlags) run(cmd *cobra.Command, dirs []string) error {
	switch {
	case len(dirs) == 0:
		return usageError{errors.New("name a directory to watch: fansync watch DIR [DIR...]; see fansync watch --help")}
	case w.json && w.null:
		return usageError{errors.New("--json and --null: choose one")}
	case w.modify != "on" && w.modify != "off":
		return usageError{fmt.Errorf("--modify %q: write on or off", w.modify)}
	case w.timeout < 0:
		return usageError{fmt.Errorf("--timeout %s: give a time above 0", w.timeout)}
	}
	// A reader that went away is an error of the write, not the end.
	signal.Ignore(syscall.SIGPIPE)
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	defer signal.Stop(usr1)
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	trees, err := w.open(dirs, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	job := newWatchJob(trees, newOutput(stdout, stderr, w.form(), w.once))
	job.raw, job.timeout, job.statsAtEnd, job.usr1 = w.raw, w.timeout, w.stats, usr1
	if file, ok := stdout.(*os.File); ok {
		stop, err := onHangup(file, func() { job.out.fail(syscall.EPIPE) })
		if err != nil {
			job.close()
			return err
		}
		defer stop()
	}
	return job.run(cmd.Context())
}

func (w *watchFlags) form() form {
	switch {
	case w.json:
		return formJSON
	case w.null:
		return formNull
	}
	return formLines
}

// open makes a watcher for each directory. The caller owns them.
func (w *watchFlags) open(dirs []string, log *slog.Logger) (trees []*tree, err error) {
	defer func() {
		if err != nil {
			for _, t := range trees {
				t.watch.Close()
			}
		}
	}()
	rules, err := filter.Parse(w.rules)
	if err != nil {
		return nil, usageError{err}
	}
	groups := new(watcher.Groups)
	for _, dir := range dirs {
		path, err := resolveDir(dir)
		if err != nil {
			return trees, usageError{err}
		}
		own := ownFiles(path)
		ignore := func(path string, isDir bool) bool { return slices.Contains(own, path) || rules.Excluded(path, isDir) }
		cfg := watcher.Config{Root: path, Backend: watcher.Backend(w.backend), NoModify: w.modify == "off", Ignore: ignore, Groups: groups, Log: log}
		if err := cfg.Validate(); err != nil {
			return trees, usageError{err}
		}
		t, err := newTree(dir, cfg)
		if err != nil {
			return trees, err
		}
		trees = append(trees, t)
	}
	return trees, nil
}

// resolveDir is the absolute path of a directory that can be listed, without
// symbolic links. The error says what to do.
func resolveDir(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	}
	switch {
	case dir == "":
		err = errors.New("is no name; name a directory")
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("is missing; create or mount it, or name another directory")
	case errors.Is(err, syscall.ENOTDIR):
		err = errors.New("is not a directory; name the directory that holds it")
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("may not be read; give this user the right to, or run as one who has it")
	}
	if f != nil {
		f.Close()
	}
	if err != nil {
		return "", fmt.Errorf("watch %q: %w", dir, err)
	}
	return path, nil
}

// ownFiles are the files below dir, relative to it, that this program prints
// to: to print that it has printed would never end.
func ownFiles(dir string) (own []string) {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		// What has no path has none below dir.
		path, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
		if rel, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/")+"/"); ok {
			own = append(own, rel)
		}
	}
	return own
}

// newTree opens the watcher of one directory, which the user calls name.
func newTree(name string, cfg watcher.Config) (*tree, error) {
	w, err := watcher.New(cfg)
	if err != nil {
		return nil, err
	}
	return &tree{
		place: newPlace(name), root: cfg.Root, watch: w, began: time.Now(),
		gate: newGate(maxWaiting), met: make(chan struct{}, 1), ended: make(chan struct{}),
	}, nil
}

// newPlace is the place of a directory that the user calls name.
func newPlace(name string) place {
	short := strings.TrimRight(name, "/")
	if short == "" {
		return place{name: "/", prefix: "/"}
	}
	return place{name: short, prefix: short + "/"}
}
