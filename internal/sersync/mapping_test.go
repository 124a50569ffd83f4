package sersync

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fansync/fansync/internal/config"
)

func shipped(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/shipped.xml")
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte, opts Options) Result {
	t.Helper()
	opts.Dir = "/cwd"
	res, err := Decode("confxml.xml", data, opts)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

var same = cmpopts.IgnoreUnexported(config.Config{})

// TestShipped: the shipped file with -r.
func TestShipped(t *testing.T) {
	got := decode(t, shipped(t), Options{Compare: true})
	want := config.Config{FailLog: "/tmp/rsync_fail_log.sh", FailLogEvery: config.Duration(time.Hour), Roots: []config.Root{{
		Path:    "/opt/tongbu",
		Remotes: []config.Remote{{Dest: "127.0.0.1::tongbu1", RsyncOptions: []string{"-z"}}},
	}}}
	if diff := cmp.Diff(want, got.Config, same, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantNotes(t, got.Notes, "line 4: <host>: it is not used", "line 29: <commonParams>: -u is left out")
}

// wantNotes demands these notes, by their beginnings, and no others.
func wantNotes(t *testing.T, notes []Note, want ...string) {
	t.Helper()
	var got []string
	for _, n := range notes {
		got = append(got, n.String())
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, w) })
		if i < 0 {
			t.Errorf("no note %q", w)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, s := range got {
		t.Errorf("note %q", s)
	}
}

// edited is the shipped file with replacements, old and new in turn.
func edited(t *testing.T, pairs ...string) []byte {
	t.Helper()
	data := shipped(t)
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(data, []byte(pairs[i])) {
			t.Fatalf("the shipped file has no %q", pairs[i])
		}
		data = bytes.ReplaceAll(data, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return data
}

// TestSettings: each element, switched on or off.
func TestSettings(t *testing.T) {
	root := func(f func(r *config.Root)) func(*config.Config) {
		return func(c *config.Config) { f(&c.Roots[0]) }
	}
	remote := func(f func(m *config.Remote)) func(*config.Config) {
		return func(c *config.Config) { f(&c.Roots[0].Remotes[0]) }
	}
	auth := []string{`<auth start="false"`, `<auth start="true"`}
	port := []string{`<userDefinedPort start="false"`, `<userDefinedPort start="true"`}
	ssh := []string{`<ssh start="false"`, `<ssh start="true"`}
	for name, c := range map[string]struct {
		edit   []string
		change func(*config.Config)
		notes  []string
	}{
		"debug": {[]string{`<debug start="false"`, `<debug start="true"`}, func(c *config.Config) { c.LogLevel = "debug" }, nil},
		"xfs":   {[]string{`xfs="false"`, `xfs="true"`}, nil, []string{"line 6: <fileSystem>: xfs is without effect"}},
		"filter": {[]string{`<filter start="false">` + "\n\t<exclude", `<filter start="true">` + "\n\t<exclude"},
			root(func(r *config.Root) { r.ExcludeRegex = []string{`(.*)\.svn`, `(.*)\.gz`, `^info/*`, `^static/*`} }), nil},
		"delete":           {[]string{`<delete start="true"`, `<delete start="false"`}, root(func(r *config.Root) { r.Delete = "off" }), []string{"line 14: <delete>: it is off"}},
		"createFolder":     {[]string{`<createFolder start="true"`, `<createFolder start="false"`}, nil, []string{"line 15: <createFolder>: it is off"}},
		"createFile":       {[]string{`<createFile start="false"`, `<createFile start="true"`}, nil, nil},
		"closeWrite":       {[]string{`<closeWrite start="true"`, `<closeWrite start="false"`}, nil, []string{"line 17: <closeWrite>: it is off"}},
		"moveFrom":         {[]string{`<moveFrom start="true"`, `<moveFrom start="false"`}, root(func(r *config.Root) { r.Delete = "off" }), []string{"line 18: <moveFrom>: it is off"}},
		"moveTo":           {[]string{`<moveTo start="true"`, `<moveTo start="false"`}, nil, []string{"line 19: <moveTo>: it is off"}},
		"attrib":           {[]string{`<attrib start="false"`, `<attrib start="true"`}, nil, nil},
		"modify":           {[]string{`<modify start="false"`, `<modify start="true"`}, nil, nil},
		"not exactly true": {[]string{`<attrib start="false"`, `<attrib start="TRUE"`}, nil, []string{`line 20: <attrib>: start="TRUE" is not "true"`}},
		"auth":             {auth, remote(func(m *config.Remote) { m.Dest, m.PasswordFile = "root@127.0.0.1::tongbu1", "/etc/rsync.pas" }), nil},
		"relative password file": {append([]string{"/etc/rsync.pas", "user.pass"}, auth...),
			remote(func(m *config.Remote) { m.Dest, m.PasswordFile = "root@127.0.0.1::tongbu1", "/cwd/user.pass" }), nil},
		"port": {port, remote(func(m *config.Remote) { m.Dest = "rsync://127.0.0.1:874/tongbu1" }), nil},
		"auth and port": {append(auth, port...), remote(func(m *config.Remote) {
			m.Dest, m.PasswordFile = "rsync://root@127.0.0.1:874/tongbu1", "/etc/rsync.pas"
		}), nil},
		"timeout": {[]string{`<timeout start="false"`, `<timeout start="true"`}, remote(func(m *config.Remote) { m.Timeout = config.Duration(100 * time.Second) }), nil},
		"ssh":     {append([]string{`name="tongbu1"`, `name="/data/x"`}, ssh...), remote(func(m *config.Remote) { m.Dest = "127.0.0.1:/data/x" }), nil},
		"ssh with port and auth": {slices.Concat([]string{`name="tongbu1"`, `name="/data/x"`}, ssh, port, auth),
			remote(func(m *config.Remote) { m.Dest, m.SSH = "root@127.0.0.1:/data/x", "ssh -p 874" }),
			[]string{"line 30: <auth>: with ssh the password file is left out", "line 31: <userDefinedPort>: ssh now goes to port 874"}},
		"IPv6":    {append([]string{`ip="127.0.0.1"`, `ip="fe80::1"`}, port...), remote(func(m *config.Remote) { m.Dest = "rsync://[fe80::1]:874/tongbu1" }), nil},
		"crontab": {[]string{`<crontab start="false"`, `<crontab start="true"`}, root(func(r *config.Root) { r.FullEvery = config.Duration(10 * time.Hour) }), nil},
		"crontabfilter": {[]string{`<crontab start="false"`, `<crontab start="true"`, `<crontabfilter start="false"`, `<crontabfilter start="true"`},
			root(func(r *config.Root) {
				r.FullEvery, r.FullExclude = config.Duration(10*time.Hour), []string{"*.php", "info/*"}
			}), []string{"line 37: <crontabfilter>: every comparison of everything leaves these alone"}},
		"crontabfilter alone": {[]string{`<crontabfilter start="false"`, `<crontabfilter start="true"`}, nil, []string{"line 37: <crontabfilter>: it has no effect"}},
		"crontab never":       {[]string{`<crontab start="false" schedule="600"`, `<crontab start="true" schedule="0"`}, nil, []string{`line 36: <crontab>: schedule="0" is not`}},
		"second remote": {[]string{`name="tongbu1"/>`, `name="tongbu1"/><remote name="m2" ip="10.0.0.2"/><remote ip="127.0.0.1" name="tongbu1"/>`},
			root(func(r *config.Root) {
				r.Remotes = append(r.Remotes, config.Remote{Dest: "10.0.0.2::m2", RsyncOptions: []string{"-z"}})
			}), []string{"line 25: <remote>: it is the same as one before"}},
		"failLog": {[]string{`path="/tmp/rsync_fail_log.sh" timeToExecute="60"`, `path="log/f" timeToExecute="5"`},
			func(c *config.Config) {
				c.FailLog, c.FailLogEvery = "/cwd/log/f", config.Duration(5*time.Minute)
			}, nil},
		"failLog 0": {[]string{`timeToExecute="60"`, `timeToExecute="0"`}, func(c *config.Config) { c.FailLogEvery = config.Duration(time.Minute) },
			[]string{`line 35: <failLog>: timeToExecute="0" is not`}},
		"unknown": {[]string{`<debug start="false"/>`, `<debug start="false" colour="red"/><bogus a="1"/>`}, nil,
			[]string{`line 5: <debug>: attribute "colour" is not known`, "line 5: <bogus>: it is not known in <head>"}},
		"twice": {[]string{`<debug start="false"/>`, `<debug start="false"/><debug start="true"/>`}, nil, []string{"line 5: <debug>: it stands there twice"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := decode(t, shipped(t), Options{Compare: true})
			if c.change != nil {
				c.change(&want.Config)
			}
			got := decode(t, edited(t, c.edit...), Options{Compare: true})
			if diff := cmp.Diff(want.Config, got.Config, same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantNotes(t, got.Notes, append(c.notes, "line 4: <host>", "line 29: <commonParams>: -u")...)
		})
	}
}

// TestRoundTrip: what is imported is the same configuration, of a file with
// everything switched on.
func TestRoundTrip(t *testing.T) {
	all := edited(t, `<param prefix="/bin/sh"`, `<param prefix="'/a b' \"`, `watch="/opt/tongbu">`+"\n\t    <remote", "watch=\"/opt/a 'b' &quot;c&quot; #\">\n\t    <remote")
	all = bytes.ReplaceAll(all, []byte(`start="false"`), []byte(`start="true"`))
	all = bytes.ReplaceAll(all, []byte(`<ssh start="true"`), []byte(`<ssh start="false"`))
	for _, opts := range []Options{{}, {Compare: true}, {Threads: 3}} {
		for _, data := range [][]byte{all, shipped(t)} {
			want := decode(t, data, opts).Config
			text, err := want.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.Decode("imported", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(want.WithDefaults(), got.WithDefaults(), same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.Validate(nil); err != nil {
				t.Error(err)
			}
		}
	}
	gbk := decode(t, edited(t, "/opt/tongbu", "/opt/\xd6\xd0"), Options{})
	if _, err := gbk.Config.Encode(); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a path that TOML cannot hold: %v", err)
	}
}

// TestMissing: what is not there has the value of the shipped file.
func TestMissing(t *testing.T) {
	small := `<head><sersync><localpath watch="/opt/tongbu"><remote ip="127.0.0.1" name="tongbu1"/></localpath></sersync></head>`
	got, want := decode(t, []byte(small), Options{Compare: true}), decode(t, shipped(t), Options{Compare: true})
	if diff := cmp.Diff(want.Config, got.Config, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOptions: -r, its absence, -n, and several directories.
func TestOptions(t *testing.T) {
	res := decode(t, shipped(t), Options{})
	if got := res.Config.Roots[0].Delete; got != "listed" {
		t.Errorf("without -r delete is %q", got)
	}
	wantNotes(t, res.Notes, "line 4: <host>", "line 29: <commonParams>", "<sersync>: without -r and crontab sersync deletes only what it sees")
	res = decode(t, edited(t, `<crontab start="false"`, `<crontab start="true"`), Options{})
	if got := res.Config.Roots[0].Delete; got != "" {
		t.Errorf("with crontab delete is %q", got)
	}
	res = decode(t, shipped(t), Options{Compare: true, Threads: 100})
	if got := res.Config.Roots[0].Remotes[0].Parallel; got != 64 {
		t.Errorf("-n 100 is %d", got)
	}
	two := `<localpath watch="a b/"><remote ip="h" name="m"/></localpath>`
	res = decode(t, edited(t, `</localpath>`+"\n\t<rsync>", "</localpath>"+two+"\n\t<rsync>"), Options{Compare: true})
	if len(res.Config.Roots) != 2 || res.Config.Roots[1].Path != "/cwd/a b" {
		t.Errorf("two directories: %+v", res.Config.Roots)
	}
	wantNotes(t, res.Notes, "line 4: <host>", "line 29: <commonParams>", "line 27: <localpath>: sersync mirrored the first")
}

func TestMistakes(t *testing.T) {
	for want, edit := range map[string][]string{
		`<localpath>: it is missing`:                         {`<localpath watch="/opt/tongbu">` + "\n\t    <remote ip=\"127.0.0.1\" name=\"tongbu1\"/>", "<other>", "</localpath>\n\t<rsync>", "</other><rsync>"},
		`confxml.xml:24: <localpath>: watch is missing`:      {"<localpath watch=\"/opt/tongbu\">\n\t    <remote", "<localpath>\n\t    <remote"},
		`confxml.xml:25: <remote>: ip and name are required`: {`ip="127.0.0.1"`, ``},
		`confxml.xml:24: <remote>: there is none`:            {`<remote ip="127.0.0.1" name="tongbu1"/>`, ``},
		`confxml.xml:8: <exclude>: expression "*.php"`:       {`<filter start="false">` + "\n\t<exclude", `<filter start="true">` + "\n\t<exclude", `(.*)\.svn`, `*.php`},
		`<userDefinedPort>: port="ssh" is not a number`:      {`start="false" port="874"`, `start="true" port="ssh"`},
		`confxml.xml:29: <commonParams>: '$' is for a shell`: {`-artuz`, `-artuz $OPTS`},
		`<commonParams>: ';' is for a shell`:                 {`-artuz`, `-artuz; touch pwned`},
		`<commonParams>: '` + "`" + `' is for a shell`:       {`-artuz`, "-artuz `touch pwned`"},
		`<commonParams>: a '"' is not closed`:                {`"-artuz"`, `'-artuz "x'`},
		`-n would mirror nothing`:                            {`-artuz`, `-artuzn`},
		`--remove-source-files deletes the source`:           {`-artuz`, `-artuz --remove-source-files`},
		`rsync option "pwned"`:                               {`-artuz`, `-artuz pwned`},
		`--exclude-from=/nowhere: no such file`:              {`-artuz`, `-artuz --exclude-from=/nowhere`},
	} {
		_, err := Decode("confxml.xml", edited(t, edit...), Options{Dir: "/cwd"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestCommonParams: what is known to people as rsync's parameters of sersync.
func TestCommonParams(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("*.tmp\n# no\n\n+ /keep\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for in, c := range map[string]struct {
		options, rules, notes []string
		ssh                   string
	}{
		`-artuz`:                       {options: []string{"-z"}, notes: []string{"-u"}},
		`-artz --delete --progress -v`: {options: []string{"-z"}, notes: []string{"--delete is left out", "--progress is left out", "-v is left out"}},
		`-avzP`:                        {options: []string{"-z", "--partial"}, notes: []string{"-v is left out"}},
		`-a --exclude=*.log --exclude '.git/' --include="a b"`: {rules: []string{"- *.log", "- .git/", "+ a b"}},
		`-a --bwlimit=100 --chmod=F644`:                        {options: []string{"--bwlimit=100", "--chmod=F644"}},
		`-a -e 'ssh -p 2222 -i /k'`:                            {ssh: "ssh -p 2222 -i /k"},
		`-a --exclude-from=` + list:                            {rules: []string{"- *.tmp", "+ /keep"}, notes: []string{"the patterns of"}},
		`-rtz`: {options: []string{"-z", "--no-links", "--no-perms", "--no-group", "--no-owner", "--no-devices", "--no-specials"},
			notes: []string{"without -a the mirror leaves out"}},
		`-rlptgoD`:                     {},
		`-tlpgoD`:                      {notes: []string{"-r is not there"}},
		`-a --rsync-path='sudo rsync'`: {options: []string{"--rsync-path=sudo rsync"}},
	} {
		data := fmt.Sprintf(`<head><sersync><localpath watch="/s"><remote ip="h" name="/m"/></localpath><rsync><commonParams params="%s"/></rsync></sersync></head>`,
			strings.NewReplacer(`"`, "&quot;", "&", "&amp;").Replace(in))
		res := decode(t, []byte(data), Options{Compare: true})
		root := res.Config.Roots[0]
		m := root.Remotes[0]
		if cmp.Diff(c.options, m.RsyncOptions, cmpopts.EquateEmpty()) != "" || cmp.Diff(c.rules, root.Filters, cmpopts.EquateEmpty()) != "" || m.SSH != c.ssh {
			t.Errorf("%s: options %q, rules %q, ssh %q", in, m.RsyncOptions, root.Filters, m.SSH)
		}
		if err := res.Config.Validate(nil); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		for i := range c.notes {
			c.notes[i] = "line 1: <commonParams>: " + c.notes[i]
		}
		wantNotes(t, res.Notes, c.notes...)
	}
}

// TestPlugins: each block, switched on by the file or by -m.
func TestPlugins(t *testing.T) {
	on := func(name string) []string {
		return []string{`<plugin start="false" name="command"/>`, `<plugin start="true" name="` + name + `"/>`}
	}
	command := config.Plugin{Name: "command", Type: "command", Command: []string{"/bin/sh", "{}"}, IgnoreError: true}
	socket := config.Plugin{Name: "socket", Type: "socket", Format: "path", Address: "192.168.138.20:8009", Path: "/opt/tongbu"}
	cdn := config.Plugin{Name: "refreshCDN", Type: "cdn", Address: "ccms.chinacache.com:80", User: "xxxx", Password: "xxxx",
		Base: "http://pic.xoyo.com/cms", Path: "/data0/htdocs/cms.xoyo.com/site"}
	matching := cdn
	matching.Match = "cms.xoyo.com/site([/a-zA-Z0-9]*).xoyo.com/images"
	filtered := command
	filtered.Command, filtered.Include = []string{"/a b", "-x", "{}", "c d"}, []string{`(.*)\.php`, `(.*)\.sh`}
	http := config.Plugin{Name: "http", Type: "http", URL: "https://h/p", TokenFile: "/cwd/token", Path: "/opt"}
	for name, c := range map[string]struct {
		edit  []string
		want  config.Plugin
		notes []string
	}{
		"command": {on("command"), command, []string{`line 45: <param>: prefix="/bin/sh" makes each file that changes a script`}},
		"filter": {append([]string{`prefix="/bin/sh" suffix=""`, `prefix="'/a b' -x" suffix="&quot;c d&quot;"`,
			"<filter start=\"false\">\n\t    <include", "<filter start=\"true\">\n\t    <include"}, on("command")...), filtered, nil},
		"socket":     {on("socket"), socket, nil},
		"refreshCDN": {on("refreshCDN"), cdn, []string{"line 58: <cdninfo>: the password stands in the file", "line 42: <plugin>: /data0/htdocs/cms.xoyo.com/site, which it watches, is not mirrored"}},
		"regexurl":   {append([]string{`regex="false"`, `regex="true"`}, on("refreshCDN")...), matching, []string{"line 58: <cdninfo>", "line 42: <plugin>"}},
		"http": {append([]string{`<plugin name="socket">`, `<plugin name="http"><localpath watch="/opt"><http url="https://h/p" tokenfile="token"/></localpath></plugin><plugin name="socket">`}, on("http")...),
			http, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := decode(t, edited(t, c.edit...), Options{Compare: true})
			if diff := cmp.Diff([]config.Plugin{c.want}, got.Config.Plugins); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.Config.Validate(nil); err != nil {
				t.Error(err)
			}
			wantNotes(t, got.Notes, append(c.notes, "line 4: <host>", "line 29: <commonParams>: -u")...)
			watch := c.want.Path
			if watch == "" {
				watch = "/opt/tongbu"
			}
			got = decode(t, edited(t, c.edit...), Options{Only: c.want.Name})
			want := config.Config{Plugins: []config.Plugin{c.want}, Roots: []config.Root{{Path: watch}}}
			if diff := cmp.Diff(want, got.Config, same); diff != "" {
				t.Errorf("-m (-want +got):\n%s", diff)
			}
		})
	}
	for want, edit := range map[string][]string{
		`<plugin>: name="pigeon" is not known`:              on("pigeon"),
		`there is no <plugin name="http"> block`:            on("http"),
		`<param>: prefix: '|' is for a shell`:               append([]string{`prefix="/bin/sh"`, `prefix="cat |"`}, on("command")...),
		`<deshost>: it is missing`:                          append([]string{`<deshost ip="192.168.138.20" port="8009"/>`, ``}, on("socket")...),
		`<cdninfo>: <cdninfo> and <sendurl> are required`:   append([]string{`<sendurl`, `<other`}, on("refreshCDN")...),
		`prefix is empty: sersync would execute every file`: append([]string{`prefix="/bin/sh"`, `prefix=""`}, on("command")...),
	} {
		_, err := Decode("confxml.xml", edited(t, edit...), Options{Dir: "/cwd"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := Decode("f", shipped(t), Options{Dir: "/", Only: "pigeon"}); err == nil {
		t.Error("-m pigeon is taken")
	}
}
