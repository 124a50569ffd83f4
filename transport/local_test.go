package transport

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

func TestCheckOverlap(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "src/in/", "other/", "srcx/", "link@src", "out@other", "dangling@src/new/deep", "other/back@../src/in")
	for dst, want := range map[string]string{
		"src":              "is the source itself",
		"link":             "is the source itself",
		"src/in":           "is inside the source",
		"src/new/deep":     "is inside the source",
		"link/new":         "is inside the source",
		"dangling":         "is inside the source",
		"other/back":       "is inside the source",
		"other/back/new":   "is inside the source",
		".":                "would be deleted",
		"":                 "would be deleted",
		"srcx":             "",
		"other":            "",
		"out":              "",
		"other/new/deeper": "",
		"sr":               "",
	} {
		err := CheckOverlap(filepath.Join(dir, "src"), Dest{Kind: Local, Path: filepath.Join(dir, dst)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", dst, err, want)
		}
	}
	if err := CheckOverlap(filepath.Join(dir, "link"), Dest{Kind: Local, Path: filepath.Join(dir, "src/in")}); err == nil {
		t.Error("a source behind a symlink is not seen through")
	}
	if err := CheckOverlap(dir, Dest{Kind: Local, Path: "/"}); err == nil {
		t.Error("the root directory holds every source")
	}
	if err := CheckOverlap(dir, Dest{Kind: SSH, Host: "h", Path: dir}); err != nil {
		t.Error(err)
	}
	if err := CheckOverlap(filepath.Join(dir, "nosuch"), Dest{Kind: Local, Path: "/mnt"}); err == nil {
		t.Error("a missing source is no error")
	}
}

func TestOverlapByBindMount(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	write(t, dir, "src/in/", "bind/")
	mount(t, filepath.Join(dir, "src"), filepath.Join(dir, "bind"), "", syscall.MS_BIND, "")
	for _, dst := range []string{"bind", "bind/in", "bind/in/new"} {
		if err := CheckOverlap(filepath.Join(dir, "src"), Dest{Kind: Local, Path: filepath.Join(dir, dst)}); err == nil {
			t.Errorf("%s is not seen to be in the source", dst)
		}
	}
}

// mount mounts for the length of a test.
func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, fstype, flags, data); err != nil {
		t.Skipf("mount is not possible here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
}

func TestDestinationIsMade(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "f")
	remove(t, p.dst, "")
	if res := p.Probe(t.Context()); res.Class != scheduler.OK {
		t.Errorf("probe: %+v", res)
	}
	exists(t, filepath.Dir(p.dst), false, "dst")
	p.mustSend(scheduler.Flat, "f")
	p.same()
	// Once it was there, a new one would be a mirror without the old files.
	remove(t, p.dst, "")
	if res := p.send(scheduler.Flat, "f"); res.Class != transient || !strings.Contains(res.Message, "is gone") {
		t.Errorf("%+v", res)
	}
	exists(t, filepath.Dir(p.dst), false, "dst")
}

func TestDestinationCannotBeMade(t *testing.T) {
	needRsync(t)
	dir := t.TempDir()
	write(t, dir, "src/f", "file")
	for path, want := range map[string]string{
		"no/parent": "mkdir -p " + filepath.Join(dir, "no"),
		"file":      "is not a directory",
		"file/x":    "ot a directory",
	} {
		r, err := New(Config{Root: filepath.Join(dir, "src"), Dest: Dest{Kind: Local, Path: filepath.Join(dir, path)}})
		if err != nil {
			t.Fatal(err)
		}
		p := &pair{t, filepath.Join(dir, "src"), "", r}
		for what, res := range map[string]scheduler.Result{"send": p.send(scheduler.Flat, "f"), "probe": p.Probe(t.Context())} {
			if res.Class == scheduler.OK || res.Code != -1 || !strings.Contains(res.Message, want) {
				t.Errorf("%s: %s: %+v, want %q", path, what, res, want)
			}
		}
	}
}

func TestDestinationUnmounted(t *testing.T) {
	needRoot(t)
	p := newPair(t, Config{}, "")
	mount(t, "none", p.dst, "tmpfs", 0, "size=1m")
	write(t, p.src, "f", "g")
	p.mustSend(scheduler.Flat, "f")
	if err := syscall.Unmount(p.dst, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Full} {
		if res := p.send(form, "g"); res.Class != transient || !strings.Contains(res.Message, "no longer on the device") {
			t.Errorf("%s: %+v", form, res)
		}
	}
	if res := p.Probe(t.Context()); res.Class != transient {
		t.Errorf("probe: %+v", res)
	}
	exists(t, p.dst, false, "f", "g")
}

func TestDiskFull(t *testing.T) {
	needRoot(t)
	p := newPair(t, Config{}, "")
	mount(t, "none", p.dst, "tmpfs", 0, "size=64k")
	write(t, p.src, "big="+strings.Repeat("x", 1<<20), "small")
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Full} {
		if res := p.send(form, "big", "small"); res.Class != transient || res.Message != "disk full at "+p.dst+": make room there" {
			t.Errorf("%s: %+v", form, res)
		}
	}
}

// What cannot be read is named, keeps what the destination has of it, and
// the deletions rsync left out for it are reported.
func TestUnreadableSource(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	p := newPair(t, Config{}, "")
	write(t, p.src, "d/f", "ok", "secret")
	write(t, p.dst, "d/f=old")
	for name, mode := range map[string]os.FileMode{"d": 0, "secret": 0} {
		if err := os.Chmod(filepath.Join(p.src, name), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(filepath.Join(p.src, name), 0o700) })
	}
	res := p.send(scheduler.Full)
	if res.Class != scheduler.Partial || !res.DeletesSkipped || len(res.Failed) != 2 || res.Failed[0].Path != "d" || res.Failed[1].Path != "secret" {
		t.Errorf("%+v", res)
	}
	if err := os.Chmod(filepath.Join(p.dst, "d"), 0o700); err != nil { // the mode was sent
		t.Fatal(err)
	}
	exists(t, p.dst, true, "ok", "d/f")
}
