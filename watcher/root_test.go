package watcher

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRootGone(t *testing.T) {
	for name, f := range map[string]func(t *testing.T, root string){
		"deleted":       func(t *testing.T, root string) { remove(t, root) },
		"moved":         func(t *testing.T, root string) { rename(t, root, root+"2") },
		"parent moved":  func(t *testing.T, root string) { rename(t, filepath.Dir(root), filepath.Dir(root)+"2") },
		"replaced":      func(t *testing.T, root string) { rename(t, root, root+"2"); mkdir(t, root) },
		"made again":    func(t *testing.T, root string) { remove(t, root); mkdir(t, root) },
		"a file now":    func(t *testing.T, root string) { remove(t, root); write(t, root, "") },
		"a link to now": func(t *testing.T, root string) { rename(t, root, root+"2"); ok(t, os.Symlink(root+"2", root)) },
	} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, root string, b Backend) {
				root = filepath.Join(root, "../dir/root")
				mkdir(t, root)
				p := watch(t, Config{Root: root, Backend: b})
				write(t, p.path("f"), "1")
				want(t, p.sync(), "f", Created)
				f(t, root)
				p.untilGone()
			})
		})
	}
}

func TestRootMovedAwayAndBackIsNotGone(t *testing.T) {
	eachBackend(t, func(t *testing.T, root string, b Backend) {
		var g gate
		p := watch(t, Config{Root: root, Backend: b, hold: g.hold})
		g.during(func() {
			rename(t, root, root+"2")
			rename(t, root+"2", root)
		})
		p.sync()
		write(t, p.path("f"), "1")
		want(t, p.sync(), "f", Created)
	})
}

func TestConfigErrorsSayWhatIsWrong(t *testing.T) {
	dir := tempRoot(t, "disk")
	write(t, dir+"/file", "")
	ok(t, os.Symlink(dir, dir+"/link"))
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Root: ""}, "absolute"},
		{Config{Root: "a/b"}, "absolute"},
		{Config{Root: dir + "/"}, "clean"},
		{Config{Root: dir + "/nothing"}, "no such file"},
		{Config{Root: dir + "/file"}, "not a directory"},
		{Config{Root: dir + "/link"}, "symbolic link; use \"" + dir + "\""},
		{Config{Root: dir, Backend: "kqueue"}, "auto, fanotify or inotify"},
		{Config{Root: dir, RingSlots: 100}, "power of two"},
		{Config{Root: dir, RingSlots: 8}, "at least 16"},
		{Config{Root: dir, Repoll: -1}, "negative"},
		{Config{Root: "/proc/self/task", Backend: BackendFanotify}, ""},
		{Config{Root: "/proc", Backend: BackendFanotify}, "use backend auto or inotify"},
	} {
		w, err := New(c.cfg)
		if err == nil {
			w.Close()
			t.Errorf("%+v: no error", c.cfg)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.cfg, err, c.want)
		}
	}
}

func TestAutoSaysWhyNotFanotify(t *testing.T) {
	w := newWatcher(t, Config{Root: "/proc/sys"})
	defer w.Close()
	b, why := w.Backend()
	if b != BackendInotify || !strings.HasPrefix(why, "inotify: ") {
		t.Error(b, why)
	}
	t.Log(why)
}

// TestDirectoryCacheForgets runs with a cache for a handful of directories.
func TestDirectoryCacheForgets(t *testing.T) {
	root := tempRoot(t, "shm")
	need(t, BackendFanotify, root)
	const n = 60
	for i := range n {
		mkdir(t, fmt.Sprintf("%s/%d/a/b", root, i))
		mkdir(t, fmt.Sprintf("%s/../out/%d", root, i))
	}
	p := watch(t, Config{Root: root, Backend: BackendFanotify, MaxNodes: 8})
	at := make([]string, n)
	for i := range at {
		at[i] = fmt.Sprint(i)
	}
	for j := range 2000 {
		i := rand.IntN(n)
		switch rand.IntN(4) {
		case 0:
			to := fmt.Sprint("m", j)
			rename(t, p.path(at[i]), p.path(to))
			at[i] = to
			p.sync()
		case 1:
			write(t, p.path(fmt.Sprint("../out/", i, "/f")), "1")
		default:
			path := at[i] + "/a/b/" + fmt.Sprint(j)
			write(t, p.path(path), "1")
			want(t, p.sync(), path, Created)
		}
	}
	s := p.w.Stats()
	if s.Nodes > 8+4 || s.Rescans[ResolveFailed] > 0 {
		t.Errorf("%+v", s)
	}
}
