package mirrortest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// SSHD is a real sshd on a port of 127.0.0.1 that lets the test's own user in
// by key.
type SSHD struct {
	dir  string
	port int
	user string
}

// StartSSHD starts an sshd, proves that a login works, and ends it, with its
// sessions, when the test ends.
func StartSSHD(tb testing.TB) *SSHD {
	tb.Helper()
	// sshd re-executes itself and so wants its absolute path.
	sshd := NeedProgram(tb, "sshd")
	keygen := NeedProgram(tb, "ssh-keygen")
	ssh := NeedProgram(tb, "ssh")
	me, err := user.Current()
	if err != nil {
		tb.Fatalf("find own user name: %v", err)
	}
	if os.Geteuid() == 0 {
		// The directory of sshd's unprivileged half, fixed when it was built.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			tb.Fatalf("make privilege separation directory: %v", err)
		}
	}
	s := &SSHD{dir: tb.TempDir(), user: me.Username}
	for _, key := range []string{"host", "user"} {
		out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", s.file(key)).CombinedOutput()
		if err != nil {
			tb.Fatalf("make %s key: %v\n%s", key, err, out)
		}
	}
	var c *child
	for range 5 {
		if s.port, err = freePort(); err != nil {
			tb.Fatal(err)
		}
		if err = s.configure(sshd); err != nil {
			tb.Fatal(err)
		}
		c, err = serve(s.file("log"), s.port, "SSH-2.0-", sshd, "-D", "-e", "-f", s.file("config"))
		if !errors.Is(err, errExited) {
			break // only a clash on the port is worth another try
		}
	}
	if err != nil {
		tb.Fatalf("start sshd: %v\n%s", err, s.Log())
	}
	tb.Cleanup(func() {
		if err := c.kill(); err != nil {
			tb.Errorf("stop sshd: %v", err)
		}
	})
	args := append(strings.Fields(s.SSH())[1:], s.user+"@127.0.0.1", "true")
	if out, err := exec.Command(ssh, args...).CombinedOutput(); err != nil {
		if os.Geteuid() != 0 {
			// An account without a password or a shell is not let in.
			tb.Skipf("no login for %s: %v\n%s%s", s.user, err, out, s.Log())
		}
		tb.Fatalf("log in to sshd: %v\n%s%s", err, out, s.Log())
	}
	return s
}

func (s *SSHD) configure(sshd string) error {
	text := strings.Join([]string{
		"ListenAddress 127.0.0.1",
		fmt.Sprintf("Port %d", s.port),
		"HostKey " + s.file("host"),
		"AuthorizedKeysFile " + s.file("user.pub"),
		"PidFile none",
		"StrictModes no",
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin yes",
		"PrintMotd no",
		"UseDNS no",
		// A bash in a shell of its own reads no start-up files, whose work
		// would be a part of every transfer.
		"SetEnv SHLVL=2",
		"MaxStartups 1000",
		"MaxSessions 1000",
		"",
	}, "\n")
	// A test's killed clients must not lock out those that follow. Versions
	// before 9.8 have no penalties and refuse the word.
	for _, extra := range []string{"PerSourcePenalties no\n", ""} {
		if err := os.WriteFile(s.file("config"), []byte(text+extra), 0o600); err != nil {
			return fmt.Errorf("write sshd configuration: %w", err)
		}
		out, err := exec.Command(sshd, "-t", "-f", s.file("config")).CombinedOutput()
		if err == nil {
			return nil
		}
		if extra == "" {
			return fmt.Errorf("check sshd configuration: %w\n%s", err, out)
		}
	}
	return nil
}

func (s *SSHD) file(name string) string { return filepath.Join(s.dir, name) }

// Port is where sshd listens on 127.0.0.1.
func (s *SSHD) Port() int { return s.port }

// SSH is the client's command line without the host, for rsync's -e. No word
// of it holds a blank.
func (s *SSHD) SSH() string {
	return fmt.Sprintf("ssh -p %d -i %s -o BatchMode=yes -o StrictHostKeyChecking=no"+
		" -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR", s.port, s.file("user"))
}

// Dest names an absolute path as rsync wants it: user@127.0.0.1:path.
func (s *SSHD) Dest(path string) string { return s.user + "@127.0.0.1:" + path }

// Log is what sshd has said so far.
func (s *SSHD) Log() string {
	b, err := os.ReadFile(s.file("log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(b)
}
