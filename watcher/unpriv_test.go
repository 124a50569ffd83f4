package watcher

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// again runs tests of this binary, those whose names test matches, in a child
// with other rights, and shows what it says.
func again(t *testing.T, test, root string, attr *syscall.SysProcAttr) {
	t.Helper()
	needRoot(t)
	self, err := os.Executable()
	ok(t, err)
	// The binary may lie where the child cannot go.
	bin := filepath.Join(filepath.Dir(root), "again.test")
	copyFile(t, self, bin)
	cmd := exec.Command(bin, "-test.run=^"+test+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "WATCHER_AGAIN="+root, "TMPDIR="+root)
	cmd.Dir = root
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if attr.Cloneflags != 0 && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOSPC)) {
		t.Skip("no user namespace:", err)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if !strings.Contains("\n"+string(out), "\n--- PASS") {
		t.Skipf("%s", out)
	}
	t.Logf("%s", out)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	ok(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	ok(t, err)
	_, err = io.Copy(out, in)
	ok(t, err)
	ok(t, out.Close())
}

// openRoot is a root that everybody may use.
func openRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "watcher")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ok(t, os.Chmod(dir, 0o755))
	dir, err = filepath.EvalSymlinks(dir)
	ok(t, err)
	root := filepath.Join(dir, "root")
	ok(t, os.Mkdir(root, 0o777))
	ok(t, os.Chmod(root, 0o777))
	return root
}

func TestUnprivileged(t *testing.T) {
	root := openRoot(t)
	mkdir(t, root+"/closed/in")
	ok(t, os.Chmod(root+"/closed", 0o700))
	again(t, "TestAgainUnprivileged", root, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
}

func TestAgainUnprivileged(t *testing.T) {
	root := os.Getenv("WATCHER_AGAIN")
	if root == "" {
		t.Skip("run by TestUnprivileged")
	}
	if _, err := New(Config{Root: root, Backend: BackendFanotify}); err == nil || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Error("fanotify without rights:", err)
	}
	// This one can be listed, but what is in it not opened.
	mkdir(t, root+"/early/x")
	ok(t, os.Chmod(root+"/early", 0o400))
	var log strings.Builder
	p := watch(t, Config{Root: root, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if b, why := p.w.Backend(); b != BackendInotify || !strings.Contains(why, "CAP_SYS_ADMIN") {
		t.Error(b, why)
	}
	mkdir(t, root+"/a/b")
	write(t, root+"/a/b/f", "1")
	want(t, p.sync(), "a/b/f", Created)
	if n := p.w.Stats().Unreadable; n != 2 {
		t.Error("unreadable:", n)
	}
	// A directory is watched once it may be read.
	ok(t, os.Chmod(root+"/early", 0o755))
	p.sync()
	write(t, root+"/early/x/f", "1")
	want(t, p.sync(), "early/x/f", Created)
	mkdir(t, root+"/later/x")
	ok(t, os.Chmod(root+"/later", 0))
	p.sync()
	ok(t, os.Chmod(root+"/later", 0o755))
	p.sync()
	write(t, root+"/later/x/f", "1")
	want(t, p.sync(), "later/x/f", Created)
	p.close()
	if !strings.Contains(log.String(), "cannot be opened") {
		t.Error("log does not tell of the closed directory:", log.String())
	}
}

// In a user namespace of its own a process can set its own limit of watches.
func TestWatchLimitOfTheKernel(t *testing.T) {
	root := openRoot(t)
	again(t, "TestAgainWatchLimit", root, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 1}},
	})
}

func TestAgainWatchLimit(t *testing.T) {
	root := os.Getenv("WATCHER_AGAIN")
	if root == "" {
		t.Skip("run by TestWatchLimitOfTheKernel")
	}
	const limit = "/proc/sys/user/max_inotify_watches"
	if err := os.WriteFile(limit, []byte("10"), 0); err != nil {
		t.Skip(err)
	}
	limited(t, root, Config{}, func(n string) { ok(t, os.WriteFile(limit, []byte(n), 0)) })
}

func TestWatchLimit(t *testing.T) {
	var seam atomic.Int64
	seam.Store(10)
	limited(t, tempRoot(t, "disk"), Config{maxWatches: &seam}, func(string) { seam.Store(100) })
}

// limited watches more directories than the 10 allowed.
func limited(t *testing.T, root string, cfg Config, raise func(to string)) {
	for _, d := range []string{"a/1", "a/2", "b/1/x", "b/2", "c/1/y", "c/2"} {
		mkdir(t, root+"/"+d)
	}
	var log strings.Builder
	cfg.Root, cfg.Backend, cfg.Repoll = root, BackendInotify, time.Millisecond
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := watch(t, cfg)
	p.sync()
	if s := p.w.Stats(); s.UnwatchedDirs != 2 || s.Watches != 10 {
		t.Errorf("%+v", s)
	}
	// A new directory cannot be watched either; it is rescanned, at once and
	// again and again.
	mkdir(t, root+"/new/sub")
	isNew := func(e Event) bool { return e.Path == "new" && e.Reason == WatchLimit }
	p.until(isNew)
	p.until(isNew)
	eventually(t, func() bool { return p.w.Stats().UnwatchedDirs == 4 })
	rename(t, root+"/new", root+"/moved")
	p.until(func(e Event) bool { return e.Path == "moved" && e.Reason == WatchLimit })
	raise("100")
	eventually(t, func() bool {
		select {
		case <-p.w.Events():
		default:
		}
		return p.w.Stats().UnwatchedDirs == 0
	})
	p.sync()
	write(t, root+"/moved/sub/f", "1")
	want(t, p.sync(), "moved/sub/f", Created|Closed)
	p.close()
	if n := strings.Count(log.String(), "sysctl -w fs.inotify.max_user_watches="); n != 1 {
		t.Errorf("%d times a remedy in the log:\n%s", n, log.String())
	}
}

func TestWatchLimitOfNothing(t *testing.T) {
	root := tempRoot(t, "disk")
	mkdir(t, root+"/a/b")
	var seam atomic.Int64
	p := watch(t, Config{Root: root, Backend: BackendInotify, maxWatches: &seam, Repoll: time.Millisecond})
	p.until(func(e Event) bool { return e.Path == "" && e.Reason == WatchLimit })
	seam.Store(10)
	eventually(t, func() bool {
		select {
		case <-p.w.Events():
		default:
		}
		return p.w.Stats().UnwatchedDirs == 0
	})
	p.sync()
	write(t, root+"/a/b/f", "1")
	want(t, p.sync(), "a/b/f", Created)
}

func TestRemedyIsAPowerOfTwoWithRoom(t *testing.T) {
	for _, c := range []struct {
		need, limit uint64
		want        string
	}{{0, 0, "8192"}, {8192, 8192, "16384"}, {100_000, 8192, "262144"}, {10, 300_000, "1048576"}} {
		if got := limitRemedy(c.need, c.limit); got != "sysctl -w fs.inotify.max_user_watches="+c.want {
			t.Error(c, got)
		}
	}
}
