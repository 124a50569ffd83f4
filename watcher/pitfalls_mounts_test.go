package watcher

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
)

// The mount of a directory from elsewhere in the same filesystem leads out of
// the root, and a path through it is not the one the kernel tells.
func TestPitfall17HandleOutsideTheMount(t *testing.T) {
	needRoot(t)
	eachPlace(t, everywhere, func(t *testing.T, real string, b Backend) {
		mkdir(t, real+"/tree/d")
		at := filepath.Join(real, "../bound")
		mkdir(t, at)
		mirrortest.Mount(t, real+"/tree", at, "", unix.MS_BIND, "")
		s := onStage(t, at, b)
		ev := s.live(func() {
			write(t, at+"/d/f", "1")
			write(t, real+"/tree/d/g", "1") // through the other mount
			mkdir(t, real+"/other/d")
			write(t, real+"/other/d/h", "1")
		})
		want(t, ev, "d/f", Created)
		want(t, ev, "d/g", Created)
		if all := kinds(ev); len(all) != 2 {
			t.Error("more than two paths:", all)
		}
		ev = s.live(func() { rename(t, real+"/other", real+"/tree/in") })
		want(t, ev, "in", Created|Moved|Dir|Subtree)
		want(t, s.live(func() { write(t, real+"/tree/in/d/i", "1") }), "in/d/i", Created)
	})
}

// A handle that cannot be opened for want of memory ends in a Rescan. The
// failures that pass, after which the handle is tried again, cannot be brought
// about; those that last are made by a filter of system calls, in a process of
// its own. inotify has no handles.
func TestPitfall18NoMemoryForAHandle(t *testing.T) {
	needRoot(t)
	root := openRoot(t)
	need(t, BackendFanotify, root)
	again(t, "TestAgainNoMemory", root, &syscall.SysProcAttr{})
}

func TestAgainNoMemory(t *testing.T) {
	root := os.Getenv("WATCHER_AGAIN")
	if root == "" {
		t.Skip("run by TestPitfall18NoMemoryForAHandle")
	}
	mkdir(t, root+"/d")
	var log strings.Builder
	p := watch(t, Config{Root: root, Backend: BackendFanotify, Log: slog.New(slog.NewTextHandler(&log, nil))})
	p.sync()
	refuseHandles(t)
	write(t, root+"/d/f", "1")
	p.until(func(e Event) bool { return e.Path == "" && e.Reason == ResolveFailed })
	// What needs no handle is told.
	write(t, root+"/g", "1")
	want(t, p.sync(), "g", Created)
	p.close()
	if !strings.Contains(log.String(), "cannot allocate memory") {
		t.Error("the log does not say why:", log.String())
	}
}

// refuseHandles makes every open_by_handle_at of this process end in ENOMEM.
func refuseHandles(t *testing.T) {
	t.Helper()
	const setFilter, syncThreads = 1, 1
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_OPEN_BY_HANDLE_AT},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.ENOMEM)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                       // SECCOMP_RET_ALLOW
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ok(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setFilter, syncThreads, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		t.Skip("no filters of system calls:", errno)
	}
	runtime.KeepAlive(filter)
}

// A copy of a filesystem's image has the same id. xfs takes the device's
// number for it, btrfs does not mount the copy, and other filesystems have no
// image.
func TestPitfall19ClonesHaveOneID(t *testing.T) {
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		t.Run(string(b), func(t *testing.T) {
			file := imageFile(t, "ext4", 8<<20)
			clone := file + ".clone"
			copyFile(t, file, clone)
			one, two := tempRoot(t, "disk"), tempRoot(t, "disk")
			mountImage(t, file, one)
			mountImage(t, clone, two)
			if a, b := fsid(t, one), fsid(t, two); a != b {
				t.Fatalf("ids %v and %v; the test shows nothing", a, b)
			}
			mkdir(t, one+"/d")
			mkdir(t, two+"/d") // most likely with the same handle
			p, q := onStage(t, one, b), onStage(t, two, b)
			ev := p.live(func() {
				write(t, one+"/d/f", "1")
				write(t, two+"/d/g", "1")
			})
			want(t, ev, "d/f", Created)
			wantNone(t, ev, "d/g")
			ev = q.sync()
			want(t, ev, "d/g", Created)
			wantNone(t, ev, "d/f")
		})
	}
}

func fsid(t *testing.T, path string) unix.Fsid {
	t.Helper()
	var st unix.Statfs_t
	ok(t, unix.Statfs(path, &st))
	return st.Fsid
}

// A snapshot appears with all its content and one record. A subvolume cannot
// be marked by itself.
func TestPitfall20BtrfsSubvolumes(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("btrfs"); err != nil {
		t.Skip(err)
	}
	eachPlace(t, []string{"btrfs"}, func(t *testing.T, root string, b Backend) {
		s := onStage(t, root, b)
		s.live(func() {
			command(t, "btrfs", "subvolume", "create", root+"/v")
			write(t, root+"/v/f", "1")
		})
		ev := s.live(func() { command(t, "btrfs", "subvolume", "snapshot", root+"/v", root+"/s") })
		if b == BackendFanotify {
			want(t, ev, "s", Created|Dir|Subtree)
		} else {
			want(t, ev, "s/f", Created)
		}
		want(t, s.live(func() { write(t, root+"/s/g", "1") }), "s/g", Created)
		ev = s.live(func() { command(t, "btrfs", "subvolume", "delete", root+"/s") })
		want(t, ev, "s", Removed|Dir)

		if _, err := New(Config{Root: root + "/v", Backend: BackendFanotify}); err == nil || !strings.Contains(err.Error(), "subvolume") {
			t.Error("fanotify on a subvolume:", err)
		}
		v := onStage(t, root+"/v", BackendAuto)
		if got, _ := v.w.Backend(); got != BackendInotify {
			t.Error(got)
		}
		want(t, v.live(func() { write(t, root+"/v/h", "1") }), "h", Created)
		command(t, "btrfs", "subvolume", "delete", root+"/v")
		v.untilGone()
	})
}

// A filesystem mounted inside the tree is compared when it comes and when it
// goes; meanwhile its changes are seen, or it is said that they are not, and it
// is compared again and again. What is mounted on makes no difference.
func TestPitfall23MountInsideTheTree(t *testing.T) {
	needRoot(t)
	eachPlace(t, []string{"ext4", "tmpfs", overlayExport}, func(t *testing.T, root string, b Backend) {
		const name = "a/\u3000m \r" // blanks that are no separators in the mount table
		at := filepath.Join(root, name)
		mkdir(t, at+"/under")
		p := watch(t, Config{Root: root, Backend: b, Repoll: time.Millisecond})
		mirrortest.Mount(t, "none", at, "tmpfs", 0, "")
		newMount := func(e Event) bool { return e.Path == name && e.Reason == NewMount }
		p.until(newMount)
		mkdir(t, at+"/d")
		write(t, at+"/d/f", "1")
		p.until(func(e Event) bool {
			if unwatched := p.w.Stats().UnwatchedMounts; len(unwatched) > 0 {
				return unwatched[0] == name && newMount(e)
			}
			return strings.HasPrefix(e.Path, name+"/d")
		})
		unmount(t, at)
		p.until(newMount)
		p.sync()
		write(t, at+"/under/f", "1")
		want(t, p.sync(), name+"/under/f", Created)
	})
}

// Writes through an overlay are seen in its upper directory, the names of the
// work directory beside it are not, and what is deleted becomes a device.
func TestPitfall27UpperOfAnOverlay(t *testing.T) {
	needRoot(t)
	for _, fs := range []string{"ext4", "tmpfs"} {
		for _, b := range []Backend{BackendFanotify, BackendInotify} {
			t.Run(fs+"-"+string(b), func(t *testing.T) {
				layers := filepath.Dir(shared.root(t, fs))
				mkdir(t, layers+"/lower/d")
				write(t, layers+"/lower/d/old", "1")
				write(t, layers+"/lower/d/changed", "1")
				at := overlay(t, layers, overlayPlain)
				upper := onStage(t, layers+"/upper", b)
				both := watch(t, Config{Root: layers, Backend: b, Ignore: func(path string, _ bool) bool { return path == "work" }})
				ev := upper.live(func() {
					write(t, at+"/new", "1")
					remove(t, at+"/d/old")
					ok(t, appendTo(at+"/d/changed", "2"))
				})
				want(t, ev, "new", Created|Modified|Closed)
				want(t, ev, "d", Created|Dir)
				var st unix.Stat_t
				ok(t, unix.Lstat(layers+"/upper/d/old", &st))
				if st.Mode&unix.S_IFMT != unix.S_IFCHR {
					t.Errorf("mode %o of what is deleted", st.Mode)
				}
				for path := range kinds(both.sync()) {
					if strings.HasPrefix(path, "work") {
						t.Error("told of the work directory:", path)
					}
				}
				if unix.Access(at+"/d/old", unix.F_OK) == nil {
					t.Error("deleted, and there")
				}
			})
		}
	}
}
