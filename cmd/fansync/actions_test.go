package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/internal/sersync"
)

// action is something people and programs do to files.
type action struct {
	name string
	// before and after are sh's, in a directory of the source; before runs
	// before the mirror starts. $OUT is a directory outside of the source.
	before, after string
	// sersync says that sersync 2.5.4 gets it right.
	sersync bool
}

var actions = []action{
	{"create and write", "", "echo x >f", true},
	{"append", "echo x >f", "echo y >>f", true},
	{"touch", "echo x >f; touch -d 2001-01-01 f", "touch f", true},
	{"open for writing, no change", "echo x >f", ": >>f", true},
	{"mkdir", "", "mkdir d", true},
	{"mkdir -p", "", "mkdir -p n1/n2/n3", true},
	{"mkdir -p and a file at once", "", "mkdir -p r/s/t && echo x >r/s/t/f", true},
	{"rename a file", "echo x >f", "mv f g", true},
	{"rename a directory", "mkdir -p d/e; echo x >d/e/f", "mv d d2", true},
	{"move out", "mkdir d; echo x >d/f", `mv d "$OUT/d"`, true},
	{"move in", `mkdir -p "$OUT/in/e"; echo x >"$OUT/in/e/f"`, `mv "$OUT/in" .`, true},
	{"remove a file", "echo x >f", "rm f", true},
	{"rm -rf", "mkdir -p d/e; echo x >d/e/f; echo x >d/g", "rm -rf d", true},
	{"symlink", "", "ln -s nowhere l", false},
	{"hard link", "echo x >f", "ln f g", false},
	{"fifo", "", "mkfifo p", false},
	{"chmod", "echo x >f", "chmod 600 f", false},
	{"chown", "echo x >f", "chown 12345 f", false},
	{"vim saves", "echo x >f", "echo >4913; rm 4913; mv f f~; echo yy >f; rm f~", true},
	{"temporary file renamed over", "echo x >f", "echo yy >f.tmp; mv f.tmp f", true},
	{"temporary file", "", "echo x >t; rm t", true},
	{"dot name", "", "echo x >.f", false},
	{"tilde name", "", "echo x >f~", false},
	{"4913", "", "echo x >4913", false},
	{"dot and tilde directories", "", "mkdir .d d~; echo x >.d/f; echo x >d~/f", true},
	{"move onto an ignored name", "echo x >vis", "mv vis vis~", false},
	{"move from an ignored name", "echo x >.x", "mv .x y", false},
	{"directory becomes a file", "mkdir -p d/e; echo x >d/e/f", "rm -rf d; echo x >d", false},
	{"rewrite in the same second", "echo 1 >f", "echo 2 >f; echo 3 >f", false},
}

// perform runs the shell lines of all actions, each in its own directory.
func perform(t *testing.T, src string, line func(action) string) {
	t.Helper()
	for i, a := range actions {
		dir, out := filepath.Join(src, fmt.Sprintf("a%02d", i)), filepath.Join(src+".out", fmt.Sprint(i))
		for _, d := range []string{dir, out} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-ec", line(a))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "OUT="+out)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", a.name, err, output)
		}
	}
}

// wrong are the actions after which the remote is not as the source.
func wrong(t *testing.T, src, dst string) map[string]bool {
	t.Helper()
	bad := map[string]bool{}
	for i, a := range actions {
		dir := fmt.Sprintf("a%02d", i)
		one, err := mirrortest.Snapshot(filepath.Join(src, dir), nil)
		if err != nil {
			t.Fatal(err)
		}
		other, err := mirrortest.Snapshot(filepath.Join(dst, dir), nil)
		// sersync does not keep the times of directories.
		if err != nil || len(mirrortest.Diff(one, other, mirrortest.DiffOptions{NoTimes: true, Owners: true})) > 0 {
			bad[a.name] = true
		}
	}
	return bad
}

// TestActions: whatever is done, the remote becomes equal, where sersync's does
// not too.
func TestActions(t *testing.T) {
	mirrortest.NeedRoot(t)
	if bad := byFansync(t); len(bad) > 0 {
		t.Errorf("not equal: %v", bad)
	}
}

// byFansync are the actions that fansync gets wrong.
func byFansync(t *testing.T) map[string]bool {
	t.Helper()
	d := newDropIn(t, shippedXML(t))
	perform(t, d.src, func(a action) string { return a.before })
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	perform(t, d.src, func(a action) string { return a.after })
	d.equal(t)
	return wrong(t, d.src, d.dst)
}

// sersyncLimits are what sersync2 overwrites at each start.
var sersyncLimits = []string{"/proc/sys/fs/inotify/max_user_watches", "/proc/sys/fs/inotify/max_queued_events"}

// TestBesideSersync: the program itself on the same file and the same actions.
func TestBesideSersync(t *testing.T) {
	program := os.Getenv("FANSYNC_SERSYNC2")
	if program == "" {
		t.Skip("FANSYNC_SERSYNC2 does not name a sersync2 program")
	}
	mirrortest.NeedRoot(t)
	for _, file := range sersyncLimits {
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.WriteFile(file, was, 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	// It cannot work with a blank in the path.
	src, dst := filepath.Join(mirrortest.TmpfsDir(t), "src"), t.TempDir()
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	daemon := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst}, User: "mirror", Password: "secret"})
	conf := putText(t, pointAt(t, shippedXML(t), src, daemon, filepath.Join(t.TempDir(), "fail.sh")), t.TempDir(), "confxml.xml")
	perform(t, src, func(a action) string { return a.before })
	cmd := exec.Command(program, "-r", "-o", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out logText
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("sersync2 ended by itself")
		}
	})
	waitFor(t, "sersync2 watches", func() bool { return strings.Contains(out.String(), "watch path is") && watches(cmd.Process.Pid) })
	perform(t, src, func(a action) string { return a.after })
	right := func() bool {
		bad := wrong(t, src, dst)
		for _, a := range actions {
			if a.sersync && bad[a.name] {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(patience); !right() && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
	}
	bad, ours := wrong(t, src, dst), byFansync(t)
	for _, a := range actions {
		t.Logf("%-30s sersync2 right: %-5v fansync right: %v", a.name, !bad[a.name], !ours[a.name])
		if ours[a.name] {
			t.Errorf("%s: fansync is wrong", a.name)
		}
		if a.sersync && bad[a.name] {
			t.Errorf("%s: sersync2 is wrong where it is known to be right", a.name)
		}
	}
}

// watches reports whether the process has an inotify watch for each directory:
// the walk is over.
func watches(pid int) bool {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		text, err := os.ReadFile(fd)
		if err == nil && strings.Count(string(text), "inotify wd:") > len(actions) {
			return true
		}
	}
	return false
}

// waitFor polls until ok, which must come true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
