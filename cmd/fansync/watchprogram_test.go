package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fansync/fansync/watcher"
)

// watchProgram is the real program watching a new directory.
type watchProgram struct {
	*exec.Cmd
	dir       string
	out, errs string // files
}

// watchNew starts `fansync watch --json` on a new directory and waits until it
// is ready.
func watchNew(t *testing.T, options ...string) *watchProgram {
	t.Helper()
	p := &watchProgram{dir: t.TempDir()}
	logs := t.TempDir()
	p.out, p.errs = filepath.Join(logs, "out"), filepath.Join(logs, "err")
	p.Cmd = exec.Command("fansync", append([]string{"watch", "--json", p.dir}, options...)...)
	p.Stdout, p.Stderr = create(t, p.out), create(t, p.errs)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	eventually(t, "the watch to be ready", func() bool { return strings.Contains(p.said(t, p.out), `"type":"ready"`) })
	return p
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (p *watchProgram) said(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// interrupt ends the program and returns all that it printed.
func (p *watchProgram) interrupt(t *testing.T) []object {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("it ended with %v, want exit code 0: %s", err, p.said(t, p.errs))
	}
	var all []object
	for line := range strings.Lines(p.said(t, p.out)) {
		all = append(all, decode(t, []byte(line)))
	}
	return all
}

// exitCode waits for the program.
func (p *watchProgram) exitCode(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// told is what objects say of paths.
type told struct {
	last    map[string]object   // of each path
	kinds   map[string][]string // of all objects of a path
	covers  []string            // everything below these was told as a whole
	rescans int
}

func tell(objects []object) told {
	all := told{last: map[string]object{}, kinds: map[string][]string{}}
	for _, o := range objects {
		switch {
		case o.Type == "rescan":
			all.rescans++
			all.covers = append(all.covers, o.path()+"/")
		case slices.Contains(o.Kinds, "subtree"):
			all.covers = append(all.covers, o.path()+"/")
		}
		if o.Type == "change" || o.Type == "event" {
			all.last[o.path()] = o
			all.kinds[o.path()] = append(all.kinds[o.path()], o.Kinds...)
		}
	}
	return all
}

// has reports whether a path was told, by itself or with all that is around it.
func (a told) has(path string) bool {
	_, ok := a.last[path]
	return ok || slices.ContainsFunc(a.covers, func(dir string) bool { return strings.HasPrefix(path, dir) })
}

// bothBackends runs f for each backend that works here.
func bothBackends(t *testing.T, f func(t *testing.T, option string)) {
	for _, b := range []watcher.Backend{watcher.BackendFanotify, watcher.BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			w, err := watcher.New(watcher.Config{Root: realTemp(t), Backend: b})
			if err != nil {
				t.Skip(err)
			}
			w.Close()
			f(t, "--backend="+string(b))
		})
	}
}

// attempts is how often a scenario is tried before events may be lost in it: a
// very busy machine, or one whose filesystem does not find a directory again,
// loses some, and says so.
const attempts = 4

// undisturbed runs a scenario until no rescan says that events were lost.
func undisturbed(t *testing.T, scenario func() []object) told {
	t.Helper()
	var all told
	for try := range attempts {
		if all = tell(scenario()); all.rescans == 0 {
			break
		}
		t.Logf("try %d: %d rescans", try, all.rescans)
	}
	return all
}

// requireAll: each path was told, by itself or with all around it.
func requireAll(t *testing.T, all told, paths []string) {
	t.Helper()
	missing := 0
	for _, p := range paths {
		if !all.has(p) {
			if missing++; missing < 5 {
				t.Errorf("%s was not told", p)
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d were not told", missing, len(paths))
	}
	t.Logf("%d paths told, %d rescans", len(all.last), all.rescans)
}

// publicProgram is a copy of the program that every user may run, and the
// directory it is in.
func publicProgram(t *testing.T) (program, dir string) {
	t.Helper()
	path, err := exec.LookPath("fansync")
	if err != nil {
		t.Fatal(err)
	}
	dir, err = os.MkdirTemp("", "watch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	program = filepath.Join(dir, "fansync")
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	return program, dir
}
