package links

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExcludedNames(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "b=a", "no/c=a", "d/no/e=a", "f.no=a")
	x := New(Config{Root: root, Skip: func(path string, isDir bool) bool {
		return isDir && filepath.Base(path) == "no" || strings.HasSuffix(path, ".no")
	}})
	expect(t, expand(t, x, changed("a", content)), "a content", "b content|racy")
	expand(t, x, changed("f.no", name|content))
	expect(t, expand(t, x, changed("a", content)), "a content", "b content|racy")
}

func TestSymlinksNotFollowed(t *testing.T) {
	onEach(t, func(t *testing.T, root string) {
		outside := filepath.Join(root, "outside")
		inside := filepath.Join(root, "root")
		plant(t, root, "outside/x", "outside/y=outside/x", "root/d/a", "root/b=root/d/a")
		must(t, os.Symlink(outside, inside+"/out"))
		must(t, os.Symlink("d", inside+"/s"))
		must(t, os.Symlink("b", inside+"/l"))
		x := New(Config{Root: inside})
		expect(t, expand(t, x, changed("out/x", content)), "out/x content")
		expect(t, expand(t, x, changed("s/a", content)), "s/a content")
		expect(t, expand(t, x, changed("l", content)), "l content")
		if x.Stats().InUse {
			t.Error("a symbolic link was followed")
		}
		expect(t, expand(t, x, changed("b", content)), "b content", "d/a content|racy")
		// A component becomes a symbolic link to the very directory.
		must(t, os.Rename(inside+"/d", inside+"/e"))
		must(t, os.Symlink("e", inside+"/d"))
		expect(t, expand(t, x, changed("b", content)), "b content", "e/a content|racy")
		// The root itself may be one.
		must(t, os.Symlink("root", root+"/link"))
		expect(t, expand(t, New(Config{Root: root + "/link"}), changed("b", content)), "b content", "e/a content|racy")
	})
}

func TestNamesAreBytes(t *testing.T) {
	root := t.TempDir()
	odd := "n\nl \xff\x80*"
	long := strings.Repeat(strings.Repeat("x", 200)+"/", 15)
	plant(t, root, "a", odd+"/b=a", long+"c=a")
	x := New(Config{Root: root})
	expect(t, expand(t, x, changed("a", content)), "a content", odd+"/b content|racy", long+"c content|racy")
}

func TestNothingHeld(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "a", "d/e/b=a", "d/c=a", "f/")
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(fds)
	}
	before := count()
	x := New(Config{Root: root})
	expand(t, x, changed("a", content), changed("d/c", content), changed("d/e/b", content))
	if after := count(); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
}

// TestOpenByParts is the way for kernels without openat2.
func TestOpenByParts(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "d/e/f")
	must(t, os.Symlink("d", root+"/s"))
	tr, err := openTree(root)
	must(t, err)
	defer tr.close()
	for path, want := range map[string]error{"d/e": nil, "d": nil, ".": nil, "s": unix.ENOTDIR, "s/e": unix.ENOTDIR, "d/x": unix.ENOENT, "d/e/f": unix.ENOTDIR, "d/e/f/g": unix.ENOTDIR} {
		fd, err := tr.openByParts(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
		if err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		if err == nil {
			unix.Close(fd)
		} else if !vanished(err) {
			t.Errorf("%s: %v is not taken for vanished", path, err)
		}
	}
}
