package receive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModuleOf(t *testing.T) {
	for dir, want := range map[string]string{
		"/srv/www":              "www",
		"/srv/my site (new)":    "my-site--new",
		"/srv/..hidden":         "hidden",
		"/srv/-x":               "x",
		"/srv/a]b/c[d":          "c-d",
		"/srv/\xff\xfe":         "mirror",
		"/srv/网站":               "mirror",
		"/srv/Global":           "mirror",
		"/":                     "mirror",
		"/srv/" + long:          long[:maxName],
		"/srv/web.example_1-2":  "web.example_1-2",
		"/srv/%HOME%":           "HOME",
		"/srv/a*b?c":            "a-b-c",
		"/srv/trailing blank  ": "trailing-blank",
	} {
		got := moduleOf(dir)
		if got != want {
			t.Errorf("moduleOf(%q) = %q, want %q", dir, got, want)
		}
		if !nameForm.MatchString(got) || len(got) > maxName {
			t.Errorf("moduleOf(%q) = %q, which is no module's name", dir, got)
		}
	}
}

var long = strings.Repeat("x", 200)

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"":             `''`,
		"/srv/www":     `/srv/www`,
		"a b":          `'a b'`,
		"it's":         `'it'\''s'`,
		"$(reboot)`x`": "'$(reboot)`x`'",
		"~root":        `'~root'`,
		"a\nb":         "'a\nb'",
		"#x":           `'#x'`,
		"\xff":         "'\xff'",
	} {
		if got := quote(s); got != want {
			t.Errorf("quote(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "dir")
	file := filepath.Join(base, "file")
	link := filepath.Join(base, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		conf Config
		want string
	}{
		{"no directory", Config{}, "no directory"},
		{"the whole disk", Config{Dir: "/"}, "may not go into /"},
		{"the whole disk by a link", Config{Dir: link}, "may not go into /"},
		{"a file", Config{Dir: file}, "is not a directory"},
		{"two levels missing", Config{Dir: filepath.Join(base, "no", "no")}, "mkdir -p"},
		{"module with a slash", Config{Dir: dir, Module: "a/b"}, "--module"},
		{"module with a bracket", Config{Dir: dir, Module: "a]"}, "--module"},
		{"module global", Config{Dir: dir, Module: "GLOBAL"}, "--module"},
		{"user list", Config{Dir: dir, User: "a,b"}, "--user"},
		{"user group", Config{Dir: dir, User: "@wheel"}, "--user"},
		{"user with rights", Config{Dir: dir, User: "a:rw"}, "--user"},
		{"port", Config{Dir: dir, Port: 70000}, "--port"},
		{"listen", Config{Dir: dir, Listen: "example.org"}, "--listen"},
		{"foreign address", Config{Dir: dir, Listen: "192.0.2.1"}, "--listen"},
		{"state inside", Config{Dir: dir, StateDir: filepath.Join(dir, "state")}, "--state-dir"},
		{"state is it", Config{Dir: dir, StateDir: dir}, "--state-dir"},
		{"inside the state", Config{Dir: dir, StateDir: base}, "--state-dir"},
		{"variable", Config{Dir: filepath.Join(base, "%HOME%")}, `"%"`},
		{"newline", Config{Dir: filepath.Join(base, "a\nuid = 0")}, "control character"},
		{"newline in state", Config{Dir: dir, StateDir: filepath.Join(base, "s\nt")}, "control character"},
		{"no rsync", Config{Dir: dir, Rsync: "no-such-rsync"}, "apt-get install rsync"},
		{"no rsync by path", Config{Dir: dir, Rsync: "/nonexistent/rsync"}, "apt-get install rsync"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.conf.StateDir == "" {
				tt.conf.StateDir = filepath.Join(t.TempDir(), "state")
			}
			r, err := Prepare(tt.conf)
			if err == nil {
				t.Fatal("Prepare took it: ", r.Close())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
}

func TestDefaultStateDir(t *testing.T) {
	if os.Geteuid() == 0 {
		c, err := Config{Dir: "/srv/www"}.withDefaults()
		if err != nil || c.StateDir != "/var/lib/fansync/receive/www" {
			t.Errorf("state directory %q, %v", c.StateDir, err)
		}
		return
	}
	t.Setenv("XDG_STATE_HOME", "/nonexistent/state")
	c, err := Config{Dir: "/srv/www"}.withDefaults()
	if err != nil || c.StateDir != "/nonexistent/state/fansync/receive/www" {
		t.Errorf("state directory %q, %v", c.StateDir, err)
	}
}

func TestSourceLine(t *testing.T) {
	for _, tt := range []struct {
		name, listen, src, want string
	}{
		{"loopback", "127.0.0.1", "SRC", "fansync SRC rsync://u@127.0.0.1:9/m/ --password-file '/s d/password'"},
		{"loopback 6", "::1", "SRC", "fansync SRC 'rsync://u@[::1]:9/m/' --password-file '/s d/password'"},
		{"dash and blank", "127.0.0.1", "-a b", "fansync './-a b' rsync://u@127.0.0.1:9/m/ --password-file '/s d/password'"},
		{"address", "192.0.2.1", "SRC", "# first copy '/s d/password' of this machine to the source, as fansync-m.password with mode 0600\n" +
			"fansync SRC rsync://u@192.0.2.1:9/m/ --password-file fansync-m.password"},
	} {
		r := &Receiver{conf: Config{Listen: tt.listen, Port: 9, Module: "m", User: "u"}, state: &state{dir: "/s d"}}
		if got := r.SourceLine(tt.src); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	r := &Receiver{conf: Config{Listen: "0.0.0.0", Port: 9, Module: "m", User: "u"}, state: &state{dir: "/s"}}
	if got := r.SourceLine("SRC"); !strings.Contains(got, "@"+host+":9/m/") {
		t.Errorf("%s\ndoes not name %s", got, host)
	}
}
