package watchers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// None is the name of the cells in which nobody watches.
const None = "none"

// Watcher is a program that tells of changes.
type Watcher struct {
	Name string
	// program is in PATH or a path; pkg is what installs it.
	program, pkg string
	// args are its arguments; ROOT stands for the tree.
	args []string
	// version asks it what it is; nil does not.
	version []string
	// parse reads a line that it printed.
	parse func(root string, line []byte) said
	// probed watchers do not say when they are ready.
	probed bool
	// mute ones only watch and tell of nothing.
	mute bool
	// whole ones report everything on the filesystem, their own output too.
	whole bool
	// extra ones run only when they are named.
	extra bool
}

// rootArg stands for the tree in Watcher.args.
const rootArg = "ROOT"

// changes are the kinds of events that inotify-tools are asked for: those that
// change something, as with all others here. Left alone they report reads too.
const changes = "modify,attrib,close_write,create,delete,move"

// all are the watchers. fansync and helper are programs; helper runs Helper.
func all(fansync string, helper []string) []Watcher {
	const tools = "inotify-tools"
	ours := Watcher{
		Name: "fansync", program: fansync, pkg: "it, or name it with --fansync", version: []string{"version"},
		args: []string{"watch", "--json", "--backend", "fanotify", rootArg}, parse: parseFansync,
	}
	inotify := ours
	inotify.Name, inotify.args = "fansync-inotify", []string{"watch", "--json", "--backend", "inotify", rootArg}
	self := func(name string) Watcher {
		return Watcher{Name: name, program: helper[0], args: append(slices.Clone(helper[1:]), name, rootArg), parse: parseReader}
	}
	walk := self("walk")
	walk.mute = true
	return []Watcher{
		ours, inotify,
		{Name: "inotifywait", program: "inotifywait", pkg: tools, version: []string{"--help"}, parse: parseTools,
			args: []string{"-m", "-r", "-e", changes, rootArg}},
		{Name: "fsnotifywait", program: "fsnotifywait", pkg: tools, version: []string{"--help"}, parse: parseTools,
			args: []string{"-m", "-S", "-e", changes, rootArg}, whole: true},
		{Name: "fsnotifywait-r", program: "fsnotifywait", pkg: tools, version: []string{"--help"}, parse: parseTools,
			args: []string{"-m", "-F", "-r", "-e", changes, rootArg}, extra: true},
		{Name: "fatrace", program: "fatrace", pkg: "fatrace", parse: parseFatrace, probed: true, whole: true,
			args: []string{"-c", "-f", "W+D<"}},
		self("fsnotify"),
		walk,
	}
}

// choose finds watchers by their names; no names mean all but the extra ones.
func choose(from []Watcher, names []string) (some []Watcher, err error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(from), func(w Watcher) bool { return w.extra }), nil
	}
	for _, name := range names {
		i := slices.IndexFunc(from, func(w Watcher) bool { return w.Name == name })
		if i < 0 {
			var known []string
			for _, w := range from {
				known = append(known, w.Name)
			}
			return nil, fmt.Errorf("watcher %q is not known: take one of %s", name, strings.Join(known, ", "))
		}
		if slices.ContainsFunc(some, func(w Watcher) bool { return w.Name == name }) {
			return nil, fmt.Errorf("watcher %q is named twice: name it once", name)
		}
		some = append(some, from[i])
	}
	return some, nil
}

// find returns what the program calls itself. The error says what to install.
func (w Watcher) find(ctx context.Context) (version string, err error) {
	path, err := exec.LookPath(w.program)
	if err != nil {
		return "", fmt.Errorf("%s is not there: install %s", w.program, w.pkg)
	}
	if len(w.version) == 0 {
		return "here", nil
	}
	out, err := exec.CommandContext(ctx, path, w.version...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("ask %s for its version: %w", w.program, err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "", fmt.Errorf("ask %s for its version: it says nothing", w.program)
	}
	return line, nil
}

// argv is the command that watches root.
func (w Watcher) argv(root string) []string {
	argv := append([]string{w.program}, w.args...)
	for i, a := range argv {
		if a == rootArg {
			argv[i] = root
		}
	}
	return argv
}
