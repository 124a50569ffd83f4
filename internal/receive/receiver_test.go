package receive

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(childMain(dir))
	}
	goleak.VerifyTestMain(m)
}

// daemon is a Receiver that runs until the test ends or stop is called.
type daemon struct {
	*Receiver
	t     *testing.T
	stop  func() // ends it and checks that Run returns nil
	ended chan error
}

func needRsync(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func start(t *testing.T, c Config) *daemon {
	t.Helper()
	needRsync(t)
	if c.Port == 0 {
		c.Port = freePort(t)
	}
	if c.StateDir == "" {
		c.StateDir = filepath.Join(t.TempDir(), "state")
	}
	r, err := Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{Receiver: r, t: t, ended: make(chan error, 1)}
	go func() { d.ended <- r.Run(ctx) }()
	stopped := false
	d.stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-d.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(d.stop)
	select {
	case <-r.Ready():
	case err := <-d.ended:
		stopped = true
		cancel()
		t.Fatalf("Run: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon does not answer")
	}
	return d
}

// line is the destination and the options of the line for the source.
func (d *daemon) line() (url, passwordFile string) {
	d.t.Helper()
	f := strings.Fields(d.SourceLine("SRC"))
	if len(f) != 5 || f[0] != "fansync" || f[1] != "SRC" || f[3] != "--password-file" {
		d.t.Fatalf("unexpected line %q", f)
	}
	return f[2], f[4]
}

func (d *daemon) push(src string, options ...string) error {
	d.t.Helper()
	url, password := d.line()
	return rsync(append([]string{"-a", "--delete", "--password-file=" + password, src + "/", url}, options...)...)
}

func rsync(args ...string) error {
	out, err := exec.Command("rsync", append([]string{"--timeout=20", "--contimeout=10"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func tree(t *testing.T) string {
	t.Helper()
	src := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(src, "file"), []byte("content"), 0o640),
		os.Mkdir(filepath.Join(src, "dir"), 0o750),
		os.WriteFile(filepath.Join(src, "dir", " odd\n$(name)\xff"), nil, 0o600),
		os.Symlink("file", filepath.Join(src, "near")),
		os.Symlink("/etc/hostname", filepath.Join(src, "absolute")),
		os.Symlink("../../out", filepath.Join(src, "out")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return src
}

func TestPush(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a web site ")
	d := start(t, Config{Dir: dir})
	src := tree(t)
	root := os.Geteuid() == 0
	if root {
		if err := os.Lchown(filepath.Join(src, "file"), 4711, 4712); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.push(src); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "content" {
		t.Errorf("file holds %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "dir", " odd\n$(name)\xff")); err != nil {
		t.Error(err)
	}
	links := map[string]string{"near": "file"}
	if root {
		links["absolute"], links["out"] = "/etc/hostname", "../../out"
		info, err := os.Stat(filepath.Join(dir, "file"))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 4711 || st.Gid != 4712 {
			t.Errorf("file belongs to %d:%d", st.Uid, st.Gid)
		}
	}
	for name, want := range links {
		if got, err := os.Readlink(filepath.Join(dir, name)); err != nil || got != want {
			t.Errorf("link %s leads to %q, %v", name, got, err)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	dir := t.TempDir()
	d := start(t, Config{Dir: dir, Module: "m", User: "me"})
	src := tree(t)
	url, _ := d.line()
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--password-file=" + wrong, src + "/", url},
		{"--password-file=" + d.PasswordFile(), src + "/", strings.Replace(url, "me@", "other@", 1)},
		{"--password-file=" + d.PasswordFile(), src + "/", strings.Replace(url, "/m/", "/n/", 1)},
	} {
		if err := rsync(append([]string{"-a"}, args...)...); err == nil {
			t.Errorf("rsync %q was let in", args)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("%d entries arrived, %v", len(list), err)
	}
}

func TestSecretsAreClosed(t *testing.T) {
	d := start(t, Config{Dir: t.TempDir()})
	state := d.conf.StateDir
	for name, want := range map[string]os.FileMode{"": 0o700, passwordFile: 0o600, secretsFile: 0o600, confFile: 0o600} {
		info, err := os.Stat(filepath.Join(state, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
	secret, err := os.ReadFile(d.PasswordFile())
	if err != nil || len(secret) != passwordLen+1 {
		t.Fatalf("password of %d bytes, %v", len(secret), err)
	}
	args, err := os.ReadFile("/proc/" + strconv.Itoa(d.pid()) + "/cmdline")
	if err != nil || strings.Contains(string(args), string(secret[:passwordLen])) {
		t.Errorf("arguments %q, %v", args, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can look with another user's eyes")
	}
	cat := exec.Command("cat", d.PasswordFile(), filepath.Join(state, secretsFile))
	cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cat.Output(); err == nil || len(out) > 0 {
		t.Errorf("another user reads %q, %v", out, err)
	}
}

func (d *daemon) pid() int {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.conf.StateDir, pidFile))
	if err != nil {
		d.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		d.t.Fatal(err)
	}
	return pid
}

func TestPasswordIsKept(t *testing.T) {
	conf := Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "state")}
	src := tree(t)
	passwords := map[string]bool{}
	for range 2 {
		d := start(t, conf)
		if err := d.push(src); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(d.PasswordFile())
		if err != nil {
			t.Fatal(err)
		}
		passwords[string(b)] = true
		d.stop()
	}
	if len(passwords) != 1 {
		t.Errorf("there were %d passwords", len(passwords))
	}
}

func TestSecondReceiver(t *testing.T) {
	conf := Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "state"), Module: "m"}
	d := start(t, conf)
	second := conf
	second.Port = freePort(t)
	if _, err := Prepare(second); err == nil || !strings.Contains(err.Error(), "--module") {
		t.Errorf("a second daemon with the same state: %v", err)
	}
	d.stop()
	second.Dir = t.TempDir()
	if _, err := Prepare(second); err == nil || !strings.Contains(err.Error(), conf.Dir) {
		t.Errorf("another directory under the same name: %v", err)
	}
	second.Dir = conf.Dir
	r, err := Prepare(second)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	needRsync(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Prepare(Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "s"), Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("error %v", err)
	}
}
