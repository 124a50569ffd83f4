package engine

import (
	"errors"
	"fmt"
	"strings"
)

// Options say where the programs are that nobody packages.
type Options struct {
	// Fansync are the fansync programs to compare. None means the fansync in
	// PATH.
	Fansync []Binary
	// Sersync is the path of the sersync2 program; "" means that there is
	// none.
	Sersync string
}

// Binary is one of several builds of a program.
type Binary struct {
	// Label tells it from the others, such as "new" in the engine's name
	// fansync-new. "" gives plain fansync.
	Label string
	// Path is the program's.
	Path string
}

// ParseBinary reads LABEL=PATH or PATH. A label has lower-case letters, digits,
// dots and dashes only; a PATH that looks like LABEL=PATH is written ./PATH.
func ParseBinary(arg string) (Binary, error) {
	label, path, ok := strings.Cut(arg, "=")
	if !ok || strings.Contains(label, "/") {
		label, path = "", arg
	} else if label == "" {
		return Binary{}, fmt.Errorf("%q has no label before the =: write LABEL=PATH or PATH", arg)
	}
	if path == "" {
		return Binary{}, fmt.Errorf("%q names no program: write LABEL=PATH or PATH", arg)
	}
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' }
	if strings.ContainsFunc(label, odd) {
		return Binary{}, fmt.Errorf("the label %q may have lower-case letters, digits, dots and dashes only", label)
	}
	return Binary{Label: label, Path: path}, nil
}

// All are the engines in the order of the reports, also those that cannot run
// here, which their Version tells.
func All(opts Options) ([]Engine, error) {
	binaries := opts.Fansync
	if len(binaries) == 0 {
		binaries = []Binary{{Path: "fansync"}}
	}
	var all []Engine
	seen := map[string]bool{}
	for _, b := range binaries {
		e := fansync{b}
		if seen[e.Name()] {
			return nil, fmt.Errorf("two programs are called %s: give them labels, as in new=PATH", e.Name())
		}
		seen[e.Name()] = true
		all = append(all, e)
	}
	return append(all, sersync{opts.Sersync}, lsyncd{}, recipe{}, ideal{}, plain{}), nil
}

// ByName finds one engine. The error lists the names there are.
func ByName(opts Options, name string) (Engine, error) {
	all, err := All(opts)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if e.Name() == name {
			return e, nil
		}
		names = append(names, e.Name())
	}
	return nil, fmt.Errorf("no engine is called %q: take one of %s", name, strings.Join(names, ", "))
}

// check says what is wrong with a job, for any engine.
func (j Job) check() error {
	if len(j.Remotes) == 0 {
		return errors.New("the job has no remotes")
	}
	if !strings.HasPrefix(j.Src, "/") || !strings.HasPrefix(j.Scratch, "/") {
		return fmt.Errorf("source %q and scratch %q must be absolute paths", j.Src, j.Scratch)
	}
	return nil
}

// url is where a remote is, as rsync takes it.
func (r Remote) url() string { return fmt.Sprintf("rsync://%s:%d/%s/", r.Addr, r.Port, r.Module) }
