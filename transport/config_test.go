package transport

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

func TestPasswordFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	foreign := file("foreign", "secret\n", 0o600)
	if os.Geteuid() == 0 {
		if err := os.Chown(foreign, 12345, -1); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	group := file("group", "secret\n", 0o640)
	for name, want := range map[string]string{
		file("good", "secret\n", 0o600):    "",
		file("readonly", "secret", 0o400):  "",
		group:                              "chmod 600 " + group,
		file("others", "secret\n", 0o604):  "chmod 600",
		file("empty", "", 0o600):           "is empty",
		file("blank", "\nsecret\n", 0o600): "is empty",
		filepath.Join(dir, "nosuch"):       "does not exist",
		dir:                                "not a regular file",
		pipe:                               "not a regular file",
		foreign:                            "belongs to another user",
	} {
		if name == foreign && os.Geteuid() != 0 {
			t.Log("the owner is not checked: only root can give a file away")
			continue
		}
		_, err := New(Config{Root: dir, Dest: Dest{Kind: Daemon, Host: "h", Module: "m"}, PasswordFile: name})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: error %v, want one line with %q", name, err, want)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	local := Dest{Kind: Local, Path: "/mnt/x"}
	for want, cfg := range map[string]Config{
		"root":          {Root: "rel", Dest: local},
		"not absolute":  {Root: "/s", Dest: Dest{}},
		"no host":       {Root: "/s", Dest: Dest{Kind: Daemon, Host: "h"}},
		"no path":       {Root: "/s", Dest: Dest{Kind: SSH, Host: "h"}},
		"filter rule":   {Root: "/s", Dest: local, Filters: []string{""}},
		"newline":       {Root: "/s", Dest: local, Filters: []string{"- a\n- b"}},
		"--delete":      {Root: "/s", Dest: local, Options: []string{"--delete"}},
		"only an rsync": {Root: "/s", Dest: local, PasswordFile: "/etc/passwd"},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v): error %v, want one with %q", cfg, err, want)
		}
	}
}

func TestArgs(t *testing.T) {
	base := "-a --files-from=- --from0 --delete-missing-args --force --modify-window=-1 --stats --no-human-readable"
	local := Dest{Kind: Local, Path: "/mnt/x"}
	children := []scheduler.Item{{Path: "d", Children: true}}
	file := []scheduler.Item{{Path: "f"}}
	for _, tc := range []struct {
		name     string
		cfg      Config
		batch    scheduler.Batch
		progress bool
		want     string
	}{
		{"flat", Config{Dest: local}, scheduler.Batch{MaxDelete: -1, Items: file}, true, base + " --timeout=60 . /mnt/x/"},
		{"children", Config{Dest: local}, scheduler.Batch{MaxDelete: -1, Items: children}, false, base + " --delete --filter=-p .fansync-partial/ --timeout=60 . /mnt/x/"},
		{"racy", Config{Dest: local}, scheduler.Batch{Form: scheduler.Racy, MaxDelete: 0, Items: file}, false, base + " --ignore-times --max-delete=0 --timeout=60 . /mnt/x/"},
		{"deep", Config{Dest: local}, scheduler.Batch{Form: scheduler.Deep, MaxDelete: 7, Items: file}, false, base + " -r --delete --max-delete=7 --filter=-p .fansync-partial/ --timeout=60 . /mnt/x/"},
		{"deep racy", Config{Dest: local, Timeout: -1}, scheduler.Batch{Form: scheduler.DeepRacy, MaxDelete: -1, Items: file}, false, base + " -r --delete --ignore-times --filter=-p .fansync-partial/ . /mnt/x/"},
		{"full", Config{Dest: local}, scheduler.Batch{Form: scheduler.Full, MaxDelete: -1}, true, base + " -r --delete --info=progress2 --filter=-p .fansync-partial/ --timeout=60 . /mnt/x/"},
		{"counting", Config{Dest: local, Options: []string{"--no-whole-file"}}, scheduler.Batch{Form: scheduler.Full, Keep: true}, false, base + " -r --delete --max-delete=0 --partial-dir=.fansync-partial --filter=H .fansync-partial/ --filter=R .fansync-partial/ --timeout=60 --no-whole-file . /mnt/x/"},
		{"large", Config{Dest: local, Options: []string{"--no-whole-file"}}, scheduler.Batch{MaxDelete: -1, Items: file, Keep: true}, false, base + " --partial-dir=.fansync-partial --timeout=60 --no-whole-file . /mnt/x/"},
		{"large in place", Config{Dest: local, Options: []string{"--append-verify"}}, scheduler.Batch{MaxDelete: -1, Items: file, Keep: true}, false, base + " --timeout=60 --append-verify . /mnt/x/"},
		{"without large", Config{Dest: local}, scheduler.Batch{Form: scheduler.Deep, MaxDelete: -1, Items: file, MaxSize: 99}, false, base + " -r --delete --max-size=99 --filter=-p .fansync-partial/ --timeout=60 . /mnt/x/"},
		{"daemon", Config{Dest: Dest{Kind: Daemon, Host: "h", Module: "m"}, Timeout: 1}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=1 --no-motd --sockopts=TCP_NODELAY --contimeout=10 . rsync://h/m/"},
		{"daemon with a blank", Config{Dest: Dest{Kind: Daemon, Host: "h", Module: "m", Path: "a b"}, ConnectTimeout: -1}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=60 --no-motd --sockopts=TCP_NODELAY -s . rsync://h/m/a b/"},
		{"own socket options", Config{Dest: Dest{Kind: Daemon, Host: "h", Module: "m"}, Options: []string{"--sockopts", "SO_SNDBUF=9"}}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=60 --no-motd --contimeout=10 --sockopts SO_SNDBUF=9 . rsync://h/m/"},
		{"ssh", Config{Dest: Dest{Kind: SSH, Host: "h", Path: "p"}}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=60 -s -e " + defaultSSH + " . h:p/"},
		{"own ssh", Config{Dest: Dest{Kind: SSH, Host: "h", Path: "p"}, SSH: "ssh -p 22", Options: []string{"-z"}, Filters: []string{"- *.tmp", "+ /a"}}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=60 -s -e ssh -p 22 -o BatchMode=yes -z --filter=- *.tmp --filter=+ /a . h:p/"},
		{"own batch mode", Config{Dest: Dest{Kind: SSH, Host: "h", Path: "p"}, SSH: "ssh -oBatchMode=no"}, scheduler.Batch{MaxDelete: -1}, false, base + " --timeout=60 -s -e ssh -oBatchMode=no . h:p/"},
	} {
		tc.cfg.Root = "/s"
		r, err := New(tc.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.args(tc.batch, tc.progress), " "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestEnviron(t *testing.T) {
	t.Setenv("RSYNC_PASSWORD", "secret")
	t.Setenv("RSYNC_RSH", "evil")
	t.Setenv("RSYNC_CONNECT_PROG", "evil")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("SSH_AUTH_SOCK", "/sock")
	env := environ()
	for _, v := range env {
		if strings.HasPrefix(v, "RSYNC_") {
			t.Errorf("%s is passed on", v)
		}
	}
	for _, v := range []string{"LC_ALL=C", "SSH_AUTH_SOCK=/sock", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(env, v) {
			t.Errorf("%s is missing in %q", v, env)
		}
	}
}
