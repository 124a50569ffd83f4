package mirrortest

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// live runs a whole history in a new directory below base and returns its
// tree's path.
func live(t *testing.T, base string, seed uint64, n int, opts HistoryOptions) (*History, string) {
	t.Helper()
	dir := fmt.Sprintf("%s/%d", base, seed)
	h := NewHistory(seed, dir, opts)
	if err := h.Run(n); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(h.Log(), "\n"))
	}
	must(t, h.Close())
	return h, dir
}

// options are all a History may do as the user that runs the test.
func options(pace Pacing) HistoryOptions {
	return HistoryOptions{Pace: pace, Owners: unix.Geteuid() == 0}
}

var typeOf = map[kind]uint32{
	regular: unix.S_IFREG, directory: unix.S_IFDIR, symlink: unix.S_IFLNK, fifo: unix.S_IFIFO,
}

// checkPicture compares the history's own picture with the real tree.
func checkPicture(t *testing.T, h *History, top *entry, dir string) Tree {
	t.Helper()
	tree, err := Snapshot(dir, nil)
	must(t, err)
	n := 1
	top.walk(func(e *entry) {
		n++
		real, ok := tree[e.path()]
		if !ok || real.Type != typeOf[e.kind] || e.kind == regular && real.Size != e.ino.size {
			t.Errorf("%q is %v %+v in the picture, %+v in the tree", e.path(), e.kind, e.ino, real)
		}
	})
	if n != len(tree) {
		t.Errorf("%d paths in the picture, %d in the tree", n, len(tree))
	}
	if t.Failed() {
		t.Fatalf("seed %d:\n%s", h.seed, strings.Join(h.Log(), "\n"))
	}
	return tree
}

func TestHistoryReplays(t *testing.T) {
	for seed := range uint64(20) {
		a, dirA := live(t, t.TempDir(), seed, 120, options(Burst))
		b, dirB := live(t, t.TempDir(), seed, 120, options(Burst))
		if !slices.Equal(a.Log(), b.Log()) {
			t.Fatalf("seed %d gave two logs\n%s\n\n%s", seed,
				strings.Join(a.Log(), "\n"), strings.Join(b.Log(), "\n"))
		}
		RequireEqual(t, dirA, dirB, DiffOptions{NoTimes: true, Owners: true, Links: true})
	}
}

// Pauses, hooks and another filesystem do not change what happens.
func TestHistoryIsTheSameElsewhere(t *testing.T) {
	opts := options(Burst)
	a, dirA := live(t, t.TempDir(), 4, 60, opts)
	opts.Pace = Paced
	opts.MaxOps = 60
	var hooks []int
	opts.Between = func(i int) { hooks = append(hooks, i) }
	base := TmpfsDir(t)
	opts.Outside = base + "/elsewhere"
	b, dirB := live(t, base, 4, 1000, opts)
	if !slices.Equal(a.Log(), b.Log()) {
		t.Fatal("a pace gave another log")
	}
	RequireEqual(t, dirA, dirB, DiffOptions{NoTimes: true, Owners: true, Links: true})
	if err := b.Step(); err != io.EOF {
		t.Fatalf("a step more than MaxOps: %v", err)
	}
	if len(hooks) != 60 || hooks[0] != 0 || hooks[59] != 59 {
		t.Fatalf("hooks were called for %v", hooks)
	}
}

// The pictures stay true, every operation is drawn, the bounds hold.
func TestHistoryManySeeds(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	for name, base := range map[string]string{"disk": t.TempDir(), "tmpfs": TmpfsDir(t)} {
		drawn := map[string]int{}
		for seed := range seeds {
			h, dir := live(t, base, seed, 80, options(Burst))
			tree := checkPicture(t, h, h.tree, dir)
			checkPicture(t, h, h.outside, dir+".outside")
			if len(tree) > 200 {
				t.Fatalf("seed %d grew to %d paths", seed, len(tree))
			}
			for path := range tree {
				if strings.Count(path, "/") > maxDepth+2 {
					t.Fatalf("seed %d went down to %q", seed, path)
				}
			}
			for _, l := range h.Log() {
				op, _, _ := strings.Cut(l[strings.IndexByte(l, ' ')+1:], ":")
				drawn[op]++
			}
		}
		for _, op := range operations {
			if drawn[op.name] == 0 && (op.name != "chown" || unix.Geteuid() == 0) {
				t.Errorf("%s: no seed drew %q", name, op.name)
			}
		}
		t.Logf("%s: %v", name, drawn)
	}
}

func TestHistoryOnLoopFS(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			base := LoopFS(t, fs, 64)
			for seed := range uint64(20) {
				h, dir := live(t, base, seed, 80, options(Burst))
				checkPicture(t, h, h.tree, dir)
			}
		})
	}
}

// What is asked of a mirror can be had: one plain rsync makes the trees equal
// in all that Diff compares.
func TestRsyncMakesHistoryEqual(t *testing.T) {
	rsync := NeedProgram(t, "rsync")
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	base := t.TempDir()
	for seed := range seeds {
		opts := options(Burst)
		_, dir := live(t, base, seed, 80, opts)
		dst := fmt.Sprintf("%s/%d.dst", base, seed)
		out, err := exec.Command(rsync, "-a", "--delete", "--force", "--modify-window=-1", dir+"/", dst).CombinedOutput()
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, out)
		}
		RequireEqual(t, dir, dst, DiffOptions{Owners: opts.Owners})
	}
}

// A tree that already holds another seed's history is brought over, through a
// daemon: types clash, directories go, odd names are deleted. Without chroot
// the links must be tame.
func TestRsyncTurnsOneHistoryIntoAnother(t *testing.T) {
	for name, chroot := range map[string]bool{"chroot": true, "no chroot": false} {
		t.Run(name, func(t *testing.T) {
			rsync := NeedProgram(t, "rsync")
			base, mod := t.TempDir(), t.TempDir()
			d := StartDaemon(t, DaemonConfig{Modules: map[string]string{"m": mod}, Chroot: chroot})
			for seed := range uint64(10) {
				opts := options(Burst)
				opts.InnerLinks = !chroot
				_, dir := live(t, base, seed, 80, opts)
				out, err := exec.Command(rsync, "-aI", "--delete", "--force", "--modify-window=-1",
					dir+"/", d.URL("m", "")).CombinedOutput()
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, out)
				}
				RequireEqual(t, dir, mod, DiffOptions{Owners: opts.Owners})
			}
		})
	}
}

func TestHistoryRefusesForeignTrees(t *testing.T) {
	h := NewHistory(1, plant(t), HistoryOptions{})
	err := h.Run(10)
	if err == nil || !strings.Contains(err.Error(), "not empty") || h.Step() != err {
		t.Fatalf("a tree with content was answered by %v", err)
	}
	if len(h.Log()) != 0 {
		t.Fatalf("something was done: %v", h.Log())
	}
}

// An operation that fails is named, and the history ends there.
func TestHistoryFails(t *testing.T) {
	dir := t.TempDir() + "/tree"
	h := NewHistory(1, dir, HistoryOptions{})
	must(t, h.Run(20))
	must(t, exec.Command("rm", "-rf", dir).Run())
	err := h.Run(200)
	if err == nil || !strings.Contains(err.Error(), "history of seed 1, operation ") || h.Step() != err {
		t.Fatalf("a tree that went away was answered by %v", err)
	}
	log := h.Log()
	if last := log[len(log)-1]; !strings.Contains(err.Error(), last) {
		t.Fatalf("%q is the last line, not of %v", last, err)
	}
	must(t, h.Close())
}
