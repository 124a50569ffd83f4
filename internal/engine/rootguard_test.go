package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// halted waits until the remote is halted for a reason that holds the text.
func (r *running) halted(t *testing.T, remote, text string) {
	t.Helper()
	await(t, "halt: "+text, func() bool {
		st := r.remote(remote)
		return st.State == scheduler.Halted && strings.Contains(st.Reason, text)
	})
}

func sixty(t *testing.T, dir string) {
	t.Helper()
	for _, d := range []string{"a", "b", "c"} {
		mkdir(t, filepath.Join(dir, d))
		for i := range 20 {
			write(t, filepath.Join(dir, d, string(rune('a'+i))), d)
		}
	}
}

// An unmounted source is another, empty directory: nothing may be deleted for
// it. When it is mounted again the mirror goes on.
func TestUnmountedRoot(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		mirrortest.NeedRoot(t)
		m := newMirror(t, backend)
		disk := m.src + ".disk"
		mkdir(t, disk)
		mirrortest.Mount(t, disk, m.src, "", unix.MS_BIND, "")
		sixty(t, m.src)
		e := m.start(t)
		e.flush(t)
		want, err := mirrortest.Snapshot(m.dst, nil)
		if err != nil {
			t.Fatal(err)
		}
		mirrortest.Unmount(t, m.src)
		e.halted(t, "far", "put the old one back")
		mirrortest.Mount(t, "tmpfs", m.src, "tmpfs", 0, "")
		e.halted(t, "far", "another filesystem")
		m.unchanged(t, want)
		mirrortest.Unmount(t, m.src)
		write(t, filepath.Join(disk, "a", "new"), "written while it was away")
		mirrortest.Mount(t, disk, m.src, "", unix.MS_BIND, "")
		mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
		write(t, filepath.Join(m.src, "b", "live"), "again")
		e.flush(t)
		m.equal(t)
	})
}

// unchanged demands that the remote still is as it was.
func (m *mirror) unchanged(t *testing.T, want mirrortest.Tree) {
	t.Helper()
	got, err := mirrortest.Snapshot(m.dst, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := mirrortest.Diff(want, got, mirrortest.DiffOptions{}); len(d) > 0 {
		t.Errorf("the remote has changed:\n%s", lines(d))
	}
}

func TestEmptiedRoot(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		sixty(t, m.src)
		e := m.start(t)
		e.flush(t)
		for _, d := range []string{"a", "b", "c"} {
			if err := os.RemoveAll(filepath.Join(m.src, d)); err != nil {
				t.Fatal(err)
			}
		}
		e.halted(t, "far", "empty")
		for _, d := range []string{"a", "b", "c"} {
			entries, err := os.ReadDir(filepath.Join(m.dst, d))
			if err != nil || len(entries) != 20 {
				t.Errorf("%s at the remote holds %d entries, want 20 (%v)", d, len(entries), err)
			}
		}
		sixty(t, m.src) // put back
		e.awaitState(t, "far", scheduler.Live)
		e.flush(t)
		m.equal(t)
		for _, d := range []string{"a", "b", "c"} {
			if err := os.RemoveAll(filepath.Join(m.src, d)); err != nil {
				t.Fatal(err)
			}
		}
		e.halted(t, "far", "empty")
		if err := e.ConfirmDeletes("far"); err != nil {
			t.Fatal(err)
		}
		mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	})
}

func (r *running) awaitState(t *testing.T, remote string, s scheduler.State) {
	t.Helper()
	await(t, remote+" to be "+string(s), func() bool { return r.remote(remote).State == s })
}

// Another directory takes the root's place; then the first one returns.
func TestReplacedRoot(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		sixty(t, m.src)
		e := m.start(t)
		e.flush(t)
		want, err := mirrortest.Snapshot(m.dst, nil)
		if err != nil {
			t.Fatal(err)
		}
		aside := m.src + ".aside"
		if err := os.Rename(m.src, aside); err != nil {
			t.Fatal(err)
		}
		e.halted(t, "far", "missing")
		mkdir(t, m.src)
		write(t, filepath.Join(m.src, "other"), "x")
		e.halted(t, "far", "another directory")
		m.unchanged(t, want)
		if err := os.RemoveAll(m.src); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(aside, "a", "new"), "written meanwhile")
		if err := os.Rename(aside, m.src); err != nil {
			t.Fatal(err)
		}
		mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
		e.awaitState(t, "far", scheduler.Live)
		write(t, filepath.Join(m.src, "b", "live"), "again")
		e.flush(t)
		m.equal(t)
	})
}

// A source that is empty at the start is most likely not mounted yet.
func TestEmptySourceAtStart(t *testing.T) {
	m := newMirror(t, "auto")
	sixty(t, m.dst)
	e := m.start(t)
	e.halted(t, "far", "empty")
	if entries, err := os.ReadDir(m.dst); err != nil || len(entries) != 3 {
		t.Errorf("the remote holds %d entries, want 3 (%v)", len(entries), err)
	}
	if err := e.ConfirmDeletes(""); err != nil {
		t.Fatal(err)
	}
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{NoTimes: true})
}

// More than half of the tree goes at once: the remote halts before anything is
// deleted, and goes on when the operator says so.
func TestMassDeletion(t *testing.T) {
	for _, how := range []string{"removed", "moved away"} {
		t.Run(how, func(t *testing.T) {
			m := newMirror(t, "auto")
			m.conf.Roots[0].Guard.MaxDeleteFiles = 30
			sixty(t, m.src)
			e := m.start(t)
			e.flush(t)
			want, err := mirrortest.Snapshot(m.dst, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []string{"a", "b"} {
				if how == "removed" {
					err = os.RemoveAll(filepath.Join(m.src, d))
				} else {
					// Out of the root, on the same filesystem.
					err = os.Rename(filepath.Join(m.src, d), filepath.Join(filepath.Dir(m.src), d))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			e.halted(t, "far", "confirm")
			got, err := mirrortest.Snapshot(m.dst, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := mirrortest.Diff(want, got, mirrortest.DiffOptions{NoTimes: true}); len(d) > 0 {
				t.Errorf("the remote has changed:\n%s", lines(d))
			}
			if err := e.ConfirmDeletes("far"); err != nil {
				t.Fatal(err)
			}
			mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
		})
	}
}

// What was deleted by accident is put back: the remote goes on by itself, and
// nothing was deleted there.
func TestMassDeletionPutBack(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.Roots[0].Guard.MaxDeleteFiles = 30
	sixty(t, m.src)
	e := m.start(t)
	e.flush(t)
	for _, d := range []string{"a", "b"} {
		if err := os.RemoveAll(filepath.Join(m.src, d)); err != nil {
			t.Fatal(err)
		}
	}
	e.halted(t, "far", "confirm")
	sixty(t, m.src)
	e.awaitState(t, "far", scheduler.Live)
	e.flush(t)
	m.equal(t)
}
