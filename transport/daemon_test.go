package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

// daemon is an rsync daemon whose modules all lie in dir.
type daemon struct {
	port     int
	dir      string
	password string
	wrong    string
}

func newDaemon(t *testing.T) daemon {
	t.Helper()
	needRsync(t)
	base := t.TempDir()
	d := daemon{freePort(t), filepath.Join(base, "module"), filepath.Join(base, "password"), filepath.Join(base, "wrong")}
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{d.password: "secret\n", d.wrong: "guess\n", filepath.Join(base, "secrets"): "bob:secret\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "address = 127.0.0.1\nport = %d\nuse chroot = no\nmunge symlinks = no\nread only = no\nlock file = %s/lock\n", d.port, base)
	if os.Geteuid() == 0 {
		b.WriteString("uid = 0\ngid = 0\n")
	}
	for _, module := range []string{"open", "auth\nauth users = bob\nsecrets file = " + base + "/secrets", "ro\nread only = yes",
		"full\nmax connections = -1", "denied\nhosts allow = 192.0.2.1", "picky\nrefuse options = delete", "gone\npath = " + base + "/nosuch",
		"hides\nexclude = secret"} {
		name, options, _ := strings.Cut(module, "\n")
		fmt.Fprintf(&b, "[%s]\npath = %s\n%s\n", name, d.dir, options)
	}
	conf := filepath.Join(base, "rsyncd.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, d.port, "rsync", "--daemon", "--no-detach", "--config="+conf)
	return d
}

func (d daemon) dest(t *testing.T, module string) Dest {
	t.Helper()
	user, name, ok := strings.Cut(module, "@")
	if ok {
		user += "@"
	} else {
		user, name = "", module
	}
	dest, err := ParseDest("rsync://" + user + "127.0.0.1:" + strconv.Itoa(d.port) + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

func TestDaemon(t *testing.T) {
	d := newDaemon(t)
	for _, tc := range []struct {
		name, module, sub string
		cfg               Config
	}{
		{"open", "open", "", Config{}},
		{"with a password", "bob@auth", "", Config{PasswordFile: d.password}},
		{"below the module", "open/x y", "x y", Config{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			remove(t, d.dir, "")
			write(t, d.dir, "/")
			tc.cfg.Dest = d.dest(t, tc.module)
			p := newPair(t, tc.cfg, filepath.Join(d.dir, tc.sub))
			if res := p.Probe(t.Context()); res.Class != scheduler.OK {
				t.Fatalf("probe: %+v", res)
			}
			write(t, p.src, "f", "d/e/g", "l@d")
			write(t, p.src, oddNames...)
			p.mustSend(scheduler.Flat, append([]string{"d/", "f", "l"}, oddNames...)...)
			p.mustSend(scheduler.Deep, "d")
			p.same()
			remove(t, p.src, "d", "f")
			p.mustSend(scheduler.Flat, "!d", "!f")
			p.same()
			var calls []scheduler.Progress
			write(t, p.src, "big="+strings.Repeat("x", 100_000), "d/h")
			res := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Full, MaxDelete: -1}, func(pr scheduler.Progress) { calls = append(calls, pr) })
			if res.Class != scheduler.OK || len(calls) == 0 || calls[len(calls)-1].Checked != calls[len(calls)-1].Total || res.Stats.Wire == 0 {
				t.Errorf("full: %+v after %+v", res, calls)
			}
			p.same()
		})
	}
}

func TestDaemonRefuses(t *testing.T) {
	d := newDaemon(t)
	closed := freePort(t)
	nobody := Dest{Kind: Daemon, Host: "127.0.0.1", Port: closed, Module: "m"}
	nowhere := Dest{Kind: Daemon, Host: "nosuch.invalid", Module: "m"}
	for _, tc := range []struct {
		name  string
		cfg   Config
		class scheduler.Class
		say   string
	}{
		{"wrong password", Config{Dest: d.dest(t, "bob@auth"), PasswordFile: d.wrong}, permanent, "refused the login"},
		{"wrong user", Config{Dest: d.dest(t, "joe@auth"), PasswordFile: d.password}, permanent, "refused the login"},
		{"no password", Config{Dest: d.dest(t, "bob@auth")}, permanent, "asks for a password"},
		{"unknown module", Config{Dest: d.dest(t, "nosuch")}, permanent, "has no module nosuch"},
		{"read only", Config{Dest: d.dest(t, "ro")}, permanent, "is read only"},
		{"max connections", Config{Dest: d.dest(t, "full")}, transient, "connections in use"},
		{"hosts allow", Config{Dest: d.dest(t, "denied")}, permanent, "hosts allow"},
		{"refuse options", Config{Dest: d.dest(t, "picky")}, permanent, "refuse options"},
		{"directory gone", Config{Dest: d.dest(t, "gone")}, permanent, "cannot enter the module"},
		{"connection refused", Config{Dest: nobody}, transient, "cannot reach"},
		{"unknown host", Config{Dest: nowhere}, transient, "nosuch.invalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPair(t, tc.cfg, d.dir)
			write(t, p.src, "f", "d/f")
			probe := p.Probe(t.Context())
			send := p.send(scheduler.Flat, "d/", "f")
			for what, res := range map[string]scheduler.Result{"probe": probe, "send": send} {
				if res.Class != tc.class || !strings.Contains(res.Message, tc.say) || strings.Contains(res.Message, "\n") {
					t.Errorf("%s: %+v, want %s with %q", what, res, tc.class, tc.say)
				}
			}
			exists(t, d.dir, false, "f", "d")
		})
	}
}

func TestProbeChangesNothing(t *testing.T) {
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "open/new")}, d.dir)
	write(t, p.src, "f")
	before := tree(t, d.dir)
	if res := p.Probe(t.Context()); res.Class != scheduler.OK {
		t.Errorf("%+v", res)
	}
	if after := tree(t, d.dir); len(after) != len(before) || after["."] != before["."] {
		t.Errorf("%v became %v", before, after)
	}
}

func TestDaemonNamesWhatItRefuses(t *testing.T) {
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "hides")}, d.dir)
	write(t, p.src, "a", "secret", "z")
	res := p.send(scheduler.Flat, "a", "secret", "z")
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "secret" {
		t.Errorf("%+v", res)
	}
	exists(t, d.dir, true, "a", "z")
}

// What the daemon may not write is named as the batch named it, odd names
// included; the rest arrives.
func TestDaemonPathErrors(t *testing.T) {
	needRoot(t)
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "open/sub")}, filepath.Join(d.dir, "sub"))
	write(t, p.dst, "a/old", "ok/")
	age(t, filepath.Join(p.dst, "a"))
	immutable(t, filepath.Join(p.dst, "a"))
	names := []string{"a/.hidden", "a/new\nline", `a/q"uote`, "ok/f"}
	write(t, p.src, names...)
	res := p.send(scheduler.Flat, append(names, "!a/old")...)
	var failed []string
	for _, f := range res.Failed {
		failed = append(failed, f.Path)
	}
	want := []string{"a", "a/.hidden", "a/new\nline", "a/old", `a/q"uote`}
	if res.Class != scheduler.Partial || !slices.Equal(failed, want) {
		t.Errorf("failed %q of %+v, want %q", failed, res, want)
	}
	exists(t, p.dst, true, "ok/f")
}
