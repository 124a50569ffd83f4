package mirrortest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// rsync runs it and returns all it said.
func rsync(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(NeedProgram(t, "rsync"), args...).CombinedOutput()
	return string(out), err
}

func TestDaemonServesAndComesBack(t *testing.T) {
	src := plant(t)
	mod := t.TempDir() + "/made here"
	d := StartDaemon(t, DaemonConfig{Modules: map[string]string{"m": mod}})
	if out, err := rsync(t, "-aH", src+"/", d.URL("m", "sub")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	RequireEqual(t, src, mod+"/sub", DiffOptions{Links: true})
	if out, err := rsync(t, "-a", fmt.Sprintf("--port=%d", d.Port()), src+"/", d.Dest("m", "")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := d.Runs(); n != 2 {
		t.Fatalf("%d runs counted, not 2\n%s", n, d.Log())
	}
	old := d.child.pid
	d.Stop()
	d.Stop()
	if conn, err := net.Dial("tcp4", d.Addr()); err == nil {
		conn.Close()
		t.Fatal("a stopped daemon accepts")
	}
	port := d.Port()
	d.Restart()
	if d.Port() != port || d.child.pid == old {
		t.Fatalf("restart gave port %d after %d, pid %d after %d", d.Port(), port, d.child.pid, old)
	}
	d.Restart()
	if out, err := rsync(t, "-a", "--delete", t.TempDir()+"/", d.URL("m", "")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := d.Runs(); n != 3 {
		t.Fatalf("%d runs counted, not 3\n%s", n, d.Log())
	}
}

func TestDaemonAuth(t *testing.T) {
	src := plant(t)
	d := StartDaemon(t, DaemonConfig{
		Modules: map[string]string{"m": t.TempDir()}, User: "u", Password: "s3cret",
	})
	if !strings.HasPrefix(d.URL("m", ""), "rsync://u@127.0.0.1:") {
		t.Fatalf("URL %q", d.URL("m", ""))
	}
	if out, err := rsync(t, "-a", "--password-file="+d.PasswordFile(), src+"/", d.URL("m", "")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wrong := t.TempDir() + "/wrong"
	must(t, os.WriteFile(wrong, []byte("guess\n"), 0o600))
	if out, err := rsync(t, "-a", "--password-file="+wrong, src+"/", d.URL("m", "")); err == nil || !strings.Contains(out, "auth failed") {
		t.Fatalf("a wrong password was answered by %v\n%s", err, out)
	}
	if n := d.Runs(); n != 1 {
		t.Fatalf("%d runs counted, not 1\n%s", n, d.Log())
	}
}

func TestDaemonRefuses(t *testing.T) {
	d := StartDaemon(t, DaemonConfig{
		Modules: map[string]string{"m": t.TempDir()}, ReadOnly: true, MaxConnections: 1,
		Module: []string{"comment = told by the test"},
	})
	if out, err := rsync(t, "-a", plant(t)+"/", d.URL("m", "")); err == nil || !strings.Contains(out, "read only") {
		t.Fatalf("an upload to a read-only module was answered by %v\n%s", err, out)
	}
	if out, err := rsync(t, d.URL("", "")); err != nil || !strings.Contains(out, "told by the test") {
		t.Fatalf("the list of modules: %v\n%s", err, out)
	}
}

// A transfer under a bandwidth limit lives long enough to be dropped, frozen
// and stopped.
func TestDaemonFaults(t *testing.T) {
	src, mod := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(src+"/big", make([]byte, 8<<20), 0o644))
	d := StartDaemon(t, DaemonConfig{Modules: map[string]string{"m": mod}})
	client := NeedProgram(t, "rsync")
	begin := func() *exec.Cmd {
		t.Helper()
		before := d.Runs()
		// A daemon's own limit is for what it sends.
		cmd := exec.Command(client, "-W", "--bwlimit=100", src+"/big", d.URL("m", ""))
		must(t, cmd.Start())
		for end := time.Now().Add(time.Minute); d.Runs() == before; time.Sleep(pollEvery) {
			if time.Now().After(end) {
				t.Fatal("no run begins")
			}
		}
		return cmd
	}
	ended := func(cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Wait(); err == nil {
			t.Fatal("8 MiB went through a limit of 100 KiB/s")
		}
	}
	cmd := begin()
	d.Drop()
	ended(cmd)
	cmd = begin()
	d.Freeze()
	conn, err := net.Dial("tcp4", d.Addr())
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(100*time.Millisecond)))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatalf("a frozen daemon sent %d bytes", n)
	}
	d.Thaw()
	must(t, conn.SetDeadline(time.Now().Add(startWithin)))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatalf("a thawed daemon is silent: %v", err)
	}
	kids, err := descendants(d.child.pid)
	must(t, err)
	if len(kids) == 0 {
		t.Fatal("a transfer has no process")
	}
	d.Stop()
	ended(cmd)
	// A corpse that waits for its new parent has no command line.
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", kids[0])); err == nil && strings.Contains(string(b), "rsync") {
		t.Fatalf("process %d outlived its daemon", kids[0])
	}
}

func TestSSHD(t *testing.T) {
	s := StartSSHD(t)
	src, dst := plant(t), t.TempDir()+"/dst"
	if out, err := rsync(t, "-aH", "-e", s.SSH(), src+"/", s.Dest(dst)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	RequireEqual(t, src, dst, DiffOptions{Links: true})
	for range 3 {
		args := append(strings.Fields(s.SSH())[1:], s.user+"@127.0.0.1", "echo in")
		if out, err := exec.Command("ssh", args...).CombinedOutput(); err != nil || string(out) != "in\n" {
			t.Fatalf("log in: %v\n%s", err, out)
		}
	}
}

func TestSSHDEndsItsSessions(t *testing.T) {
	var cmd *exec.Cmd
	var pid string
	t.Run("session", func(t *testing.T) {
		s := StartSSHD(t)
		cmd = exec.Command("ssh", append(strings.Fields(s.SSH())[1:], s.user+"@127.0.0.1", "echo $$; exec sleep 1000")...)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		buf := make([]byte, 32)
		n, err := out.Read(buf)
		must(t, err)
		pid = strings.TrimSpace(string(buf[:n]))
	})
	if cmd == nil {
		t.Skip("no sshd")
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the client saw no end")
	}
	if b, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.HasPrefix(string(b), "sleep") {
		t.Fatalf("process %s outlived its sshd", pid)
	}
}
