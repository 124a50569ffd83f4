package watcher

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// image makes a filesystem in a file and returns a function that mounts it.
func image(t *testing.T, kind string, size int64) (mount func(at string)) {
	t.Helper()
	file := imageFile(t, kind, size)
	return func(at string) { t.Helper(); mountImage(t, file, at) }
}

// imageFile makes a filesystem in a file.
func imageFile(t *testing.T, kind string, size int64) string {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("mkfs." + kind); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "image")
	write(t, file, "")
	ok(t, os.Truncate(file, size))
	command(t, "mkfs."+kind, "-q", file)
	return file
}

// mountImage mounts the filesystem in a file.
func mountImage(t *testing.T, file, at string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", file, at).CombinedOutput(); err != nil {
		t.Skipf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() { detach(at) })
}

// detach unmounts whatever is still mounted at a path.
func detach(at string) {
	for unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil {
	}
}

func command(t *testing.T, name string, arg ...string) {
	t.Helper()
	if out, err := exec.Command(name, arg...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, arg, err, out)
	}
}

// unmount retries while something else looks at the mount for a moment, as
// the watcher may at the root once a second; it must never hold it.
func unmount(t *testing.T, at string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Unmount(at, 0)
		if err == nil {
			return
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			t.Fatal("umount:", err)
		}
	}
}

// An unmount takes the mark with it and tells fanotify nothing; with inotify
// it is told.
func TestPitfall22UnmountMeansGone(t *testing.T) {
	for _, where := range []string{".", "sub/root"} {
		for _, b := range []Backend{BackendFanotify, BackendInotify} {
			t.Run(string(b)+" "+where, func(t *testing.T) {
				at := tempRoot(t, "disk")
				image(t, "ext4", 8<<20)(at)
				root := filepath.Join(at, where)
				mkdir(t, root)
				p := watch(t, Config{Root: root, Backend: b})
				mkdir(t, p.path("d"))
				write(t, p.path("d/f"), "1")
				want(t, p.sync(), "d/f", Created)
				unmount(t, at)
				p.untilGone()
			})
		}
	}
}

// The same filesystem unmounted and mounted again: its old mark is void.
func TestPitfall22RemountIsNoticed(t *testing.T) {
	for kind, size := range map[string]int64{"ext4": 8 << 20, "xfs": 320 << 20, "btrfs": 128 << 20} {
		t.Run(kind, func(t *testing.T) { remount(t, kind, size) })
	}
}

func remount(t *testing.T, kind string, size int64) {
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			at := tempRoot(t, "disk")
			mount := image(t, kind, size)
			mount(at)
			mkdir(t, at+"/root/d")
			var g gate
			p := watch(t, Config{Root: at + "/root", Backend: b, hold: g.hold})
			g.during(func() {
				write(t, p.path("d/f"), "1")
				unmount(t, at)
				mount(at)
			})
			restarted := false
			p.until(func(e Event) bool {
				restarted = e.Reason == Restarted
				return restarted || e.Has(Gone)
			})
			if !restarted {
				t.Skip("seen while unmounted, or mounted as another device")
			}
			p.sync()
			mkdir(t, p.path("d/n"))
			write(t, p.path("d/n/g"), "1")
			want(t, p.sync(), "d/n/g", Created)
		})
	}
}

func TestMountBelowTheRoot(t *testing.T) {
	needRoot(t)
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			root := tempRoot(t, "disk")
			need(t, b, root)
			at := root + "/a/m"
			mkdir(t, at+"/under")
			t.Cleanup(func() { detach(at) })
			p := watch(t, Config{Root: root, Backend: b})
			if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
				t.Skip("mount:", err)
			}
			newMount := func(e Event) bool { return e.Path == "a/m" && e.Reason == NewMount }
			p.until(newMount)
			mkdir(t, at+"/d")
			write(t, at+"/d/f", "1")
			want(t, p.sync(), "a/m/d/f", Created)
			unmount(t, at)
			p.until(newMount)
			p.sync()
			write(t, at+"/under/f", "1")
			want(t, p.sync(), "a/m/under/f", Created)
			if m := p.w.Stats().UnwatchedMounts; len(m) != 0 {
				t.Error("unwatched mounts:", m)
			}
		})
	}
}

func TestAutoTakesFanotifyThoughSomethingIsMountedBelow(t *testing.T) {
	needRoot(t)
	root := tempRoot(t, "disk")
	need(t, BackendFanotify, root)
	at := root + "/odd name"
	mkdir(t, at)
	t.Cleanup(func() { detach(at) })
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Skip("mount:", err)
	}
	p := watch(t, Config{Root: root})
	if b, why := p.w.Backend(); b != BackendFanotify {
		t.Error(b, why)
	}
	write(t, at+"/f", "1")
	want(t, p.sync(), "odd name/f", Created)
}

func TestMountTable(t *testing.T) {
	table := "22 1 0:21 / /proc rw - proc proc rw\n" +
		"30 1 8:1 / /r rw - ext4 /dev/a rw\n" +
		"31 30 8:2 / /r/a\\040b rw - ext4 /dev/b rw\n" +
		"32 30 8:3 / /r/c rw - ext4 /dev/c rw\n" +
		"33 30 8:4 / /rr rw - ext4 /dev/d rw\nbroken\n"
	got := parseMounts([]byte(table), "/r")
	if len(got) != 2 || got["a b"] == 0 || got["c"] == 0 || got["a b"] == got["c"] {
		t.Error(got)
	}
	for what, with := range map[string]string{"id": "50 30 8:3 / /r/c rw - ext4 /dev/c rw", "type": "32 30 8:3 / /r/c rw - xfs /dev/c rw"} {
		other := parseMounts([]byte(strings.Replace(table, "32 30 8:3 / /r/c rw - ext4 /dev/c rw", with, 1)), "/r")
		if diff := changedMounts(got, other); len(diff) != 1 || diff[0] != "c" {
			t.Errorf("another %s: %v", what, diff)
		}
	}
	stacked := parseMounts([]byte(table+"40 32 8:5 / /r/c rw - ext4 /dev/e rw\n"), "/r")
	if diff := changedMounts(got, stacked); len(diff) != 1 || diff[0] != "c" {
		t.Error(diff)
	}
	if all := parseMounts([]byte(table), "/"); len(all) != 5 {
		t.Error(all)
	}
	table += "41 30 0:5 / /r/s rw shared:1 master:2 - sysfs none rw\n42 30 0:6 / /r/s rw - tmpfs none rw\n43 30 0:7 / /r/t rw shared:1\n"
	for path, fs := range map[string]string{"/r/a b": "ext4", "/proc": "proc", "/r/s": "tmpfs", "/r/t": "", "/r/d": ""} {
		if got := parseType([]byte(table), path); got != fs {
			t.Errorf("type of %q: %q, want %q", path, got, fs)
		}
	}
	for id, dev := range map[uint64]string{32: "8:3", 41: "0:5", 4: ""} {
		if got := parseDevice([]byte(table), id); got != dev {
			t.Errorf("device of mount %d: %q, want %q", id, got, dev)
		}
	}
}
