package mirrortest

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTmpfsDir(t *testing.T) {
	var dir string
	t.Run("mounted", func(t *testing.T) {
		dir = TmpfsDir(t)
		checkFS(t, dir, unix.TMPFS_MAGIC)
	})
	checkGone(t, dir)
}

func TestLoopFS(t *testing.T) {
	for name, magic := range map[string]int64{
		"ext4": unix.EXT4_SUPER_MAGIC, "xfs": unix.XFS_SUPER_MAGIC, "btrfs": unix.BTRFS_SUPER_MAGIC,
	} {
		t.Run(name, func(t *testing.T) {
			var dir string
			t.Run("mounted", func(t *testing.T) {
				dir = LoopFS(t, name, 16)
				checkFS(t, dir, magic)
			})
			checkGone(t, dir)
		})
	}
}

func TestUnmountTwice(t *testing.T) {
	dir := TmpfsDir(t)
	NeedRoot(t)
	inner := dir + "/inner"
	must(t, os.Mkdir(inner, 0o755))
	Mount(t, dir, inner, "", unix.MS_BIND, "")
	Unmount(t, inner)
	Unmount(t, inner)
}

func checkFS(t *testing.T, dir string, magic int64) {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	if int64(st.Type) != magic {
		t.Fatalf("filesystem %#x, not %#x", st.Type, magic)
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 0 {
		t.Fatalf("not empty: %v", entries)
	}
	must(t, os.WriteFile(dir+"/f", []byte("x"), 0o600))
	date(t, dir+"/f", 1e9, 1)
	tree, err := Snapshot(dir, nil)
	must(t, err)
	if tree["f"].Mtime != 1e18+1 {
		t.Fatalf("mtime is %d", tree["f"].Mtime)
	}
}

// checkGone: neither the mount nor the loop device of the image is left.
func checkGone(t *testing.T, dir string) {
	t.Helper()
	if dir == "" {
		return // it was skipped
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if strings.Contains(string(mounts), dir) {
		t.Fatalf("%s is still mounted", dir)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s is still there", dir)
	}
	loops, err := os.ReadDir("/sys/block")
	must(t, err)
	for _, l := range loops {
		file, err := os.ReadFile("/sys/block/" + l.Name() + "/loop/backing_file")
		if err == nil && strings.Contains(string(file), strings.TrimSuffix(dir, "/mnt")) {
			t.Fatalf("%s is still attached to %s", l.Name(), file)
		}
	}
}
