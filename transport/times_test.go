package transport

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/scheduler"
)

// stamp gives the root and the directories a and a/b times of their own, with
// nanoseconds, as changes below them would.
func stamp(t *testing.T, root string, seconds int64) {
	t.Helper()
	for i, dir := range []string{"a/b", "a", ""} {
		at := time.Unix(seconds+int64(i), 123456789)
		if err := os.Chtimes(filepath.Join(root, dir), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestParentsKeepTheirTimes: whatever a batch lists, the parents of it and
// the root go along with their times and modes, also below and after
// deletions, so no item is needed for them.
func TestParentsKeepTheirTimes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, src string)
		form   scheduler.Form
		list   []string
		dirs   []string
	}{
		{"file in the root", func(t *testing.T, src string) { write(t, src, "f=new") }, scheduler.Flat, []string{"f"}, []string{""}},
		{"file", func(t *testing.T, src string) { write(t, src, "a/f=new") }, scheduler.Flat, []string{"a/f"}, []string{"", "a"}},
		{"deep file", func(t *testing.T, src string) { write(t, src, "a/b/g=new") }, scheduler.Flat, []string{"a/b/g"}, []string{"", "a", "a/b"}},
		{"missing in the root", func(t *testing.T, src string) { remove(t, src, "f") }, scheduler.Flat, []string{"!f"}, []string{""}},
		{"missing", func(t *testing.T, src string) { remove(t, src, "a/f") }, scheduler.Flat, []string{"!a/f"}, []string{"", "a"}},
		{"deep missing", func(t *testing.T, src string) { remove(t, src, "a/b/g") }, scheduler.Flat, []string{"!a/b/g"}, []string{"", "a", "a/b"}},
		{"missing directory", func(t *testing.T, src string) { remove(t, src, "a/c") }, scheduler.Flat, []string{"!a/c"}, []string{"", "a"}},
		{"one level", func(t *testing.T, src string) { remove(t, src, "a/f") }, scheduler.Flat, []string{"a/"}, []string{"", "a", "a/b"}},
		{"one level of the root", func(t *testing.T, src string) { remove(t, src, "f") }, scheduler.Flat, []string{"/"}, []string{"", "a"}},
		{"racy", func(t *testing.T, src string) { write(t, src, "a/f=new") }, scheduler.Racy, []string{"a/f"}, []string{"", "a"}},
		{"deep", func(t *testing.T, src string) { remove(t, src, "a/b/g") }, scheduler.Deep, []string{"a/b"}, []string{"", "a", "a/b"}},
		{"deep racy", func(t *testing.T, src string) { write(t, src, "a/b/g=new") }, scheduler.DeepRacy, []string{"a/b"}, []string{"", "a", "a/b"}},
		{"deep missing directory", func(t *testing.T, src string) { remove(t, src, "a/c") }, scheduler.Deep, []string{"!a/c"}, []string{"", "a"}},
		{"full", func(t *testing.T, src string) { remove(t, src, "a/b/g") }, scheduler.Full, nil, []string{"", "a", "a/b"}},
	} {
		test := func(t *testing.T, rules bool) {
			p := newPair(t, Config{}, "")
			p.byRules.Store(rules)
			write(t, p.src, "f", "a/f", "a/b/g", "a/c/x")
			p.mustSend(scheduler.Full)
			tc.change(t, p.src)
			stamp(t, p.src, 1_600_000_000)
			if err := os.Chmod(filepath.Join(p.src, "a"), 0o750); err != nil {
				t.Fatal(err)
			}
			p.mustSend(tc.form, tc.list...)
			want, got := tree(t, p.src), tree(t, p.dst)
			for _, dir := range tc.dirs {
				dir = filepath.Clean(dir)
				if want[dir] != got[dir] {
					t.Errorf("%s is %q, want %q", dir, got[dir], want[dir])
				}
			}
		}
		t.Run(tc.name, func(t *testing.T) { test(t, false) })
		t.Run(tc.name+" by rules", func(t *testing.T) { test(t, true) })
	}
}

// A parent whose time is already right must still be right after a deletion
// in it.
func TestParentTimeAfterDeletion(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "a/f", "a/b/g", "h")
	p.mustSend(scheduler.Full)
	remove(t, p.src, "a/f", "a/b/g", "h")
	stamp(t, p.src, 1_500_000_000)
	stamp(t, p.dst, 1_500_000_000)
	p.mustSend(scheduler.Flat, "!a/b/g", "!a/f", "!h")
	p.same()
}
