package guard

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newRoot makes a directory with the files and takes its identity.
func newRoot(t *testing.T, files ...string) (*Root, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		write(t, path, f)
	}
	return mustOpen(t, path), path
}

func mustOpen(t *testing.T, path string) *Root {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, dir, name string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect holds every way of asking to the same fault, 0 for none.
func expect(t *testing.T, r *Root, want Fault) {
	t.Helper()
	check := func(how string, err error, want Fault) {
		t.Helper()
		var re *RootError
		switch {
		case want == 0 && err != nil:
			t.Errorf("%s: %v", how, err)
		case want != 0 && (!errors.As(err, &re) || re.Fault != want || re.Path != r.path):
			t.Errorf("%s: %v, want fault %q", how, err, want)
		case want != 0 && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), ";")):
			t.Errorf("%s: the error is not one line with what to do: %v", how, err)
		}
	}
	check("Check", r.Check(), want)
	for _, need := range []bool{false, true} {
		dir, err := r.OpenDir(need)
		want := want
		if want == Emptied && !need {
			want = 0
		}
		check("OpenDir", err, want)
		if err == nil {
			if _, rerr := dir.ReadDir(-1); rerr != nil {
				t.Errorf("read what OpenDir gave: %v", rerr)
			}
			dir.Close()
		}
	}
}

func TestSame(t *testing.T) {
	r, path := newRoot(t, "a")
	expect(t, r, 0)
	write(t, path, "b")
	must(t, os.Remove(filepath.Join(path, "a")))
	must(t, os.Chmod(path, 0o700))
	expect(t, r, 0)
	if r.id != mustOpen(t, path).id || r.id.String() == "" {
		t.Error("the identity changed")
	}
}

func TestOpenDirStartsAtTheBeginning(t *testing.T) {
	r, _ := newRoot(t, "a", "b")
	dir, err := r.OpenDir(true)
	must(t, err)
	defer dir.Close()
	if names, err := dir.Readdirnames(-1); err != nil || len(names) != 2 {
		t.Errorf("names %q, %v", names, err)
	}
}

func TestMissing(t *testing.T) {
	r, path := newRoot(t, "a")
	must(t, os.Rename(path, path+".away"))
	expect(t, r, Missing)
	must(t, os.Rename(path+".away", path))
	expect(t, r, 0)
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file")
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	for name, want := range map[string]Fault{
		"none": Missing, "dangling": Missing, "none/deeper": Missing,
		"file": NotDirectory, "file/deeper": NotDirectory, "fifo": NotDirectory,
		"loop": Unreadable,
	} {
		_, err := Open(filepath.Join(dir, name))
		var re *RootError
		if !errors.As(err, &re) || re.Fault != want || re.Err == nil {
			t.Errorf("%s: %v, want fault %q", name, err, want)
		}
	}
	if _, err := Open("relative"); err == nil {
		t.Error("a relative path is taken")
	}
}

func TestNotDirectory(t *testing.T) {
	r, path := newRoot(t, "a")
	must(t, os.Rename(path, path+".away"))
	write(t, filepath.Dir(path), "root")
	expect(t, r, NotDirectory)
}

func TestReplacedByRename(t *testing.T) {
	r, path := newRoot(t, "a")
	must(t, os.Mkdir(path+".new", 0o755))
	write(t, path+".new", "a")
	must(t, unix.Renameat2(unix.AT_FDCWD, path+".new", unix.AT_FDCWD, path, unix.RENAME_EXCHANGE))
	expect(t, r, Replaced)
	if err := r.Check(); !strings.Contains(err.Error(), "another directory") {
		t.Errorf("%v", err)
	}
	must(t, unix.Renameat2(unix.AT_FDCWD, path+".new", unix.AT_FDCWD, path, unix.RENAME_EXCHANGE))
	expect(t, r, 0)
}

func TestReplacedBehindSymlink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	for _, d := range []string{"one", "two"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		write(t, filepath.Join(dir, d), "f")
	}
	must(t, os.Symlink("one", link))
	r := mustOpen(t, link)
	expect(t, r, 0)
	must(t, os.Remove(link))
	must(t, os.Symlink("two", link))
	expect(t, r, Replaced)
}

func TestEmptied(t *testing.T) {
	r, path := newRoot(t, "a")
	must(t, os.Remove(filepath.Join(path, "a")))
	expect(t, r, Emptied)
	r.AcceptEmpty()
	expect(t, r, 0)
	write(t, path, "b")
	expect(t, r, 0)
	must(t, os.Remove(filepath.Join(path, "b")))
	expect(t, r, Emptied)
}

func TestEmptyFromTheStart(t *testing.T) {
	r, path := newRoot(t)
	expect(t, r, 0)
	write(t, path, "a")
	must(t, os.Remove(filepath.Join(path, "a")))
	expect(t, r, 0)
}

// TestNothingHeld: the descriptors are as many after as before.
func TestNothingHeld(t *testing.T) {
	before := descriptors(t)
	r, path := newRoot(t, "a")
	expect(t, r, 0)
	must(t, os.Remove(filepath.Join(path, "a")))
	expect(t, r, Emptied)
	must(t, os.Remove(path))
	expect(t, r, Missing)
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// TestUnreadable asks as a user who may not read the root: the thread gives up
// root's power over files and ends with the goroutine.
func TestUnreadable(t *testing.T) {
	r, path := newRoot(t, "a")
	if os.Getuid() == 0 {
		must(t, os.Chmod(filepath.Dir(path), 0o755))
		must(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
	}
	must(t, os.Chmod(path, 0))
	defer os.Chmod(path, 0o755)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread()
			if err := unix.Setfsuid(65534); err != nil {
				t.Errorf("give up root: %v", err)
				return
			}
		}
		expect(t, r, Unreadable)
		if err := r.Check(); !errors.Is(err, unix.EACCES) {
			t.Errorf("%v does not wrap the system's error", err)
		}
	}()
	<-done
	must(t, os.Chmod(path, 0o755))
	expect(t, r, 0)
}
