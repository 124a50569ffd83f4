package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseDest(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in   string
		want Dest
		arg  string
	}{
		{"/mnt/x", Dest{Kind: Local, Path: "/mnt/x"}, "/mnt/x/"},
		{"/mnt//x/", Dest{Kind: Local, Path: "/mnt/x"}, "/mnt/x/"},
		{"/", Dest{Kind: Local, Path: "/"}, "/"},
		{"/mnt/a:b", Dest{Kind: Local, Path: "/mnt/a:b"}, "/mnt/a:b/"},
		{"rel/x", Dest{Kind: Local, Path: filepath.Join(wd, "rel/x")}, wd + "/rel/x/"},
		{"./a:b", Dest{Kind: Local, Path: filepath.Join(wd, "a:b")}, wd + "/a:b/"},
		{"d/a::b", Dest{Kind: Local, Path: filepath.Join(wd, "d/a::b")}, wd + "/d/a::b/"},
		{"[x]", Dest{Kind: Local, Path: filepath.Join(wd, "[x]")}, wd + "/[x]/"},
		{"host::mod", Dest{Kind: Daemon, Host: "host", Module: "mod"}, "rsync://host/mod/"},
		{"u@host::mod/p/q/", Dest{Kind: Daemon, User: "u", Host: "host", Module: "mod", Path: "p/q"}, "rsync://u@host/mod/p/q/"},
		{"u@[::1]::mod", Dest{Kind: Daemon, User: "u", Host: "::1", Module: "mod"}, "rsync://u@[::1]/mod/"},
		{"rsync://host/mod", Dest{Kind: Daemon, Host: "host", Module: "mod"}, "rsync://host/mod/"},
		{"RSYNC://host:873/mod/a b", Dest{Kind: Daemon, Host: "host", Port: 873, Module: "mod", Path: "a b"}, "rsync://host:873/mod/a b/"},
		{"rsync://u@[::1]:8730/mod/x", Dest{Kind: Daemon, User: "u", Host: "::1", Port: 8730, Module: "mod", Path: "x"}, "rsync://u@[::1]:8730/mod/x/"},
		{"rsync://[fe80::1]/mod", Dest{Kind: Daemon, Host: "fe80::1", Module: "mod"}, "rsync://[fe80::1]/mod/"},
		{"host:/p", Dest{Kind: SSH, Host: "host", Path: "/p"}, "host:/p/"},
		{"u@host:p q/", Dest{Kind: SSH, User: "u", Host: "host", Path: "p q"}, "u@host:p q/"},
		{"host:/", Dest{Kind: SSH, Host: "host", Path: "/"}, "host:/"},
		{"host:~/p", Dest{Kind: SSH, Host: "host", Path: "p"}, "host:p/"},
		{"u@[::1]:/p", Dest{Kind: SSH, User: "u", Host: "::1", Path: "/p"}, "u@[::1]:/p/"},
	} {
		got, err := ParseDest(tc.in)
		tc.want.Raw = tc.in
		if err != nil || got != tc.want {
			t.Errorf("ParseDest(%q) = %+v, %v; want %+v", tc.in, got, err, tc.want)
		}
		if got.Arg() != tc.arg {
			t.Errorf("ParseDest(%q).Arg() = %q, want %q", tc.in, got.Arg(), tc.arg)
		}
		again, err := ParseDest(got.String())
		again.Raw = got.Raw
		if err != nil || again != got {
			t.Errorf("ParseDest(%q) = %+v, %v; want %+v again", got.String(), again, err, got)
		}
	}
}

func TestParseDestErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "empty",
		"a\x00b":                  "NUL",
		"rsync://host":            "module is missing",
		"rsync://host/":           "module is missing",
		"rsync://host//x":         "module is missing",
		"rsync:///mod":            "host is missing",
		"rsync://host:abc/mod":    "port",
		"rsync://host:0/mod":      "port",
		"rsync://host:70000/mod":  "port",
		"rsync://::1/mod":         "brackets",
		"rsync://u:pw@host/mod":   "--password-file",
		"u:pw@host::mod":          "--password-file",
		"rsync://@host/mod":       "before the @",
		"host::":                  "module is missing",
		"host::/mod":              "module is missing",
		"::mod":                   "host is missing",
		":/p":                     "host is missing",
		"@host:/p":                "before the @",
		"host:":                   "path is missing",
		"host:~":                  "home directory",
		"host:~/":                 "home directory",
		"host:~bob/x":             "~USER",
		"-oProxyCommand=x:/p":     "dash",
		"-lx@host:/p":             "dash",
		"host:/p/*":               "expands",
		"host::mod/a?":            "expands",
		"rsync://host/mod/[a]":    "expands",
		"ssh://host/p":            "not known to rsync",
		"http://host:80/p":        "not known to rsync",
		"ho st:/p":                "not a host",
		"rsync://ho st/mod/path":  "not a host",
		"rsync://[::1/mod":        "not a host",
		"rsync://u@ser:pw@h/mod/": "--password-file",
	} {
		_, err := ParseDest(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDest(%q): error %v, want one with %q", in, err, want)
		}
	}
}

func FuzzParseDest(f *testing.F) {
	for _, s := range []string{"/a", "h:p", "h::m/p", "rsync://u@[::1]:1/m", "[::1]:/p", "a:b:c", "x@y@z:/p"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDest(s)
		if err != nil {
			return
		}
		arg := d.Arg()
		if !strings.HasSuffix(arg, "/") || strings.HasPrefix(arg, "-") {
			t.Errorf("ParseDest(%q).Arg() = %q", s, arg)
		}
		again, err := ParseDest(d.String())
		if err != nil || again.String() != d.String() || again.Kind != d.Kind {
			t.Errorf("ParseDest(%q) = %+v, again %+v, %v", s, d, again, err)
		}
	})
}
