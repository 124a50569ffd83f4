package faillog

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var hostile = []string{
	"plain", "`touch pwned`", "$(touch pwned)", `a";touch pwned;"`, "--exclude=zzz", "*", "new\nline", "it's", "' ; touch pwned '", "-rf", `\`, "\xff", "=x", "", "#",
}

// TestScriptIsQuoted: sh reads every path, the root and the command to the
// letter, and executes none of it.
func TestScriptIsQuoted(t *testing.T) {
	dir := t.TempDir()
	for _, name := range hostile {
		root := filepath.Join(dir, "r"+name+"\n")
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(dir, "log")
		_, err := New(log).Write([]Entry{{
			Root: root, Remote: "x\n touch pwned #", Message: "m\ntouch pwned", Attempts: 2, Paths: hostile, More: 3,
			Command: append([]string{"sh", "-c", `pwd; cat; printf '%s\0' "$@"`, "sh"}, hostile...),
		}})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", log)
		cmd.Dir = dir
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		want := root + "\n./" + strings.Join(hostile, "\x00./") + "\x00" + strings.Join(hostile, "\x00") + "\x00"
		if string(got) != want {
			t.Errorf("sh read %q, want %q", got, want)
		}
		for _, at := range []string{dir, root} {
			if _, err := os.Lstat(filepath.Join(at, "pwned")); err == nil {
				t.Fatal("something was executed")
			}
		}
	}
}

// TestWrite: the file is ours alone, says what is open, and is written only when
// that changes.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fail.sh")
	if err := os.WriteFile(path, []byte("touch pwned\n"), 0o777); err != nil { // as sersync left it
		t.Fatal(err)
	}
	l := New(path)
	one := []Entry{{Root: "/r", Remote: "far", Message: "no", Attempts: 2, Paths: []string{"a b"}, Command: []string{"rsync", "-a", ".", "h::m/"}}}
	for i, step := range []struct {
		entries []Entry
		wrote   bool
		has     string
	}{
		{one, true, "printf '%s\\0' './a b' | rsync -a . h::m/\n"},
		{one, false, "./a b"},
		{nil, true, "# There is nothing.\n"},
		{[]Entry{{Root: "/r", Remote: "far", Attempts: 3, Command: []string{"rsync"}}}, true, `printf '%s\0' ./ | rsync`},
	} {
		wrote, err := l.Write(step.entries)
		text, rerr := os.ReadFile(path)
		info, serr := os.Stat(path)
		if err != nil || rerr != nil || serr != nil {
			t.Fatal(err, rerr, serr)
		}
		if wrote != step.wrote || !bytes.Contains(text, []byte(step.has)) || info.Mode().Perm() != 0o600 || bytes.Contains(text, []byte("pwned")) {
			t.Errorf("step %d: wrote %v, mode %v:\n%s", i, wrote, info.Mode(), text)
		}
	}
	left, err := filepath.Glob(path + "?*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestNotOurs: a link, a directory or another user's file is left alone.
func TestNotOurs(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(path string) error{
		"a link":      func(path string) error { return os.Symlink(victim, path) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o755) },
	}
	if os.Geteuid() == 0 {
		cases["another user's"] = func(path string) error {
			if err := os.WriteFile(path, []byte("touch pwned"), 0o755); err != nil {
				return err
			}
			return os.Chown(path, 1234, 1234)
		}
	}
	for name, make := range cases {
		path := filepath.Join(dir, "log "+name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if wrote, err := New(path).Write(nil); err == nil || wrote || !strings.Contains(err.Error(), "choose another path") {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", name)
		}
	}
}
