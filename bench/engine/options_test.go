package engine

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBinary(t *testing.T) {
	good := map[string]Binary{
		"fansync":        {"", "fansync"},
		"./a":            {"", "./a"},
		"new=./a":        {"new", "./a"},
		"v1.2-rc=/x/y=z": {"v1.2-rc", "/x/y=z"},
		"./a=b":          {"", "./a=b"},
	}
	for arg, want := range good {
		if got, err := ParseBinary(arg); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "new=", "=a", "New=a", "a b=c"} {
		if got, err := ParseBinary(arg); err == nil {
			t.Errorf("%q is accepted as %+v", arg, got)
		}
	}
}

func TestNames(t *testing.T) {
	opts := Options{Fansync: []Binary{{"new", "a"}, {"old", "b"}, {"", "c"}}}
	all, err := All(opts)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	live := map[string]bool{}
	for _, e := range all {
		names = append(names, e.Name())
		live[e.Name()] = e.Live()
		if found, err := ByName(opts, e.Name()); err != nil || found != e {
			t.Errorf("ByName(%q) is %v, %v", e.Name(), found, err)
		}
	}
	want := []string{"fansync-new", "fansync-old", "fansync", "sersync2", "lsyncd", "inotifywait", "ideal", "rsync"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	for name, is := range live {
		if want := name != "ideal" && name != "rsync"; is != want {
			t.Errorf("%s is live: %t, want %t", name, is, want)
		}
	}
	if _, err := ByName(Options{}, "rsnc"); err == nil || !strings.Contains(err.Error(), "fansync, sersync2, lsyncd") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := All(Options{Fansync: []Binary{{"", "a"}, {"", "b"}}}); err == nil {
		t.Error("two programs of one name are accepted")
	}
}

// TestMissingPrograms: without any program in PATH every engine says what to
// install.
func TestMissingPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	all, err := All(Options{})
	if err != nil {
		t.Fatal(err)
	}
	job := Job{Src: "/s", Scratch: t.TempDir(), Remotes: []Remote{{Addr: "127.0.0.1", Port: 1, Module: "m"}}, Cgroup: -1}
	for _, e := range all {
		if v, err := e.Version(t.Context()); err == nil || !strings.Contains(err.Error(), "install ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: version %q, error %v", e.Name(), v, err)
		}
		if p, err := e.Start(t.Context(), job); err == nil {
			t.Errorf("%s started: %v", e.Name(), p)
		}
	}
}

// TestOddPrograms: what is named is not what it should be.
func TestOddPrograms(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho I am another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]Engine{
		"sersync2, not executable": sersync{file}, "sersync2, missing": sersync{dir + "/none"}, "sersync2, a directory": sersync{dir},
		"fansync, not executable": fansync{Binary{Path: file}}, "fansync, missing": fansync{Binary{Path: dir + "/none"}},
	} {
		if v, err := e.Version(t.Context()); err == nil {
			t.Errorf("%s: version %q", name, v)
		}
	}
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	if v, err := (fansync{Binary{Path: file}}).Version(t.Context()); err == nil {
		t.Errorf("another program is taken for fansync %q", v)
	}
	if v, err := (sersync{file}).Version(t.Context()); err != nil || !strings.Contains(v, "unknown version") {
		t.Errorf("another program: version %q, %v", v, err)
	}
}

func TestBadJobs(t *testing.T) {
	remote := []Remote{{Addr: "127.0.0.1", Port: 1, Module: "m"}}
	all, err := All(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, job := range map[string]Job{
		"no remotes":       {Src: "/s", Scratch: "/t"},
		"relative source":  {Src: "s", Scratch: "/t", Remotes: remote},
		"relative scratch": {Src: "/s", Scratch: "t", Remotes: remote},
	} {
		for _, e := range all {
			if _, err := e.Start(t.Context(), job); err == nil {
				t.Errorf("%s accepts a job with %s", e.Name(), name)
			}
		}
	}
	ports := Job{Src: "/s", Scratch: "/t", Remotes: []Remote{{Port: 1}, {Port: 2}}}
	if _, err := (sersync{"x"}).Start(t.Context(), ports); err == nil || !strings.Contains(err.Error(), "one port") {
		t.Errorf("sersync2 and two ports: %v", err)
	}
	blank := Job{Src: "/s b", Scratch: "/t", Remotes: remote}
	if _, err := (sersync{"x"}).Start(t.Context(), blank); err == nil || !strings.Contains(err.Error(), "/s b") {
		t.Errorf("sersync2 and a blank in the path: %v", err)
	}
}

func TestLuaString(t *testing.T) {
	if got, want := luaString("/a b\"\\\n\xff]]"), `"/a b\034\092\010\255]]"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestSersyncConfig: what sersync reads is what the job says.
func TestSersyncConfig(t *testing.T) {
	type attr struct {
		Watch string `xml:"watch,attr"`
		Port  string `xml:"port,attr"`
		Path  string `xml:"path,attr"`
		IP    string `xml:"ip,attr"`
		Name  string `xml:"name,attr"`
	}
	var got struct {
		XMLName xml.Name `xml:"head"`
		Local   struct {
			attr
			Remotes []attr `xml:"remote"`
		} `xml:"sersync>localpath"`
		Port    attr `xml:"sersync>rsync>userDefinedPort"`
		FailLog attr `xml:"sersync>failLog"`
	}
	text := sersyncConfig(Job{Src: "/s<\"&", Scratch: "/t", Remotes: []Remote{
		{Addr: "127.0.0.1", Port: 99, Module: "a"}, {Addr: "127.0.0.2", Port: 99, Module: "b"},
	}})
	// Only the declared encoding is not Go's.
	text = strings.Replace(text, "ISO-8859-1", "UTF-8", 1)
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Local.Watch != "/s<\"&" || got.Port.Port != "99" || got.FailLog.Path != "/t/faillog.sh" {
		t.Errorf("read back %+v", got)
	}
	if d := cmp.Diff([]attr{{IP: "127.0.0.1", Name: "a"}, {IP: "127.0.0.2", Name: "b"}}, got.Local.Remotes, cmp.AllowUnexported(attr{})); d != "" {
		t.Errorf("remotes (-want +got):\n%s", d)
	}
}
