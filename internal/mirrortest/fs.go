package mirrortest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// NeedRoot skips the test for ordinary users.
func NeedRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("root is needed")
	}
}

// Mount mounts source on the existing directory target, as mount(2) would,
// and unmounts it when the test ends. A filesystem type the kernel does not
// have skips the test, and so does a machine that forbids to mount.
func Mount(tb testing.TB, source, target, fstype string, flags uintptr, data string) {
	tb.Helper()
	NeedRoot(tb)
	err := unix.Mount(source, target, fstype, flags, data)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EPERM) {
		tb.Skipf("mount %s: %v", fstype, err)
	}
	if err != nil {
		tb.Fatalf("mount %q on %q: %v", source, target, err)
	}
	tb.Cleanup(func() { Unmount(tb, target) })
}

// Unmount undoes a Mount before the test ends. What is not mounted any more
// is left alone. A mount that stays busy fails the test and is detached, so
// that nothing stays behind.
func Unmount(tb testing.TB, target string) {
	tb.Helper()
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(pollEvery) {
		err = unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
		if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	tb.Errorf("unmount %q: %v", target, err)
	if err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
		tb.Errorf("detach %q: %v", target, err)
	}
}

// TmpfsDir is an empty directory in RAM: a tmpfs of its own for root, else a
// directory of /dev/shm.
func TmpfsDir(tb testing.TB) string {
	tb.Helper()
	if os.Geteuid() == 0 {
		dir := tb.TempDir()
		Mount(tb, "tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
		return dir
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		tb.Skip("/dev/shm is not a tmpfs")
	}
	dir, err := os.MkdirTemp("/dev/shm", "mirrortest")
	if err != nil {
		tb.Skipf("no directory in /dev/shm: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove %q: %v", dir, err)
		}
	})
	return dir
}

// loopKinds are the options of each mkfs and the smallest size it takes, MiB.
var loopKinds = map[string]struct {
	minMB int
	args  []string
}{
	// 256-byte inodes hold nanoseconds and birth times.
	"ext4":  {16, []string{"-q", "-F", "-I", "256", "-E", "lazy_itable_init=1,nodiscard"}},
	"xfs":   {300, []string{"-q", "-f", "-K"}},
	"btrfs": {128, []string{"-q", "-f", "-K"}},
}

// LoopFS is the empty mount point of a new filesystem, "ext4", "xfs" or
// "btrfs", in a file of sizeMB MiB, or more if the type needs more.
func LoopFS(tb testing.TB, fstype string, sizeMB int) string {
	tb.Helper()
	NeedRoot(tb)
	kind, ok := loopKinds[fstype]
	if !ok {
		tb.Fatalf("unknown filesystem type %q", fstype)
	}
	mkfs := NeedProgram(tb, "mkfs."+fstype)
	losetup := NeedProgram(tb, "losetup")
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		tb.Skipf("no loop devices: %v", err)
	}
	dir := tb.TempDir()
	image := filepath.Join(dir, "image")
	if err := makeImage(image, int64(max(sizeMB, kind.minMB))<<20); err != nil {
		tb.Fatal(err)
	}
	if out, err := exec.Command(mkfs, append(kind.args, image)...).CombinedOutput(); err != nil {
		tb.Fatalf("make %s: %v\n%s", fstype, err, out)
	}
	out, err := exec.Command(losetup, "--find", "--show", image).CombinedOutput()
	if err != nil {
		tb.Skipf("no loop device: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	tb.Cleanup(func() {
		if out, err := exec.Command(losetup, "--detach", device).CombinedOutput(); err != nil {
			tb.Errorf("detach %s: %v\n%s", device, err, out)
		}
	})
	mnt := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		tb.Fatalf("make mount point: %v", err)
	}
	Mount(tb, device, mnt, fstype, 0, "")
	if err := os.Remove(filepath.Join(mnt, "lost+found")); err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatalf("empty the new %s: %v", fstype, err)
	}
	return mnt
}

func makeImage(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	return errors.Join(f.Truncate(size), f.Close())
}
