package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fansync/fansync/internal/mirrortest"
)

// shared are filesystems that are mounted at the first use and stay until the
// last test of the package has ended. Tests that use them are not parallel.
var shared = &sharedMounts{at: map[string]string{}}

type sharedMounts struct {
	at     map[string]string
	undo   []func()
	ending bool
	failed bool
	dirs   int
}

// lasting is a test's TB for what outlives the test.
type lasting struct{ testing.TB }

func (l lasting) Cleanup(f func()) { shared.undo = append(shared.undo, f) }

func (l lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "watcher")
	ok(l.TB, err)
	l.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (l lasting) Helper() {}

func (l lasting) Errorf(format string, args ...any) {
	if !shared.ending {
		l.TB.Errorf(format, args...)
		return
	}
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	shared.failed = true
}

// end unmounts everything and exits.
func (s *sharedMounts) end(exitCode int) {
	s.ending = true
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.undo[i]()
	}
	if s.failed && exitCode == 0 {
		exitCode = 1
	}
	os.Exit(exitCode)
}

const (
	overlayPlain  = "overlay"
	overlayExport = "overlay-nfs_export"
)

// root returns a new directory, which goes when the test ends, with an empty
// one in it, on a shared filesystem: ext4, xfs, btrfs, tmpfs, or one of the
// overlays, whose layers lie on the tmpfs.
func (s *sharedMounts) root(t testing.TB, kind string) string {
	t.Helper()
	if s.at[kind] == "" {
		s.at[kind] = s.mount(t, kind)
	}
	s.dirs++
	dir := filepath.Join(s.at[kind], fmt.Sprint(s.dirs))
	ok(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	root := filepath.Join(dir, "root")
	ok(t, os.Mkdir(root, 0o755))
	return root
}

func (s *sharedMounts) mount(t testing.TB, kind string) string {
	t.Helper()
	var at string
	switch kind {
	case "tmpfs":
		at = mirrortest.TmpfsDir(lasting{t})
	case overlayPlain, overlayExport:
		layers := filepath.Dir(s.root(lasting{t}, "tmpfs"))
		at = overlay(lasting{t}, layers, kind)
	default:
		at = mirrortest.LoopFS(lasting{t}, kind, 64)
	}
	at, err := filepath.EvalSymlinks(at)
	ok(t, err)
	return at
}

// overlay mounts an overlay with the layers dir/lower and dir/upper.
func overlay(tb testing.TB, dir, kind string) string {
	tb.Helper()
	for _, layer := range []string{"lower", "upper", "work"} {
		mkdir(tb, filepath.Join(dir, layer))
	}
	options := fmt.Sprintf("lowerdir=%s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if kind == overlayExport {
		options += ",index=on,nfs_export=on"
	}
	at := tb.TempDir()
	mirrortest.Mount(tb, "overlay", at, "overlay", 0, options)
	return at
}
