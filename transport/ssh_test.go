package transport

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

const immutableFlag = 0x10 // FS_IMMUTABLE_FL

// immutable makes a directory that not even root can change, for a while.
func immutable(t *testing.T, dir string) {
	t.Helper()
	set := func(on bool) error {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		flags &^= immutableFlag
		if on {
			flags |= immutableFlag
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err := set(true); err != nil {
		t.Skipf("this filesystem has no immutable files: %v", err)
	}
	t.Cleanup(func() {
		if err := set(false); err != nil {
			t.Error(err)
		}
	})
}

// sshServer is an sshd that lets root in by one key.
type sshServer struct {
	port int
	dir  string
}

func newSSH(t *testing.T) sshServer {
	t.Helper()
	needRsync(t)
	needRoot(t)
	const sshd = "/usr/sbin/sshd"
	for _, prog := range []string{sshd, "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skipf("%s is not installed", prog)
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Skipf("sshd needs /run/sshd: %v", err)
	}
	s := sshServer{freePort(t), t.TempDir()}
	for _, key := range []string{"host", "user", "other"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	for known, key := range map[string]string{"known": "host", "stale": "other"} {
		pub, err := os.ReadFile(filepath.Join(s.dir, key+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("[127.0.0.1]:%d %s", s.port, pub)
		if err := os.WriteFile(filepath.Join(s.dir, known), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %[2]s/host\nAuthorizedKeysFile %[2]s/user.pub\nPermitRootLogin yes\n"+
		"StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n", s.port, s.dir)
	if err := os.WriteFile(filepath.Join(s.dir, "sshd_config"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, s.port, sshd, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	return s
}

func (s sshServer) command(key, known string) string {
	return fmt.Sprintf("ssh -F none -p %d -i %s/%s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s/%s -o GlobalKnownHostsFile=none", s.port, s.dir, key, s.dir, known)
}

func TestSSH(t *testing.T) {
	s := newSSH(t)
	dst := filepath.Join(t.TempDir(), "to $HOME; a 'blank'")
	p := newPair(t, Config{Dest: Dest{Kind: SSH, User: "root", Host: "127.0.0.1", Path: dst}, SSH: s.command("user", "known")}, dst)
	if res := p.Probe(t.Context()); res.Class != scheduler.OK {
		t.Fatalf("probe: %+v", res)
	}
	exists(t, filepath.Dir(dst), false, filepath.Base(dst))
	write(t, p.src, "f", "d/e/g")
	write(t, p.src, oddNames...)
	p.mustSend(scheduler.Flat, append([]string{"d/", "f"}, oddNames...)...)
	p.mustSend(scheduler.Deep, "d")
	p.same()
	remove(t, p.src, "d")
	p.mustSend(scheduler.Flat, "!d")
	p.mustSend(scheduler.Full)
	p.same()
	write(t, p.src, "a/x")
	write(t, p.dst, "a/y")
	age(t, filepath.Join(p.dst, "a"))
	immutable(t, filepath.Join(p.dst, "a"))
	res := p.send(scheduler.Flat, "a/x", "f")
	if res.Class != scheduler.Partial || len(res.Failed) != 2 || res.Failed[0].Path != "a" || res.Failed[1].Path != "a/x" {
		t.Errorf("%+v", res)
	}
}

func TestSSHRefuses(t *testing.T) {
	s := newSSH(t)
	dst := t.TempDir()
	write(t, dst, "file")
	to := Dest{Kind: SSH, Host: "127.0.0.1", Path: filepath.Join(dst, "x")}
	good := s.command("user", "known")
	for _, tc := range []struct {
		name  string
		cfg   Config
		class scheduler.Class
		say   string
	}{
		{"key", Config{Dest: to, SSH: s.command("other", "known")}, permanent, "refused the ssh key"},
		{"unknown host key", Config{Dest: to, SSH: s.command("user", "none")}, permanent, "is not known"},
		{"changed host key", Config{Dest: to, SSH: s.command("user", "stale")}, permanent, "has changed"},
		{"connection", Config{Dest: to, SSH: fmt.Sprintf("ssh -F none -p %d", freePort(t))}, transient, "cannot reach"},
		{"no such host", Config{Dest: Dest{Kind: SSH, Host: "nosuch.invalid", Path: "/x"}, SSH: good}, transient, "host name nosuch.invalid"},
		{"no rsync", Config{Dest: to, SSH: good, Options: []string{"--rsync-path=nosuchrsync"}}, permanent, "rsync is not installed at"},
		{"no rsync there", Config{Dest: to, SSH: good, Options: []string{"--rsync-path=/nonexistent/rsync"}}, permanent, "rsync is not installed at"},
		{"noise", Config{Dest: to, SSH: good, Options: []string{"--rsync-path=echo hello there; rsync"}}, permanent, "login shell"},
		{"no ssh", Config{Dest: to, SSH: "/nonexistent/ssh"}, permanent, "cannot be run"},
		{"a file", Config{Dest: Dest{Kind: SSH, Host: "127.0.0.1", Path: filepath.Join(dst, "file")}, SSH: good}, permanent, "not a usable directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPair(t, tc.cfg, dst)
			write(t, p.src, "f")
			res := p.send(scheduler.Flat, "f")
			if res.Class != tc.class || !strings.Contains(res.Message, tc.say) || strings.Contains(res.Message, "\n") {
				t.Errorf("%+v, want %s with %q", res, tc.class, tc.say)
			}
		})
	}
	p := newPair(t, Config{Dest: Dest{Kind: SSH, Host: "127.0.0.1", Path: filepath.Join(dst, "no/parent")}, SSH: good}, dst)
	write(t, p.src, "f")
	if res := p.send(scheduler.Flat, "f"); res.Class != permanent || !strings.Contains(res.Message, "parent directory") {
		t.Errorf("missing parent: %+v", res)
	}
}
