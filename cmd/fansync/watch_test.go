package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fansync/fansync/internal/mirrortest"
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
	named   map[string]object // the last of each
	covers  []string          // everything below these was told as a whole
	rescans int
}

func tell(objects []object) told {
	all := told{named: map[string]object{}}
	for _, o := range objects {
		switch {
		case o.Type == "rescan":
			all.rescans++
			all.covers = append(all.covers, o.path()+"/")
		case slices.Contains(o.Kinds, "subtree"):
			all.covers = append(all.covers, o.path()+"/")
		}
		if o.Type == "change" || o.Type == "event" {
			all.named[o.path()] = o
		}
	}
	return all
}

// has reports whether a path was told, by itself or with all that is around it.
func (a told) has(path string) bool {
	_, ok := a.named[path]
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

// requireAll: each path was told, or events were lost and that was told. The
// queue and the ring hold all of these unless the machine is very busy, and
// fanotify's queue has no limit.
func requireAll(t *testing.T, option string, objects []object, paths []string) {
	t.Helper()
	all := tell(objects)
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
	if all.rescans > 0 && strings.Contains(option, "fanotify") {
		t.Errorf("%d rescans, want none", all.rescans)
	}
	t.Logf("%d lines, %d rescans", len(objects), all.rescans)
}

// Directories that are made and filled faster than they can be watched: other
// programs lose all of these files.
func TestWatchNewTrees(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		p := watchNew(t, option)
		var paths []string
		for i := range 3000 {
			r := filepath.Join(p.dir, fmt.Sprint(i))
			if err := os.MkdirAll(filepath.Join(r, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			leaf := filepath.Join(r, "a", "b", "leaf")
			put(t, leaf)
			paths = append(paths, r, filepath.Join(r, "a"), filepath.Join(r, "a", "b"), leaf)
		}
		requireAll(t, option, p.interrupt(t), paths)
	})
}

// Many files written quickly, in the form of every event too.
func TestWatchManyFiles(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		for more, files := range map[string]int{"--raw": 2000, "--raw=false": 20_000} {
			p := watchNew(t, option, more)
			var paths []string
			for i := range files {
				paths = append(paths, filepath.Join(p.dir, fmt.Sprint(i)))
				put(t, paths[i])
			}
			requireAll(t, option, p.interrupt(t), paths)
		}
	})
}

// What was done before the signal is printed before the end, and says what
// happened.
func TestWatchFlushesAtTheEnd(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		p := watchNew(t, option)
		name := func(s string) string { return filepath.Join(p.dir, s) }
		for _, odd := range []string{" blank ", "-rf", "new\nline", "quote'\"", "\xff\xfe", "$'x'", "中文"} {
			put(t, name(odd))
		}
		var errs []error
		errs = append(errs, os.MkdirAll(name("d/e"), 0o755), os.Rename(name("-rf"), name("moved")))
		put(t, name("again"))
		errs = append(errs, os.Remove(name("again")))
		put(t, name("again"))
		put(t, name("removed"))
		errs = append(errs, os.Remove(name("removed")))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		all := tell(p.interrupt(t))
		for path, kind := range map[string]string{
			" blank ": "created", "new\nline": "created", "quote'\"": "created", "\xff\xfe": "created", "$'x'": "created", "中文": "created",
			"d": "dir", "d/e": "dir", "moved": "moved", "-rf": "removed", "again": "created", "removed": "removed",
		} {
			if o, ok := all.named[name(path)]; !ok || !slices.Contains(o.Kinds, kind) {
				t.Errorf("%q: %v, want %s", path, o.Kinds, kind)
			}
		}
		if slices.Contains(all.named[name("again")].Kinds, "removed") {
			t.Error("a file that was made anew is said to be removed")
		}
	})
}

// A reader that goes away ends the program at once and in silence, though
// there is nothing to print.
func TestWatchClosedPipe(t *testing.T) {
	p := &watchProgram{dir: t.TempDir()}
	p.Cmd = exec.Command("fansync", "watch", "--json", p.dir)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	p.Stderr = &errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for _, want := range []string{"watching", "ready"} {
		line, err := lines.ReadString('\n')
		if err != nil || decode(t, []byte(line)).Type != want {
			t.Fatalf("%q, %v, want %s", line, err, want)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exitOK || errs.Len() > 0 {
		t.Errorf("exit code %d, and it said %q", code, errs.String())
	}
}

// A full disk is no end that a script may take for a good one.
func TestWatchFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := exec.Command("fansync", "watch", "--json", t.TempDir())
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(errs.String(), "write output") {
		t.Errorf("%v, and it said %q", err, errs.String())
	}
}

func TestWatchRootGone(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		p := watchNew(t, option)
		if err := os.Remove(p.dir); err != nil {
			t.Fatal(err)
		}
		if code := p.exitCode(t); code != exitFailed {
			t.Errorf("exit code %d", code)
		}
		if s := p.said(t, p.errs); !strings.Contains(s, "removed, moved or unmounted") {
			t.Errorf("it said %q", s)
		}
		if s := p.said(t, p.out); !strings.Contains(s, `"type":"gone"`) {
			t.Errorf("it printed %q", s)
		}
	})
}

// Counters on a signal, and at the end.
func TestWatchStats(t *testing.T) {
	p := watchNew(t, "--stats")
	put(t, filepath.Join(p.dir, "f"))
	eventually(t, "the change", func() bool { return strings.Contains(p.said(t, p.out), `"change"`) })
	if err := p.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the counters", func() bool { return strings.Count(p.said(t, p.errs), "\n") == 1 })
	p.interrupt(t)
	if s := p.said(t, p.errs); strings.Count(s, `"type":"stats"`) != 2 || strings.Count(s, `"rescans_event_ring_full":0`) != 2 || strings.Contains(s, `"lines":0`) {
		t.Errorf("it said %q", s)
	}
}

// A directory that this user may not read is named.
func TestWatchUnreadable(t *testing.T) {
	mirrortest.NeedRoot(t)
	program, dir := publicProgram(t)
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "watch", closed)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), "may not be read") {
		t.Errorf("%v: %s", err, out)
	}
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

// Directories above the limit of watches are told as rescans, with what to do.
// In a user namespace of its own a process can set its own limit.
func TestWatchLimit(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", `echo 10 >/proc/sys/user/max_inotify_watches || exit 99
exec fansync watch --backend inotify --once "$0"`, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 99) {
		t.Skip("no user namespace: ", err)
	}
	if err != nil || !strings.Contains(string(out), "\trescan,dir\t"+dir) || !strings.Contains(string(out), "\twatch limit reached\n") {
		t.Errorf("%v, and it printed %q", err, out)
	}
	if !strings.Contains(errs.String(), "sysctl -w fs.inotify.max_user_watches=") {
		t.Errorf("it said %q", errs.String())
	}
}
