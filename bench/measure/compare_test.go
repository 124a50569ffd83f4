package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// base is the time of all that tree makes.
var base = time.Unix(1_700_000_000, 123456789)

// tree makes files from "path=content", directories from "path/" and symbolic
// links from "path->target", parents included, all with the same time.
func tree(t *testing.T, entries ...string) string {
	t.Helper()
	root := t.TempDir()
	var dirs []string
	for _, e := range entries {
		var err error
		if path, target, ok := strings.Cut(e, "->"); ok {
			path = filepath.Join(root, path)
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path), setTime(path, base))
		} else if path, content, ok := strings.Cut(e, "="); ok {
			path = filepath.Join(root, path)
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644), setTime(path, base))
		} else {
			err = os.MkdirAll(filepath.Join(root, e), 0o755)
			dirs = append(dirs, filepath.Join(root, e))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range dirs {
		if err := setTime(dir, base); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func setTime(path string, at time.Time) error {
	ts := unix.NsecToTimespec(at.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

func TestCompare(t *testing.T) {
	tests := map[string]struct {
		src, dst []string
		change   func(src, dst string) error
		opts     CompareOptions
		want     []Difference
	}{
		"equal": {
			src: []string{"a=1", "d/b=2", "d/e/", "l->a"}, dst: []string{"a=1", "d/b=2", "d/e/", "l->a"},
			opts: CompareOptions{Content: true},
		},
		"missing, with all below": {
			src: []string{"a=1", "d/b=2", "d/e/f=3"}, dst: []string{"a=1"},
			want: []Difference{{"d", "missing"}, {"d/b", "missing"}, {"d/e", "missing"}, {"d/e/f", "missing"}},
		},
		"extra, with all below": {
			src: []string{"m=1"}, dst: []string{"a/b=2", "m=1", "z=3"},
			want: []Difference{{"a", "extra"}, {"a/b", "extra"}, {"z", "extra"}},
		},
		"size": {
			src: []string{"a=123"}, dst: []string{"a=12"},
			want: []Difference{{"a", "size 3 is 2"}},
		},
		"content": {
			src: []string{"a=123", "b=x"}, dst: []string{"a=124", "b=x"}, opts: CompareOptions{Content: true},
			want: []Difference{{"a", "content"}},
		},
		"content is not looked at": {src: []string{"a=123"}, dst: []string{"a=124"}},
		"content after the first block": {
			src: []string{"a=" + strings.Repeat("x", 200_000) + "1"}, dst: []string{"a=" + strings.Repeat("x", 200_000) + "2"},
			opts: CompareOptions{Content: true}, want: []Difference{{"a", "content"}},
		},
		"a nanosecond": {
			src: []string{"a=1"}, dst: []string{"a=1"},
			change: func(_, dst string) error { return setTime(dst+"/a", base.Add(1)) },
			want:   []Difference{{"a", "time 2023-11-14T22:13:20.123456789 is 2023-11-14T22:13:20.123456790"}},
		},
		"a link's time": {
			src: []string{"a->b"}, dst: []string{"a->b"},
			change: func(_, dst string) error { return setTime(dst+"/a", base.Add(time.Second)) },
			want:   []Difference{{"a", "time 2023-11-14T22:13:20.123456789 is 2023-11-14T22:13:21.123456789"}},
		},
		"a directory's time does not count": {
			src: []string{"d/"}, dst: []string{"d/"},
			change: func(_, dst string) error { return setTime(dst+"/d", base.Add(time.Hour)) },
		},
		"a directory's time counts": {
			src: []string{"d/"}, dst: []string{"d/"}, opts: CompareOptions{DirTimes: true},
			change: func(_, dst string) error { return setTime(dst+"/d", base.Add(time.Hour)) },
			want:   []Difference{{"d", "time 2023-11-14T22:13:20.123456789 is 2023-11-14T23:13:20.123456789"}},
		},
		"mode": {
			src: []string{"a=1", "d/"}, dst: []string{"a=1", "d/"},
			change: func(src, dst string) error {
				return errors.Join(os.Chmod(src+"/a", 0o600), os.Chmod(dst+"/d", 0o1777|os.ModeSticky))
			},
			want: []Difference{{"a", "mode 0600 is 0644"}, {"d", "mode 0755 is 1777"}},
		},
		"target": {
			src: []string{"l->a b"}, dst: []string{"l->c"},
			want: []Difference{{"l", `target "a b" is "c"`}},
		},
		"several at once": {
			src: []string{"a=1"}, dst: []string{"a=12"},
			change: func(_, dst string) error { return os.Chmod(dst+"/a", 0o640) },
			want:   []Difference{{"a", "size 1 is 2, mode 0644 is 0640"}},
		},
		"types": {
			src: []string{"a=1", "b/c=2", "d->x", "e=5"}, dst: []string{"a/b=1", "b=2", "d/", "e->y"},
			want: []Difference{
				{"a", "file is directory"}, {"a/b", "extra"}, {"b", "directory is file"}, {"b/c", "missing"},
				{"d", "symlink is directory"}, {"e", "file is symlink"},
			},
		},
		"a link to a directory is not followed": {
			src: []string{"d/a=1", "l->d"}, dst: []string{"d/a=1", "l->d"}, opts: CompareOptions{Content: true},
		},
		"names that sort around a slash": {
			src: []string{"a/b=1", "a-b=1", "a.b=1", "a0=1"}, dst: []string{"a/b=1", "a-b=1", "a.b=1", "a0=12"},
			want: []Difference{{"a0", "size 1 is 2"}},
		},
		"names that are not UTF-8": {
			src: []string{"\xff\n=1"}, dst: []string{"\xfe=1"},
			want: []Difference{{"\xfe", "extra"}, {"\xff\n", "missing"}},
		},
		"enough differences": {
			src: []string{"a=1", "b=1", "c/d=1"}, dst: nil, opts: CompareOptions{Most: 1},
			want: []Difference{{"a", "missing"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src, dst := tree(t, tt.src...), tree(t, tt.dst...)
			if tt.change != nil {
				if err := tt.change(src, dst); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Compare(t.Context(), src, dst, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("differences (-want +got):\n%s", d)
			}
		})
	}
}

func TestCompareOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change owners")
	}
	src, dst := tree(t, "a=1", "l->x"), tree(t, "a=1", "l->x")
	if err := errors.Join(os.Lchown(dst+"/a", 12, 34), os.Lchown(src+"/l", 5, 6)); err != nil {
		t.Fatal(err)
	}
	got, err := Compare(t.Context(), src, dst, CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Difference{{"a", "owner 0:0 is 12:34"}, {"l", "owner 5:6 is 0:0"}}, got); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
}

// TestCompareFindsEachChange changes some of many entries, in several directories
// and in one that is larger than a chunk, and wants just those.
func TestCompareFindsEachChange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var entries []string
	for i := range 2*chunk + 300 {
		entries = append(entries, fmt.Sprintf("large/%06d=%d", i, i%10))
	}
	for i := range 400 {
		entries = append(entries, fmt.Sprintf("d%d/e%d/f%d=%d", i%7, i%5, i, i%10))
	}
	src, dst := tree(t, entries...), tree(t, entries...)
	var want []Difference
	for i, e := range entries {
		if rng.IntN(9) > 0 {
			continue
		}
		path, _, _ := strings.Cut(e, "=")
		var err error
		switch rng.IntN(4) {
		case 0:
			err = os.Remove(dst + "/" + path)
			want = append(want, Difference{path, "missing"})
		case 1:
			err = os.Remove(src + "/" + path)
			want = append(want, Difference{path, "extra"})
		case 2:
			err = errors.Join(os.WriteFile(dst+"/"+path, []byte("x"), 0), setTime(dst+"/"+path, base))
			want = append(want, Difference{path, "content"})
		case 3:
			name := fmt.Sprintf("%s.%d", path, i)
			err = os.WriteFile(dst+"/"+name, nil, 0o644)
			want = append(want, Difference{name, "extra"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(want, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
	got, err := Compare(t.Context(), src, dst, CompareOptions{Content: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	if got, err = Compare(t.Context(), src, dst, CompareOptions{Content: true, Most: 7}); err != nil || len(got) != 7 {
		t.Errorf("asked for 7, got %d, %v", len(got), err)
	}
}

// TestCompareOfTreesThatChange: what goes away meanwhile is no error.
func TestCompareOfTreesThatChange(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	quit, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			root := []string{src, dst}[i%2]
			name := fmt.Sprintf("%s/d%d", root, i%13)
			err := errors.Join(
				os.MkdirAll(name+"/x", 0o755), os.WriteFile(name+"/x/f", []byte("1"), 0o644), os.RemoveAll(name),
				os.WriteFile(name, []byte("2"), 0o644), os.Remove(name), os.Symlink("y", name), os.Remove(name))
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 300 {
		if _, err := Compare(t.Context(), src, dst, CompareOptions{Content: true}); err != nil {
			t.Error(err)
			break
		}
		if _, err := NewestChange(src); err != nil {
			t.Error(err)
			break
		}
	}
	close(quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got, err := Compare(t.Context(), src, dst, CompareOptions{Content: true}); err != nil || len(got) != 0 {
		t.Errorf("at rest: %v, %v", got, err)
	}
}

func TestCompareErrors(t *testing.T) {
	dir := tree(t, "a=1")
	for _, bad := range []string{dir + "/none", dir + "/a"} {
		if _, err := Compare(t.Context(), dir, bad, CompareOptions{}); err == nil {
			t.Errorf("%s is accepted as a tree", bad)
		}
		if _, err := NewestChange(bad); err == nil {
			t.Errorf("%s is accepted as a tree", bad)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(ctx, dir, dir, CompareOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestCompareThroughLinks: the roots themselves may be symbolic links.
func TestCompareThroughLinks(t *testing.T) {
	src, dst := tree(t, "a=1"), tree(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(src, link); err != nil {
		t.Fatal(err)
	}
	got, err := Compare(t.Context(), link, dst, CompareOptions{})
	if err != nil || len(got) != 1 {
		t.Errorf("differences %v, %v, want one", got, err)
	}
}

func TestNewestChange(t *testing.T) {
	dir := tree(t, "a=1", "d/b=1", "d/e/f=1")
	changes := []struct {
		name  string
		act   func() error
		shows string // whose ctime is the newest now
	}{
		{"write", func() error { return os.WriteFile(dir+"/d/e/f", []byte("22"), 0) }, "d/e/f"},
		{"set back a time", func() error { return setTime(dir+"/a", base.Add(-time.Hour)) }, "a"},
		{"chmod", func() error { return os.Chmod(dir+"/d", 0o700) }, "d"},
		{"remove", func() error { return os.Remove(dir + "/d/b") }, "d"},
		{"create", func() error { return os.WriteFile(dir+"/d/e/g", nil, 0o644) }, "d/e/g"},
		{"rename", func() error { return os.Rename(dir+"/d/e/g", dir+"/h") }, "h"},
		{"remove at the top", func() error { return os.Remove(dir + "/h") }, ""},
	}
	last, err := NewestChange(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		// The clock of ctimes may stand still between two changes.
		await(t, c.name+" to get a newer ctime", func() bool {
			probe := filepath.Join(t.TempDir(), "probe")
			if err := os.WriteFile(probe, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			return ctime(t, probe).After(last)
		})
		if err := c.act(); err != nil {
			t.Fatal(err)
		}
		at, err := NewestChange(dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := ctime(t, filepath.Join(dir, c.shows)); !at.Equal(want) || !at.After(last) {
			t.Errorf("%s: newest change %v, was %v before; %q has %v", c.name, at, last, c.shows, want)
		}
		last = at
	}
}

func ctime(t *testing.T, path string) time.Time {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return time.Unix(st.Ctim.Unix())
}

// TestCompareToTheSecond: a plain rsync -a leaves times that differ within a
// second.
func TestCompareToTheSecond(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for dir, at := range map[string]time.Time{src: time.Unix(1e9, 1), dst: time.Unix(1e9, 2)} {
		if err := os.WriteFile(dir+"/f", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir+"/f", at, at); err != nil {
			t.Fatal(err)
		}
	}
	for seconds, want := range map[bool]int{false: 1, true: 0} {
		diff, err := Compare(t.Context(), src, dst, CompareOptions{Seconds: seconds})
		if err != nil || len(diff) != want {
			t.Errorf("Seconds %t: %v %v", seconds, diff, err)
		}
	}
	if err := os.Chtimes(dst+"/f", time.Time{}, time.Unix(1e9+1, 1)); err != nil {
		t.Fatal(err)
	}
	if diff, err := Compare(t.Context(), src, dst, CompareOptions{Seconds: true}); err != nil || len(diff) != 1 {
		t.Errorf("one second off: %v %v", diff, err)
	}
}
