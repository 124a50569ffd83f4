package receive

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// childDir and childPort tell this test binary to be an unprivileged daemon.
const (
	childDir  = "FANSYNC_TEST_RECEIVE_DIR"
	childPort = "FANSYNC_TEST_RECEIVE_PORT"
)

// childMain receives into dir/in until its standard input ends.
func childMain(dir string) int {
	port, err := strconv.Atoi(os.Getenv(childPort))
	if err != nil {
		return fail(err)
	}
	r, err := Prepare(Config{Dir: filepath.Join(dir, "in"), StateDir: filepath.Join(dir, "state"), Port: port})
	if err != nil {
		return fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-r.Ready()
		fmt.Println("ready")
		_, _ = os.Stdin.Read(make([]byte, 1)) // only its end matters
		cancel()
	}()
	if err := r.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Println(err)
	return 1
}

// TestUnprivileged receives as a user who may neither chroot nor chown.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	needRsync(t)
	dir := t.TempDir()
	// The directories above are the test's own and closed to others.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "receive.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childPort+"="+strconv.Itoa(port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 512)
	if n, err := out.Read(said); err != nil || strings.TrimSpace(string(said[:n])) != "ready" {
		t.Errorf("child says %q, %v", said[:n], err)
	} else if err := rsync("-rlpt", "--password-file="+copyOf(t, filepath.Join(dir, "state", passwordFile)), tree(t)+"/",
		fmt.Sprintf("rsync://fansync@127.0.0.1:%d/in/", port)); err != nil {
		t.Error(err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
	for name, want := range map[string]string{
		"near": "file",
		// What rsync does without a chroot; the documentation says so.
		"absolute": "etc/hostname",
		"out":      "out",
	} {
		if got, err := os.Readlink(filepath.Join(dir, "in", name)); err != nil || got != want {
			t.Errorf("link %s leads to %q, %v; want %q", name, got, err, want)
		}
	}
}

// copyOf is a copy that belongs to this user, as rsync wants it.
func copyOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
