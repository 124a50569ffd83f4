package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSersync(t *testing.T) {
	for in, want := range map[string]sersyncFlags{
		"":                         {file: "confxml.xml"},
		"-r -d -o x.xml":           {file: "x.xml", compare: true, detach: true},
		"-rdox.xml":                {file: "x.xml", compare: true, detach: true},
		"-o a -o b word -n 3 more": {file: "b", threads: "3"},
		"-n12 -m socket":           {file: "confxml.xml", threads: "12", only: "socket"},
		"-h":                       {file: "confxml.xml", help: true},
		"--help":                   {file: "confxml.xml", help: true},
		"-r -- -d":                 {file: "confxml.xml", compare: true},
		"--detached -o x":          {file: "x", detached: true},
	} {
		got, err := parseSersync(strings.Fields(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sersyncFlags{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
	for _, bad := range []string{"-x", "-rx", "-o", "-n", "-m", "-r --detached"} {
		if _, err := parseSersync(strings.Fields(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for in, want := range map[string]int{"": 0, "0": 0, "-3": 0, "x": 0, "7": 7} {
		if got := (sersyncFlags{threads: in}).threadCount(); got != want {
			t.Errorf("-n %q is %d", in, got)
		}
	}
}

// The names of the pid file, the log and the socket hold nothing of a file's name
// that could lead elsewhere or disturb a log, and differ for each file.
func TestPlacesOf(t *testing.T) {
	tamed := regexp.MustCompile(`^sersync2-[A-Za-z0-9_-]{1,20}-[0-9a-f]{8}\.(pid|log|sock)$`)
	seen := map[string]string{}
	for _, name := range append(hostile, "confxml.xml", "../../etc/passwd.xml", "/a/confxml.xml", "/b/confxml.xml", strings.Repeat("n", 255)) {
		p := placesOf(name)
		for _, path := range []string{p.pid, p.log, p.socket} {
			if !tamed.MatchString(filepath.Base(path)) {
				t.Errorf("%q: %q", name, path)
			}
		}
		if other, ok := seen[p.socket]; ok {
			t.Errorf("%q and %q share %s", name, other, p.socket)
		}
		seen[p.socket] = name
	}
}

// One process holds an instance; another is told its pid, and may have it when
// the first is gone.
func TestInstanceLock(t *testing.T) {
	dir := t.TempDir()
	i := instance{pid: filepath.Join(dir, "run", "x.pid"), log: filepath.Join(dir, "log", "x.log")}
	one, err := i.lock()
	must(t, err)
	must(t, one.write())
	if _, err := i.lock(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d ", os.Getpid())) {
		t.Errorf("a second one: %v", err)
	}
	one.release()
	two, err := i.lock()
	must(t, err)
	two.release()
	must(t, os.Symlink(filepath.Join(dir, "victim"), i.pid))
	if _, err := i.lock(); err == nil {
		t.Error("a link in the place of the pid file is followed")
	}
	log, err := openLog(i.log)
	must(t, err)
	info, err := log.Stat()
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("log of mode %v", info.Mode())
	}
	must(t, log.Close())
	must(t, os.Remove(i.log))
	must(t, os.Symlink(filepath.Join(dir, "victim"), i.log))
	if _, err := openLog(i.log); err == nil {
		t.Error("a link in the place of the log is followed")
	}
}
