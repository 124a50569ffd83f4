package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
)

// Directories that are made and filled faster than they can be watched: other
// programs lose all of these files.
func TestWatchNewTrees(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		var paths []string
		all := undisturbed(t, func() []object {
			p := watchNew(t, option)
			paths = nil
			for i := range 3000 {
				r := filepath.Join(p.dir, fmt.Sprint(i))
				if err := os.MkdirAll(filepath.Join(r, "a", "b"), 0o755); err != nil {
					t.Fatal(err)
				}
				leaf := filepath.Join(r, "a", "b", "leaf")
				put(t, leaf)
				paths = append(paths, r, filepath.Join(r, "a"), filepath.Join(r, "a", "b"), leaf)
			}
			return p.interrupt(t)
		})
		requireAll(t, all, paths)
	})
}

// Many files written quickly, in the form of every event too.
func TestWatchManyFiles(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		for more, files := range map[string]int{"--raw": 2000, "--raw=false": 20_000} {
			var paths []string
			all := undisturbed(t, func() []object {
				p := watchNew(t, option, more)
				paths = nil
				for i := range files {
					paths = append(paths, filepath.Join(p.dir, fmt.Sprint(i)))
					put(t, paths[i])
				}
				return p.interrupt(t)
			})
			requireAll(t, all, paths)
		}
	})
}

// What was done before the signal is printed before the end, and says what
// happened.
func TestWatchFlushesAtTheEnd(t *testing.T) {
	bothBackends(t, func(t *testing.T, option string) {
		var name func(string) string
		all := undisturbed(t, func() []object {
			p := watchNew(t, option)
			name = func(s string) string { return filepath.Join(p.dir, s) }
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
			return p.interrupt(t)
		})
		for path, kind := range map[string]string{
			" blank ": "created", "new\nline": "created", "quote'\"": "created", "\xff\xfe": "created", "$'x'": "created", "中文": "created",
			"d": "dir", "d/e": "dir", "moved": "moved", "-rf": "removed", "again": "created", "removed": "removed",
		} {
			if kinds := all.kinds[name(path)]; !slices.Contains(kinds, kind) {
				t.Errorf("%q: %v, want %s", path, kinds, kind)
			}
		}
		// The last word on a name agrees with what is there.
		for path, gone := range map[string]bool{"moved": false, "-rf": true, "again": false, "removed": true} {
			if o := all.last[name(path)]; slices.Contains(o.Kinds, "removed") != gone {
				t.Errorf("%q: at last %v", path, o.Kinds)
			}
		}
	})
}

// A reader that goes away ends the program at once and in silence, though
// there is nothing to print, and when it is printing.
func TestWatchClosedPipe(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "printing": true} {
		t.Run(name, func(t *testing.T) {
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
			if busy {
				for i := range 400 {
					put(t, filepath.Join(p.dir, fmt.Sprintf("%0200d", i)))
				}
				// It has 64 KiB, of which pieces of odd sizes leave some empty.
				eventually(t, "the pipe to be full", func() bool {
					n, err := unix.IoctlGetInt(int(out.(*os.File).Fd()), unix.TIOCINQ)
					return err == nil && n > 32_000
				})
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			if code := p.exitCode(t); code != exitOK || strings.Contains(errs.String(), "fansync: ") {
				t.Errorf("exit code %d, and it said %q", code, errs.String())
			}
		})
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
	eventually(t, "the counters", func() bool { return strings.Contains(p.said(t, p.errs), `"type":"stats"`) })
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
