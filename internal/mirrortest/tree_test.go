package mirrortest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// must ends the test on an error of preparing it.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// plant makes a small tree with one entry of each kind, all of one time.
func plant(t *testing.T) string {
	root := t.TempDir()
	must(t, os.MkdirAll(root+"/d/e", 0o755))
	must(t, os.WriteFile(root+"/f", []byte("content"), 0o644))
	must(t, os.WriteFile(root+"/d/odd\n\xff", []byte("more"), 0o644))
	must(t, os.Link(root+"/f", root+"/d/hard"))
	must(t, os.Symlink("f", root+"/l"))
	must(t, unix.Mkfifo(root+"/p", 0o644))
	for _, name := range []string{"f", "d/odd\n\xff", "l", "p", "d/e", "d", ""} {
		date(t, filepath.Join(root, name), 1e9, 5)
	}
	return root
}

func date(t *testing.T, path string, sec, nsec int64) {
	t.Helper()
	ts := unix.Timespec{Sec: sec, Nsec: nsec}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

func TestDiffFindsEachKind(t *testing.T) {
	all := DiffOptions{Owners: true, Links: true}
	for _, tc := range []struct {
		name   string
		change func(root string) error
		opts   DiffOptions
		want   string
		root   bool
	}{
		{"nothing", func(string) error { return nil }, all, "", false},
		{"missing", func(r string) error { return os.Remove(r + "/l") }, all, `"l": missing: source symlink, destination nothing`, false},
		{"extra", func(r string) error { return os.Mkdir(r+"/x", 0o755) }, all, `"x": extra: source nothing, destination directory`, false},
		{"content", func(r string) error {
			return os.WriteFile(r+"/d/odd\n\xff", []byte("MORE"), 0)
		}, all, `"d/odd\n\xff": content: source 187897ce, destination`, false},
		{"size", func(r string) error { return os.Truncate(r+"/f", 1000) }, all, `"f": size: source 7, destination 1000`, false},
		{"mtime by a nanosecond", func(r string) error { date(t, r+"/f", 1e9, 6); return nil }, all,
			`"f": mtime: source 2001-09-09T01:46:40.000000005Z, destination 2001-09-09T01:46:40.000000006Z`, false},
		{"mtime of a directory", func(r string) error { date(t, r+"/d", 1e9, 6); return nil }, all, `"d": mtime:`, false},
		{"mtime of the root", func(r string) error { date(t, r, 1e9, 6); return nil }, all, `"": mtime:`, false},
		{"mtime of a link", func(r string) error { date(t, r+"/l", 1e9, 6); return nil }, all, `"l": mtime:`, false},
		{"mode", func(r string) error { return os.Chmod(r+"/f", 0o600) }, all, `"f": mode: source 0644, destination 0600`, false},
		{"mode of the root", func(r string) error { return os.Chmod(r, 0o700) }, all, `"": mode:`, false},
		{"target", func(r string) error { os.Remove(r + "/l"); return os.Symlink("g", r+"/l") }, all,
			`"l": target: source "f", destination "g"`, false},
		{"type", func(r string) error { os.Remove(r + "/p"); return os.Mkdir(r+"/p", 0o755) }, all,
			`"p": type: source fifo, destination directory`, false},
		{"links", func(r string) error {
			os.Remove(r + "/d/hard")
			return os.WriteFile(r+"/d/hard", []byte("content"), 0o644)
		}, all, `"f": links: source to "d/hard", destination to ""`, false},
		{"owner", func(r string) error { return os.Lchown(r+"/l", 7, 8) }, all, `"l": owner: source 0:0, destination 7:8`, true},
		{"owner not wanted", func(r string) error { return os.Lchown(r+"/l", 7, 8) }, DiffOptions{}, "", true},
		{"mode not wanted", func(r string) error { return os.Chmod(r+"/f", 0o600) }, DiffOptions{NoModes: true}, "", false},
		{"times not wanted", func(r string) error { date(t, r, 1, 1); return nil }, DiffOptions{NoTimes: true}, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.root {
				NeedRoot(t)
			}
			src, dst := plant(t), plant(t)
			must(t, tc.change(dst))
			diffs, err := compare(src, dst, tc.opts)
			must(t, err)
			if tc.want == "" {
				if len(diffs) > 0 {
					t.Fatal(report(diffs))
				}
				return
			}
			for _, d := range diffs {
				if strings.HasPrefix(d.String(), tc.want) {
					return
				}
			}
			t.Fatalf("no difference begins with %s\n%s", tc.want, report(diffs))
		})
	}
}

func TestSnapshotSkip(t *testing.T) {
	root := plant(t)
	tree, err := Snapshot(root, func(path string, isDir bool) bool { return path == "d" && isDir || path == "l" })
	must(t, err)
	if len(tree) != 3 {
		t.Fatalf("snapshot holds %d paths, not the root, f and p", len(tree))
	}
	if _, err := Snapshot(root+"/nothing", nil); err == nil {
		t.Fatal("a root that does not exist was taken")
	}
	if _, err := Snapshot(root+"/f", nil); err == nil {
		t.Fatal("a file was taken for a root")
	}
	// A link is followed as the root and nowhere else.
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(root, link))
	if tree, err = Snapshot(link, nil); err != nil || len(tree) != 8 || tree["l"].Target != "f" {
		t.Fatalf("snapshot by a link: %d paths, %v", len(tree), err)
	}
}

func TestWaitEqualWaits(t *testing.T) {
	src, dst := plant(t), t.TempDir()
	rsync := NeedProgram(t, "rsync")
	done := make(chan error, 1)
	go func() {
		done <- exec.Command(rsync, "-aH", "--modify-window=-1", src+"/", dst).Run()
	}()
	WaitEqual(t, src, dst, time.Minute, DiffOptions{Links: true})
	must(t, <-done)
	RequireEqual(t, src, dst, DiffOptions{Links: true})
}
