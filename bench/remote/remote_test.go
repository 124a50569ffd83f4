package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/engine/session"
	"github.com/fansync/fansync/bench/rsynctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is how long a test waits for what must come.
const within = 20 * time.Second

// await polls until ok says true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}

// launch starts a daemon for the test, its modules in directories of their own.
func launch(t *testing.T, modules ...Module) (d *Daemon, dirs []string) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed: install it to test its daemon")
	}
	for i := range modules {
		dirs = append(dirs, t.TempDir())
		modules[i].Path = dirs[i]
	}
	d, err := Start(t.Context(), Config{Dir: t.TempDir(), Modules: modules})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d, dirs
}

func (d *Daemon) url(module string) string {
	return "rsync://" + d.Addr(module).String() + "/" + module + "/"
}

// rsync runs a client and returns its output and exit code.
func rsync(t *testing.T, stdin string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command("rsync", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// source makes a directory with a file of so many random bytes.
func source(t *testing.T, size int) (dir string, content []byte) {
	t.Helper()
	dir, content = t.TempDir(), make([]byte, size)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	if err := os.WriteFile(dir+"/file", content, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, content
}

var statBytes = regexp.MustCompile(`Total bytes (?:sent|received): (\d+)`)

// clientBytes is what a client with --stats says that it sent and received.
func clientBytes(t *testing.T, out string) (n int64) {
	t.Helper()
	found := statBytes.FindAllStringSubmatch(out, -1)
	if len(found) != 2 {
		t.Fatalf("no figures in %q", out)
	}
	for _, m := range found {
		v, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		n += v
	}
	return n
}

// TestServed counts real transfers in both ways: into two modules and back, and
// one that ends with an error.
func TestServed(t *testing.T) {
	d, dirs := launch(t, Module{Name: "one"}, Module{Name: "two"})
	src, content := source(t, 1<<20)
	var want int64
	for _, args := range [][]string{
		{src + "/", d.url("one")}, {src + "/", d.url("one")}, {src + "/", d.url("two")}, {d.url("two"), t.TempDir()},
	} {
		out, code := rsync(t, "", append([]string{"-a", "--stats", "--no-human-readable"}, args...)...)
		if code != 0 {
			t.Fatalf("rsync %q: exit code %d\n%s", args, code, out)
		}
		want += clientBytes(t, out)
	}
	for _, dir := range dirs {
		if got, err := os.ReadFile(dir + "/file"); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the mirror %s is wrong: %d bytes, %v", dir, len(got), err)
		}
	}
	if d.Counting() == Sockets {
		// What has just been carried counts, though the daemon may still be at
		// its end.
		if _, wire, err := d.Served(); err != nil || wire < want-4*64 {
			t.Errorf("served %d bytes, %v, clients tell of %d", wire, err, want)
		}
	}
	if err := d.Drained(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Client and daemon see a few bytes more or less of each other's last
	// words; a connection has a greeting that rsync does not count.
	near := func(got int64, slack int64) bool { return got >= want-slack && got <= want+slack }
	logged, err := d.log.read()
	if err != nil || logged.begun != 4 || logged.ended != 4 || !near(logged.bytes, 4*64) {
		t.Errorf("the log tells %+v, %v, want 4 transfers and about %d bytes", logged, err, want)
	}
	if d.Counting() == Log {
		t.Skip("the kernel does not tell what connections carried")
	}
	rsyncs, wire, err := d.Served()
	if err != nil || rsyncs != 4 || !near(wire, 5*1024) {
		t.Errorf("served %d and %d bytes, %v, want 4 and about %d", rsyncs, wire, err, want)
	}

	// A vanished file: rsync does its work, and logs no figures.
	rsynctest.NeedNames(t)
	if err := os.WriteFile(src+"/more", content[:300_000], 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := rsync(t, "./gone/x\x00./more\x00", "-a", "--from0", "--files-from=-", "--delete-missing-args", src+"/", d.url("one"))
	if code != 24 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if err := d.Drained(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := d.log.read(); err != nil || again.begun != 5 || again.bytes != logged.bytes {
		t.Errorf("the log tells %+v, %v after the failure", again, err)
	}
	if _, got, err := d.Served(); err != nil || got < wire+300_000 || got > wire+302_000 {
		t.Errorf("served %d bytes, %v after the failure, %d before it", got, err, wire)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if n, last, err := d.Served(); err != nil || n != 5 || last < wire+300_000 {
		t.Errorf("after the daemon's end: %d and %d bytes, %v", n, last, err)
	}
}

// TestServedFromLog: without the kernel's help the log's figures count.
func TestServedFromLog(t *testing.T) {
	d, _ := launch(t, Module{Name: "m"})
	if d.wire != nil {
		if err := d.wire.close(); err != nil {
			t.Fatal(err)
		}
		d.wire = nil
	}
	src, _ := source(t, 50_000)
	if out, code := rsync(t, "", "-a", src+"/", d.url("m")); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	await(t, "the log's line", func() bool {
		n, wire, err := d.Served()
		return err == nil && n == 1 && wire > 50_000 && wire < 52_000
	})
	if d.Counting() != Log {
		t.Errorf("counting %q", d.Counting())
	}
}

// TestLinksStay: absolute links and such that leave the module arrive as they are.
func TestLinksStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can confine a module by chroot; without that rsync changes such links")
	}
	d, dirs := launch(t, Module{Name: "m"})
	src := t.TempDir()
	links := map[string]string{"abs": "/etc/passwd", "up": "../../x", "in": "abs"}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Lchown(src+"/abs", 1234, 4321); err != nil {
		t.Fatal(err)
	}
	if out, code := rsync(t, "", "-a", src+"/", d.url("m")); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for name, target := range links {
		if got, err := os.Readlink(filepath.Join(dirs[0], name)); err != nil || got != target {
			t.Errorf("link %s to %q, %v, want %q", name, got, err, target)
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(dirs[0]+"/abs", &st); err != nil || st.Uid != 1234 || st.Gid != 4321 {
		t.Errorf("owner %d:%d, %v", st.Uid, st.Gid, err)
	}
}

// TestSlowAndDead: beside a module of full speed, one that is slowed to a rate and
// one that refuses, all on one port.
func TestSlowAndDead(t *testing.T) {
	const kbs, size = 400, 400 << 10
	d, dirs := launch(t, Module{Name: "quick"}, Module{Name: "slow", KBs: kbs}, Module{Name: "dead", Dead: true})
	seen := map[string]bool{}
	for _, m := range []string{"quick", "slow", "dead"} {
		at := d.Addr(m)
		if at.Port() != d.Addr("quick").Port() || seen[at.String()] {
			t.Errorf("%s is at %s", m, at)
		}
		seen[at.String()] = true
	}
	src, content := source(t, size)
	began := time.Now()
	if out, code := rsync(t, "", "-a", src+"/", d.url("slow")); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	// It can only take longer than the bytes need.
	if took := time.Since(began); took < size/kbs/1024*time.Second {
		t.Errorf("%d KiB took %v at %d KiB/s", size>>10, took, kbs)
	}
	if got, err := os.ReadFile(dirs[1] + "/file"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the slow mirror is wrong: %d bytes, %v", len(got), err)
	}
	if out, code := rsync(t, "", "-a", src+"/", d.url("dead")); code != 10 || !strings.Contains(out, "refused") {
		t.Errorf("a dead module gives exit code %d\n%s", code, out)
	}
	if _, err := net.Listen("tcp4", d.Addr("dead").String()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("the dead module's address could be taken: %v", err)
	}
}

// TestStopInTransfer: nothing is left, no process, no temporary file, no port.
func TestStopInTransfer(t *testing.T) {
	d, dirs := launch(t, Module{Name: "slow", KBs: 64}, Module{Name: "dead", Dead: true})
	src, _ := source(t, 8<<20)
	client := exec.Command("rsync", "-a", src+"/", d.url("slow"))
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	temp := func() []string { names, _ := filepath.Glob(dirs[0] + "/.file.*"); return names }
	await(t, "a temporary file", func() bool { return len(temp()) == 1 })
	pid := d.PID()
	if pids, err := session.Members(pid); err != nil || len(pids) < 2 {
		t.Errorf("processes %v, %v, want a transfer among them", pids, err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if pids, err := session.Members(pid); err != nil || len(pids) != 0 {
		t.Errorf("processes %v are left, %v", pids, err)
	}
	if left := temp(); len(left) != 0 {
		t.Errorf("temporary files %q are left", left)
	}
	if err := client.Wait(); err == nil {
		t.Error("the client believes in its success")
	}
	for _, m := range []string{"slow", "dead"} {
		l, err := net.Listen("tcp4", d.Addr(m).String())
		if err != nil {
			t.Errorf("the address of %s is still taken: %v", m, err)
			continue
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestDrained waits for what a killed client leaves.
func TestDrained(t *testing.T) {
	d, _ := launch(t, Module{Name: "slow", KBs: 64})
	src, _ := source(t, 8<<20)
	client := exec.Command("rsync", "-a", src+"/", d.url("slow"))
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the transfer", func() bool { n, _, err := d.Served(); return err == nil && n == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Drained(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("drained with a transfer: %v", err)
	}
	if err := client.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := client.Wait(); err == nil {
		t.Error("a killed client has no error")
	}
	if err := d.Drained(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pids, err := session.Members(d.PID()); err != nil || len(pids) != 1 {
		t.Errorf("processes %v, %v, want the daemon alone", pids, err)
	}
}

func TestPortInUse(t *testing.T) {
	d, dirs := launch(t, Module{Name: "m"})
	port := int(d.Addr("m").Port())
	_, err := Start(t.Context(), Config{Dir: t.TempDir(), Port: port, Modules: []Module{{Name: "m", Path: dirs[0]}}})
	if !errors.Is(err, errInUse) || !strings.Contains(err.Error(), fmt.Sprint("127.0.0.1:", port)) {
		t.Errorf("the port of another daemon: %v", err)
	}
	l, err := net.Listen("tcp4", fmt.Sprint("127.0.0.2:", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, m := range []Module{{Name: "m", Path: dirs[0], KBs: 1}, {Name: "m", Dead: true}} {
		if _, err := Start(t.Context(), Config{Dir: t.TempDir(), Port: port, Modules: []Module{m}}); !errors.Is(err, errInUse) {
			t.Errorf("a taken address for %+v: %v", m, err)
		}
	}
}

func TestNoRsync(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), Config{Dir: t.TempDir(), Modules: []Module{{Name: "m", Path: t.TempDir()}}})
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install rsync") {
		t.Errorf("without rsync: %v", err)
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]Module{
		"none":           nil,
		"no name":        {{Path: dir}},
		"odd name":       {{Name: "a]b", Path: dir}},
		"section global": {{Name: "global", Path: dir}},
		"twice":          {{Name: "a", Path: dir}, {Name: "a", Path: dir}},
		"relative":       {{Name: "a", Path: "x"}},
		"a variable":     {{Name: "a", Path: dir + "/%HOME%"}},
		"a new line":     {{Name: "a", Path: dir + "\nuid = 0"}},
		"a file":         {{Name: "a", Path: file}},
		"missing":        {{Name: "a", Path: dir + "/none"}},
	}
	for name, modules := range tests {
		if err := (Config{Dir: dir, Modules: modules}).validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (Config{Dir: dir, Modules: []Module{{Name: "A-b_1", Path: dir}, {Name: "x", Dead: true}}}).validate(); err != nil {
		t.Error(err)
	}
}
