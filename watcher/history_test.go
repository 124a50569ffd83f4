package watcher

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
)

var (
	historySeed = flag.Uint64("history.seed", 0, "first seed of the random histories; 0 takes one from the clock")
	histories   = flag.Int("history.n", 300, "number of random histories for each filesystem")
)

// historyPlan is the first seed, and how many histories are tried.
func historyPlan() (seed uint64, n int) {
	seed, n = *historySeed, *histories
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	if testing.Short() {
		n = min(n, 30)
	}
	return seed, n
}

// TestHistories does random changes, from one or two goroutines, under both
// backends at once, and compares the tree before and after: whatever differs
// must be explained by the Events.
func TestHistories(t *testing.T) {
	for _, where := range []string{"disk", "shm"} {
		t.Run(where, func(t *testing.T) {
			root := tempRoot(t, where)
			need(t, BackendFanotify, root)
			mkdir(t, root+"/../out")
			// While shut, all stays in the kernel's queue, where it is merged,
			// and is resolved when it is long past.
			var gate sync.Mutex
			hold := func() {
				gate.Lock()
				defer gate.Unlock()
			}
			probes := []*probe{
				watch(t, Config{Root: root, Backend: BackendFanotify, hold: hold}),
				watch(t, Config{Root: root, Backend: BackendInotify, hold: hold}),
			}
			seed, n := historyPlan()
			before := snapshot(t, root)
			for range n {
				h := &history{root: root, rnd: rand.New(rand.NewPCG(seed, 1))}
				if shut := seed%3 == 0; shut {
					gate.Lock()
					h.run(10 + int(seed%30))
					gate.Unlock()
				} else {
					h.run(10 + int(seed%30))
				}
				var events [][]Event
				for _, p := range probes {
					events = append(events, p.sync())
				}
				after := snapshot(t, root)
				for i, p := range probes {
					b, _ := p.w.Backend()
					if bad := unexplained(before, after, events[i]); len(bad) > 0 {
						t.Fatalf("-history.seed=%d: %s does not explain:\n%s\nhistory:\n%s\nevents:\n%s", seed, b,
							strings.Join(bad, "\n"), strings.Join(h.log, "\n"), listing(events[i]))
					}
				}
				before = after
				seed++
			}
			for _, p := range probes {
				for why, n := range p.w.Stats().Rescans {
					if n > 0 {
						t.Errorf("%d rescans: %s", n, why)
					}
				}
			}
		})
	}
}

func listing(events []Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%q %s from %q\n", e.Path, e.Kind, e.From)
	}
	return b.String()
}

// snapshot describes root, as "", and every path below it. The times of
// directories are left out: they follow what happens in them.
func snapshot(t testing.TB, root string) map[string]string {
	t.Helper()
	tree, err := mirrortest.Snapshot(root, nil)
	ok(t, err)
	m := map[string]string{}
	for path, n := range tree {
		var st unix.Stat_t
		ok(t, unix.Lstat(filepath.Join(root, path), &st))
		text := fmt.Sprintf("type %o mode %o owner %d:%d inode %d", n.Type, n.Mode, n.UID, n.GID, st.Ino)
		if n.Type != unix.S_IFDIR {
			text += fmt.Sprintf(" time %d size %d content %x target %q device %x", n.Mtime, n.Size, n.Sum[:8], n.Target, n.Rdev)
		}
		m[path] = text
	}
	return m
}

// unexplained lists the paths at which before and after differ though no
// Event says so.
func unexplained(before, after map[string]string, events []Event) (bad []string) {
	by := kinds(events)
	explained := func(path string, gone bool) bool {
		if _, is := by[path]; is {
			return true
		}
		parent, _ := splitLast(path)
		if by[parent]&Children != 0 {
			return true
		}
		for dir := path; ; {
			if dir == "" {
				return false
			}
			dir, _ = splitLast(dir)
			if by[dir]&(Subtree|Rescan) != 0 || gone && by[dir].has(Removed|Dir) {
				return true
			}
		}
	}
	for path, text := range after {
		if old, was := before[path]; old != text && !explained(path, false) {
			bad = append(bad, fmt.Sprintf("%q: was there %v: %s; now %s", path, was, old, text))
		}
	}
	for path, text := range before {
		if _, is := after[path]; !is && !explained(path, true) {
			bad = append(bad, fmt.Sprintf("%q: gone: %s", path, text))
		}
	}
	return bad
}

// history is one random sequence of changes.
type history struct {
	root string
	rnd  *rand.Rand
	mu   sync.Mutex
	log  []string
}

func (h *history) run(n int) {
	var g sync.WaitGroup
	for range 1 + h.rnd.IntN(2) {
		rnd := rand.New(rand.NewPCG(h.rnd.Uint64(), 2))
		g.Go(func() {
			for range n {
				h.one(rnd)
			}
		})
	}
	g.Wait()
}

// name is a random path: few names, so that they meet.
func name(rnd *rand.Rand, depth int) string {
	parts := make([]string, 1+rnd.IntN(depth))
	for i := range parts {
		parts[i] = string(rune('a' + rnd.IntN(4)))
	}
	return strings.Join(parts, "/")
}

// one does one change; that it may be impossible is no matter.
func (h *history) one(rnd *rand.Rand) {
	a, b := name(rnd, 4), name(rnd, 4)
	pa, pb := filepath.Join(h.root, a), filepath.Join(h.root, b)
	out := filepath.Join(h.root, "../out", name(rnd, 1))
	text := fmt.Sprint(rnd.Uint32())
	ops := []struct {
		weight int
		name   string
		do     func() error
	}{
		{4, "mkdir " + a, func() error { return os.Mkdir(pa, 0o755) }},
		{3, "mkdirall+write " + a, func() error {
			if err := os.MkdirAll(pa, 0o755); err != nil {
				return err
			}
			return os.WriteFile(pa+"/f", []byte(text), 0o644)
		}},
		{6, "write " + a + "f", func() error { return os.WriteFile(pa+"f", []byte(text), 0o644) }},
		{2, "append " + a + "f", func() error { return appendTo(pa+"f", text) }},
		{2, "save " + a + "f", func() error {
			if err := os.WriteFile(pa+".tmp", []byte(text), 0o644); err != nil {
				return err
			}
			return os.Rename(pa+".tmp", pa+"f")
		}},
		{1, "truncate " + a + "f", func() error { return os.Truncate(pa+"f", 1) }},
		{1, "chmod " + a, func() error { return os.Chmod(pa, 0o700|os.FileMode(rnd.IntN(64))) }},
		{1, "mtime " + a + "f", func() error { return os.Chtimes(pa+"f", time.Time{}, time.Unix(rnd.Int64N(1e9), 0)) }},
		{1, "symlink " + a + "f", func() error { return os.Symlink(text, pa+"f") }},
		{2, "unlink " + a + "f", func() error { return os.Remove(pa + "f") }},
		{1, "rmdir " + a, func() error { return os.Remove(pa) }},
		{1, "rm -r " + a, func() error { return os.RemoveAll(pa) }},
		{5, "mv " + a + " " + b, func() error { return unix.Rename(pa, pb) }},
		{2, "mv " + a + "f " + b + "f", func() error { return unix.Rename(pa+"f", pb+"f") }},
		{2, "exchange " + a + " " + b, func() error {
			return unix.Renameat2(unix.AT_FDCWD, pa, unix.AT_FDCWD, pb, unix.RENAME_EXCHANGE)
		}},
		{1, "to and fro " + a + " " + b, func() error {
			return errors.Join(unix.Rename(pa, pb), unix.Rename(pb, pa), unix.Rename(pa, pb))
		}},
		{2, "move out " + a, func() error { return unix.Rename(pa, out) }},
		{3, "move in " + a, func() error { return unix.Rename(out, pa) }},
		{1, "write outside", func() error { return os.WriteFile(out+"/f", []byte(text), 0o644) }},
		{1, "tmpfile " + a, func() error { return tmpfile(pa, pa+"/"+text[:1]+"f") }},
	}
	sum := 0
	for _, op := range ops {
		sum += op.weight
	}
	pick := rnd.IntN(sum)
	for _, op := range ops {
		if pick -= op.weight; pick < 0 {
			err := op.do()
			h.mu.Lock()
			h.log = append(h.log, fmt.Sprint(op.name, " ", err))
			h.mu.Unlock()
			return
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// tmpfile makes a file without a name in dir, names it, writes again.
func tmpfile(dir, path string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "tmpfile")
	_, err = f.WriteString("before")
	err = errors.Join(err, unix.Linkat(unix.AT_FDCWD, procPath(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW))
	_, err2 := f.WriteString("after")
	return errors.Join(err, err2, f.Close())
}
