package watcher

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHiddenHistories does random changes of hard-linked files and compares
// the tree before and after: what differs must be explained by an Event for
// one of the names that the file has now.
func TestHiddenHistories(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			base := filesystem(t, kind)
			root := base + "/root"
			mkdir(t, root)
			need(t, BackendFanotify, root)
			mkdir(t, base+"/out")
			var g gate
			p := watch(t, Config{Root: root, Backend: BackendFanotify, hold: g.hold})
			seed, n := historyPlan()
			before := snapshot(t, root)
			unknowns, hidden := 0, 0
			for range n {
				h := &linkHistory{history{root: root, rnd: rand.New(rand.NewPCG(seed, 1))}, nil, seed%2 == 0}
				if seed%3 == 0 {
					g.during(func() { h.run(10 + int(seed%30)) })
				} else {
					h.run(10 + int(seed%30))
				}
				events := p.sync()
				after := snapshot(t, root)
				paths, unknown := hiddenIn(events)
				if unknown {
					unknowns++
				} else if bad := unexplainedFiles(t, root, before, after, events); len(bad) > 0 {
					t.Fatalf("-history.seed=%d: not explained:\n%s\nhistory:\n%s\nevents:\n%s", seed,
						strings.Join(bad, "\n"), strings.Join(h.log, "\n"), listing(events))
				}
				hidden += len(paths)
				before = after
				seed++
			}
			t.Logf("%d histories: %d files hidden, %d times some file", n, hidden, unknowns)
			for why, n := range p.w.Stats().Rescans {
				if n > 0 {
					t.Errorf("%d rescans: %s", n, why)
				}
			}
		})
	}
}

// unexplainedFiles is unexplained for files that have several names: an Event
// for one of them explains all.
func unexplainedFiles(t testing.TB, root string, before, after map[string]string, events []Event) (bad []string) {
	t.Helper()
	files := map[uint64][]string{}
	ok(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var st unix.Stat_t
		err = unix.Lstat(path, &st)
		files[st.Ino] = append(files[st.Ino], path[len(root)+1:])
		return err
	}))
	lacking := map[string]bool{}
	for _, line := range unexplained(before, after, events) {
		lacking[line] = true
	}
	told := func(path string) bool {
		// As if all had changed: is there an Event that has to do with it?
		return len(unexplained(nil, map[string]string{path: "changed"}, events)) == 0
	}
	for line := range lacking {
		if !slices.ContainsFunc(sameFile(files, line), told) {
			bad = append(bad, line)
		}
	}
	return bad
}

// sameFile are all names of the file that a line of unexplained begins with.
func sameFile(files map[uint64][]string, line string) []string {
	for _, names := range files {
		for _, name := range names {
			if strings.HasPrefix(line, fmt.Sprintf("%q:", name)) {
				return names
			}
		}
	}
	return nil
}

// linkHistory is a history of hard-linked files. One with outside moves names
// out of the root; as changes through such are not told, it has no open
// descriptors.
type linkHistory struct {
	history
	open    *os.File
	outside bool
}

func (h *linkHistory) run(n int) {
	for range n {
		h.one()
	}
	if h.open != nil {
		h.open.Close()
	}
}

// one does one change; that it may be impossible is no matter.
func (h *linkHistory) one() {
	a, b := name(h.rnd, 3), name(h.rnd, 3)
	pa, pb := filepath.Join(h.root, a), filepath.Join(h.root, b)
	fa, fb := pa+"f", pb+"f"
	out := filepath.Join(h.root, "../out", name(h.rnd, 1))
	text := fmt.Sprint(h.rnd.Uint32())
	type op struct {
		weight int
		name   string
		do     func() error
	}
	ops := []op{
		{4, "mkdir " + a, func() error { return os.MkdirAll(pa, 0o755) }},
		{3, "new " + a + "f", func() error { return os.WriteFile(fa, []byte(text), 0o644) }},
		{6, "append " + a + "f", func() error { return appendTo(fa, text) }},
		{2, "chmod " + a + "f", func() error { return os.Chmod(fa, 0o600|os.FileMode(h.rnd.IntN(64))) }},
		{9, "ln " + a + "f " + b + "f", func() error { return os.Link(fa, fb) }},
		{6, "ln, append, rm " + a + "f " + b + "f", func() error {
			if err := os.Link(fa, fb); err != nil {
				return err
			}
			if err := appendTo(fb, text); err != nil {
				return err
			}
			return os.Remove(fb)
		}},
		{5, "rm " + a + "f", func() error { return os.Remove(fa) }},
		{4, "mv " + a + "f " + b + "f", func() error { return unix.Rename(fa, fb) }},
		{2, "mv " + a + " " + b, func() error { return unix.Rename(pa, pb) }},
		{1, "exchange " + a + "f " + b + "f", func() error {
			return unix.Renameat2(unix.AT_FDCWD, fa, unix.AT_FDCWD, fb, unix.RENAME_EXCHANGE)
		}},
		{1, "rm -r " + a, func() error { return os.RemoveAll(pa) }},
	}
	if h.outside {
		ops = append(ops,
			op{1, "move out " + a, func() error { return unix.Rename(pa, out) }},
			op{1, "move out " + a + "f", func() error { return unix.Rename(fa, out+"f") }},
			op{2, "move in " + a, func() error { return unix.Rename(out, pa) }},
			op{2, "move in " + a + "f", func() error { return unix.Rename(out+"f", fa) }},
			op{2, "rm -r outside", func() error { return os.RemoveAll(out) }},
			op{2, "rm outside", func() error { return os.Remove(out + "f") }},
		)
	} else {
		ops = append(ops,
			op{2, "open " + a + "f", func() error {
				f, err := os.OpenFile(fa, os.O_WRONLY|os.O_APPEND, 0)
				if err == nil {
					if h.open != nil {
						h.open.Close()
					}
					h.open = f
				}
				return err
			}},
			op{5, "write to it", func() error {
				if h.open == nil {
					return os.ErrClosed
				}
				_, err := h.open.WriteString(text)
				return err
			}},
		)
	}
	sum := 0
	for _, op := range ops {
		sum += op.weight
	}
	pick := h.rnd.IntN(sum)
	for _, op := range ops {
		if pick -= op.weight; pick < 0 {
			h.log = append(h.log, fmt.Sprint(op.name, " ", op.do()))
			return
		}
	}
}
