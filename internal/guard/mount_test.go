package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts and unmounts at the test's end what is still mounted.
func mount(t *testing.T, source, target, fstype string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if err := unix.Mount(source, target, fstype, 0, ""); err != nil {
		t.Skipf("mount %s: %v", fstype, err)
	}
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
}

// umount fails if anything in the filesystem is still open.
func umount(t *testing.T, target string) {
	t.Helper()
	must(t, unix.Unmount(target, 0))
}

func mountPoint(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mnt")
	must(t, os.Mkdir(path, 0o755))
	return path
}

func TestUnmounted(t *testing.T) {
	path := mountPoint(t)
	mount(t, "none", path, "tmpfs")
	write(t, path, "a")
	r := mustOpen(t, path)
	expect(t, r, 0)
	umount(t, path)
	expect(t, r, Replaced)
	if err := r.Check(); !strings.Contains(err.Error(), "another filesystem") {
		t.Errorf("%v", err)
	}
	r.AcceptEmpty()
	expect(t, r, Replaced)
	mount(t, "none", path, "tmpfs")
	expect(t, r, Replaced)
	umount(t, path)
}

func TestMountedOver(t *testing.T) {
	r, path := newRoot(t, "a")
	mount(t, "none", path, "tmpfs")
	write(t, path, "a")
	expect(t, r, Replaced)
	umount(t, path)
	expect(t, r, 0)
}

// TestDescriptorOutlivesTheMount: what OpenDir gave still is the old root.
func TestDescriptorOutlivesTheMount(t *testing.T) {
	r, path := newRoot(t, "a")
	dir, err := r.OpenDir(true)
	must(t, err)
	defer dir.Close()
	mount(t, "none", path, "tmpfs")
	if names, err := dir.Readdirnames(-1); err != nil || len(names) != 1 {
		t.Errorf("names %q, %v", names, err)
	}
	umount(t, path)
}

// TestSwappedImage mounts two ext4 images one after the other from the same
// loop device: device and inode numbers are equal, only the filesystem differs.
func TestSwappedImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	path := mountPoint(t)
	loop := attach(t, image(t, dir, "one"))
	mount(t, loop.path, path, "ext4")
	r := mustOpen(t, path)
	expect(t, r, 0)
	umount(t, path)
	mount(t, loop.path, path, "ext4")
	expect(t, r, 0)
	umount(t, path)
	loop.swap(t, image(t, dir, "two"))
	mount(t, loop.path, path, "ext4")
	now := mustOpen(t, path).id
	if was := r.id; now.Dev != was.Dev || now.Ino != was.Ino {
		t.Skipf("device or inode differ: %v, was %v", now, was)
	}
	expect(t, r, Replaced)
	umount(t, path)
}

func image(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Truncate(file, 8<<20))
	if out, err := exec.Command("mkfs.ext4", "-q", file).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	return file
}

// loopDevice is a loop device that is ours while owned.
type loopDevice struct {
	path  string
	owned bool
}

func attach(t *testing.T, file string) *loopDevice {
	t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Skipf("losetup: %v", err)
	}
	l := &loopDevice{path: strings.TrimSpace(string(out)), owned: true}
	t.Cleanup(func() {
		if l.owned {
			exec.Command("losetup", "--detach", l.path).Run()
		}
	})
	return l
}

// swap puts another image behind the device, unless someone else takes the
// device in between.
func (l *loopDevice) swap(t *testing.T, file string) {
	t.Helper()
	must(t, exec.Command("losetup", "--detach", l.path).Run())
	out, err := exec.Command("losetup", l.path, file).CombinedOutput()
	if l.owned = err == nil; !l.owned {
		t.Skipf("losetup: %v: %s", err, out)
	}
}
