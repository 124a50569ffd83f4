package lsyncd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fansync/fansync/internal/config"
)

var same = cmpopts.IgnoreUnexported(config.Config{})

// files are configurations as they stand in manuals and on machines.
var files = map[string]struct {
	in    string
	want  config.Config
	notes []string
}{
	"manual": {`
settings {
   logfile = "/tmp/lsyncd.log",
   statusFile = "/tmp/lsyncd.status",
   nodaemon = true,
}
sync {
   default.rsyncssh,
   source = "/home/lonewolf/testfiles/",
   host = "test",
   targetdir = "/home/test/testfiles",
   rsync = { archive = true, compress = true, _extra = {"--bwlimit=50000"} },
   ssh = { port = 1234, identityFile = "/root/my key" },
}`, config.Config{Roots: []config.Root{{Path: "/home/lonewolf/testfiles", Remotes: []config.Remote{{
		Dest: "test:/home/test/testfiles", SSH: "ssh -p 1234 -i '/root/my key'", RsyncOptions: []string{"--compress", "--bwlimit=50000"},
	}}}}}, []string{"line 3: settings: logfile", "line 4: settings: statusFile", "line 5: settings: nodaemon"}},
	"two targets, a name, old settings": {`
settings = { maxDelays = 5 }
local base = "/srv/" .. "www"
sync{default.rsync, source=base, target="web1::www/", exclude={".git", "/tmp/"}, delay=1, rsync={archive=true, password_file="/etc/p", timeout=9}}
sync{default.rsync, source=base .. "/", target="web2::www/", exclude={".git", "/tmp/"}, rsync={archive=true}, maxProcesses = 4}
`, config.Config{Roots: []config.Root{{Path: "/srv/www", Exclude: []string{".git", "/tmp/"}, Remotes: []config.Remote{
		{Dest: "web1::www/", PasswordFile: "/etc/p", Timeout: config.Duration(9 * time.Second)}, {Dest: "web2::www/", Parallel: 4},
	}}}}, []string{"line 2: settings: maxDelays", "line 4: sync: delay"}},
	"direct": {`sync{default.direct, source="/a", target="/b", delete=false}`,
		config.Config{Roots: []config.Root{{Path: "/a", Delete: "off", Remotes: []config.Remote{{Dest: "/b"}}}}}, nil},
	"lsyncd's defaults": {`sync{default.rsync, source="/a", target="h::m", delete="running", filter={"+ *.c", "- *"}}`,
		config.Config{Roots: []config.Root{{Path: "/a", Delete: "listed", Filters: []string{"+ *.c", "- *"}, Remotes: []config.Remote{{
			Dest: "h::m", RsyncOptions: []string{"--no-perms", "--no-group", "--no-owner", "--no-devices", "--no-specials"},
		}}}}}, []string{"line 1: rsync: without archive"}},
	"init": {`sync{default.rsync, source="/a", target="h::m", init=false, rsync={_extra={"-a", "--delete", "-u"}, rsh="ssh -p 2"}}`,
		config.Config{Roots: []config.Root{{Path: "/a", Delete: "listed", Remotes: []config.Remote{{Dest: "h::m", SSH: "ssh -p 2"}}}}},
		[]string{"line 1: rsync: --delete is left out", "line 1: rsync: update is left out", "line 1: sync: init"}},
}

func TestDecode(t *testing.T) {
	for name, c := range files {
		t.Run(name, func(t *testing.T) {
			got, err := Decode("f", []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Config, same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.Config.Validate(nil); err != nil {
				t.Error(err)
			}
			var notes []string
			for _, n := range got.Notes {
				notes = append(notes, n.String())
			}
			for i := range max(len(notes), len(c.notes)) {
				if i >= len(notes) || i >= len(c.notes) || !strings.HasPrefix(notes[i], c.notes[i]) {
					t.Fatalf("notes %q, want %q", notes, c.notes)
				}
			}
			// Round trip: what is printed is the same configuration.
			text, err := got.Config.Encode()
			if err != nil {
				t.Fatal(err)
			}
			back, err := config.Decode("f", text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.Config, back, same); diff != "" {
				t.Errorf("round trip (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRefused: code, and what is not known, is refused with its line.
func TestRefused(t *testing.T) {
	list := filepath.Join(t.TempDir(), "none")
	for in, want := range map[string]string{
		"for i = 1, 2 do sync{} end":                                                "f:1: a for loop is code",
		"\nfor _, h in ipairs{'a'} do end":                                          "f:2: a for loop is code",
		"if true then end":                                                          "an if is code",
		"os.execute('touch pwned')":                                                 "a call of anything but settings and sync is code",
		"dofile('x')":                                                               "is code",
		"function f() end":                                                          "a function is code",
		"sync{default.rsync, source=os.getenv('HOME')}":                             "a call is code",
		"sync{default.rsync, source=home}":                                          `"home", which has no value here, is code`,
		"sync{default.rsync, action=function() end}":                                "a function is code",
		"sync{bash, source='/a'}":                                                   `"bash", which has no value`,
		"sync{default.other, source='/a'}":                                          "must be default.rsync",
		"sync{source='/a', target='/b'}":                                            "must be default.rsync",
		"sync{default.rsync, source='/a'}":                                          "default.rsync needs target",
		"sync{default.rsyncssh, source='/a', host='h'}":                             "needs targetdir",
		"sync{default.rsync, source='a', target='/b'}":                              "source \"a\" is relative",
		"sync{default.rsync, source='/a', target='b'}":                              "target \"b\" is relative",
		"sync{default.rsync, source='/a', target='/b', x=1}":                        `key "x" is not known`,
		"sync{default.rsync, source='/a', target='/b', collect='x'}":                "is code or needs code",
		"sync{default.rsync, source='/a', target='/b', rsync={bogus=true}}":         "bogus is not known",
		"sync{default.rsync, source='/a', target='/b', rsync={dry_run=true}}":       "would mirror nothing",
		"sync{default.rsync, source='/a', target='/b', rsync={_extra={'pwned'}}}":   `rsync option "pwned"`,
		"sync{default.rsync, source='/a', target='/b', excludeFrom='" + list + "'}": "make it readable",
		"sync{default.rsync, source='/a', target='/b'} sync{default.rsync, source='/a', target='/c', exclude='x'}": "is there twice with other exclude",
		"sync{":                        "f:1:",
		"sync":                         "f:1:",
		"":                             "there is no sync",
		"sync{1 + 1}":                  "a calculation is code",
		"sync(1, 2)":                   "takes one table",
		"x.y = 1":                      "an assignment into a table is code",
		"local a = 'x' .. {}":          "only strings and numbers",
		strings.Repeat("x", maxSize+1): "too large",
	} {
		_, err := Decode("f", []byte(in))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("%.60q: %v", in, err)
		}
	}
	if _, err := os.Lstat("pwned"); err == nil {
		t.Error("something was executed")
	}
}

func TestExcludeFrom(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("*.tmp\n\n# no\n/x/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Decode("f", []byte("sync{default.rsync, source='/a', target='/b', excludeFrom='"+list+"'}"))
	if err != nil || cmp.Diff([]string{"*.tmp", "/x/"}, got.Config.Roots[0].Exclude) != "" {
		t.Errorf("%+v, %v", got.Config, err)
	}
}

// FuzzDecode holds Decode to an answer with its place, whatever the bytes.
func FuzzDecode(f *testing.F) {
	for _, c := range files {
		f.Add([]byte(c.in))
	}
	f.Add([]byte("sync{default.rsync,source='/a',target=1 ..'/b'..x,rsync={_extra={'-e','x'},timeout=-1}}"))
	f.Add([]byte("a=0x1p4 a=a..a sync(a) for"))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := Decode("f", data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("no place: %q", line)
				}
			}
			return
		}
		if len(res.Config.Roots) == 0 || len(res.Config.Roots[0].Remotes) == 0 {
			t.Errorf("neither an error nor a remote: %+v", res.Config)
		}
	})
}
