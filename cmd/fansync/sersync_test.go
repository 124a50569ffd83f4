package main

import (
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
