package scheduler

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

const (
	arrived = coalesce.Name | coalesce.Moved
	treeIn  = arrived | coalesce.Dir | coalesce.Subtree
	treeOut = coalesce.Name | coalesce.Gone | coalesce.Dir | coalesce.Uncounted
)

// moved are the two entries that a rename makes.
func moved(from, to string, in, out coalesce.Flags) []coalesce.Entry {
	return []coalesce.Entry{{Path: to, From: from, Flags: in}, {Path: from, Flags: out, Deletes: 1}}
}

// weighty makes files of that many bytes.
func (b *bench) weighty(size int64, paths ...string) {
	b.t.Helper()
	b.write(paths...)
	for _, p := range paths {
		if err := os.Truncate(filepath.Join(b.root, p), size); err != nil {
			b.t.Fatal(err)
		}
	}
}

// described is the call with the directories of a move.
func described(c call) string {
	s := c.String()
	if c.batch.From != "" || c.batch.To != "" {
		s += fmt.Sprintf(" %s -> %s", c.batch.From, c.batch.To)
	}
	return s
}

func TestFormsOfMoves(t *testing.T) {
	const heavy = 2 << 20
	dir := moved("old", "new", treeIn, treeOut)
	file := arrived | coalesce.Content
	gone := coalesce.Name | coalesce.Gone
	for _, x := range []struct {
		name  string
		size  int64
		files []string
		sent  []coalesce.Entry
		want  string
	}{
		{"directory", heavy, []string{"new/f"}, dir, "move [new] old -> new"},
		{"moved and renamed", heavy, []string{"p/q/new/f"}, moved("x/old", "p/q/new", treeIn, treeOut), "move [p/q/new] x/old -> p/q/new"},
		{"light", 1000, []string{"new/f"}, dir, "deep-racy [new]"},
		{"chmod below", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Attr, treeOut), "move [new] old -> new"},
		{"written below, after", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Content|coalesce.Wrote, treeOut), "move-racy [new] old -> new"},
		{"written below, before", heavy, []string{"new/f"}, moved("old", "new", treeIn, treeOut|coalesce.Content), "move-racy [new] old -> new"},
		{"jumbled after", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Jumbled, treeOut), "move-racy [new] old -> new"},
		{"jumbled before", heavy, []string{"new/f"}, moved("old", "new", treeIn, treeOut|coalesce.Moved|coalesce.Jumbled), "move-racy [new] old -> new"},
		{"met by a flight", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Racy, treeOut|coalesce.Racy), "move [new] old -> new"},
		{"written and met by a flight", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Racy|coalesce.Content, treeOut), "move-racy [new] old -> new"},
		{"failed before", heavy, []string{"new/f"}, moved("old", "new", treeIn|coalesce.Exact, treeOut), "deep-racy [new]"},
		{"the old name is back", heavy, []string{"new/f", "old/g"}, dir, "deep-racy [new]"},
		{"the old name is a file now", heavy, []string{"new/f", "old"}, dir, "deep-racy [new]"},
		{"no word of the old name's end", heavy, []string{"new/f"}, dir[:1], "deep-racy [new]"},
		{"the remote never had it", heavy, []string{"new/f"}, moved("old", "new", treeIn, treeOut|coalesce.Born|coalesce.Ghost), "deep-racy [new]"},
		{"what held it went too", heavy, []string{"new/f"}, []coalesce.Entry{dir[0], {Path: "p", Flags: treeOut}}, "deep-racy [new]"},
		{"what held it went too, and is known", heavy, []string{"new/f"}, []coalesce.Entry{{Path: "new", From: "p/old", Flags: treeIn}, {Path: "p", Flags: treeOut}}, "move [new] p/old -> new"},
		{"out of what went", heavy, []string{"a/f"}, moved("a/b", "a", treeIn, treeOut), "deep-racy [a]"},
		{"it is a file now", heavy, []string{"new"}, dir, "fuzzy [new]"},
		{"file in its directory", heavy, []string{"d/new"}, moved("d/old", "d/new", file, gone), "fuzzy [d/new]"},
		{"small file", 60_000, []string{"d/new"}, moved("d/old", "d/new", file, gone), "flat [d/new]"},
		{"file in a crowd", 100_000, append(numberedFiles("d/f", 1600), "d/new"), moved("d/old", "d/new", file, gone), "flat [d/new]"},
		{"file to another directory", heavy, []string{"e/f"}, moved("d/f", "e/f", file, gone), "move-racy [e/f] d -> e"},
		{"two to one", 600_000, []string{"e/f", "e/g"}, append(moved("d/f", "e/f", file, gone), moved("d/g", "e/g", file, gone)...), "move-racy [e/f e/g] d -> e"},
		{"to the top", heavy, []string{"f"}, moved("d/f", "f", file, gone), "move-racy [f] d -> "},
		{"light ones", 400_000, []string{"e/f", "e/g"}, append(moved("d/f", "e/f", file, gone), moved("d/g", "e/g", file, gone)...), "flat [e/f e/g]"},
		{"light directories", 600_000, []string{"e/p/f", "e/q/g"}, append(moved("d/p", "e/p", treeIn, treeOut), moved("d/q", "e/q", treeIn, treeOut)...), "move-racy [e/p e/q] d -> e"},
		{"file to another place and name", heavy, []string{"e/f"}, moved("d/g", "e/f", file, gone), "flat [e/f]"},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 1, nil, func(b *bench) {
				b.live()
				pass(time.Minute)
				b.weighty(x.size, x.files...)
				b.send(x.sent...)
				if got := described(b.next(0)); strings.TrimSuffix(got, " -> ") != strings.TrimSuffix(x.want, " -> ") {
					t.Errorf("sent %s, want %s", got, x.want)
				}
			})
		})
	}
}

func numberedFiles(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// A move waits for flights at its old name, keeps others from it, and the old
// name goes last, without a limit, for nothing is lost.
func TestMoveWaitsAndIsWaitedFor(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = few(10) }, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.weighty(2<<20, "old/d/f")
		b.send(changed("old/d/f"))
		before := b.expect(0, "flat [old/d/f] max 10")
		if err := os.Rename(filepath.Join(b.root, "old"), filepath.Join(b.root, "new")); err != nil {
			t.Fatal(err)
		}
		b.send(moved("old", "new", treeIn, treeOut)...)
		b.quiet(0, time.Minute)
		before.ok()
		move := b.next(0)
		if got := described(move); got != "move [new] max 10 old -> new" {
			t.Fatalf("sent %s", got)
		}
		b.write("old/d/g")
		b.send(coalesce.Entry{Path: "old", Flags: coalesce.Name | coalesce.Dir}, coalesce.Entry{Path: "old/d/g", Flags: coalesce.Name | coalesce.Content})
		b.quiet(0, time.Minute)
		b.remove("old")
		b.send(coalesce.Entry{Path: "old", Flags: treeOut})
		move.ok()
		b.expect(0, "flat [-old]").ok()
		b.quiet(0, time.Hour)
	})
}

// What came to the old name before that was deleted is sent without trust: it
// may share files with the new one.
func TestOldNameThatIsBack(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.weighty(2<<20, "new/f")
		b.send(moved("old", "new", treeIn, treeOut)...)
		b.write("old/f")
		b.send(coalesce.Entry{Path: "old", Flags: coalesce.Name | coalesce.Dir})
		b.expect(0, "move [new]").ok()
		b.expect(0, "deep-racy [old]").ok()
		b.quiet(0, time.Hour)
	})
}

// A chain of names over several Changes leads to the first, while none was sent.
func TestChainOfMoves(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = few(3) }, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.s.Pause("test")
		b.send(moved("a", "b", treeIn, treeOut)...)
		b.weighty(2<<20, "c/f")
		b.send(moved("b", "c", treeIn, treeOut)...)
		b.s.Resume(false, "")
		c := b.next(0)
		if got := described(c); got != "move-racy [c] max 3 a -> c" {
			t.Errorf("sent %s", got)
		}
		c.ok()
		b.expect(0, "flat [-b] max 0").ok()
		b.expect(0, "flat [-a]").ok()
		b.quiet(0, time.Hour)
	})
}

// A directory that is removed after something moved out of it goes after that.
func TestOldNameBelowWhatGoes(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.weighty(2<<20, "new/f", "other/g")
		b.s.Pause("test")
		b.send(
			coalesce.Entry{Path: "new", From: "p/old", Flags: treeIn},
			coalesce.Entry{Path: "other", From: "p/old/q", Flags: treeIn},
			coalesce.Entry{Path: "p", Flags: treeOut, Deletes: 5},
		)
		b.s.Resume(false, "")
		for _, want := range []string{"move [new] p/old -> new", "move [other] p/old/q -> other"} {
			c := b.next(0)
			if got := described(c); got != want {
				t.Errorf("sent %s, want %s", got, want)
			}
			b.quiet(0, time.Minute)
			c.ok()
		}
		b.expect(0, "flat [-p] max 0").end(Result{Class: DeleteLimit, Skipped: 5})
		b.expect(0, "flat [-p]").ok()
	})
}

// Many heavy directories go one by one, many light ones together.
func TestManyMoves(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		var sent []coalesce.Entry
		for i := range 30 {
			name := fmt.Sprintf("%02d", i)
			b.weighty(2<<20, "heavy"+name+"/f")
			b.weighty(1000, "light"+name+"/f")
			sent = append(sent, moved("h"+name, "heavy"+name, treeIn, treeOut)...)
			sent = append(sent, moved("l"+name, "light"+name, treeIn, treeOut)...)
		}
		b.send(sent...)
		moves, calls := 0, 0
		for gone := 0; gone < 60; {
			c := b.next(0)
			if calls++; c.batch.Form == Move {
				moves++
			}
			for _, it := range c.batch.Items {
				if it.Missing {
					gone++
				}
			}
			c.ok()
		}
		if moves != 30 || calls > 62 { // a move and a removal each, and all light ones
			t.Errorf("%d moves in %d runs", moves, calls)
		}
	})
}

func TestWeight(t *testing.T) {
	root := t.TempDir()
	for name, size := range map[string]int{"d/f": 100, "d/e/g": 2000, "d/e/h/i": 30_000, "out": 500_000} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../out", filepath.Join(root, "d/link")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	l := newLooker(dir)
	defer l.close()
	// Three files, two directories and a symlink of six bytes.
	if got, want := l.weight("d", 1<<40), int64(6*entryWeight+32_100+6); got != want {
		t.Errorf("d weighs %d, want %d", got, want)
	}
	if got := l.weight("d", 3000); got < 3000 || got > 6*entryWeight+32_106 {
		t.Errorf("d weighs %d at most 3000", got)
	}
	if got := l.weight("d/link", 1000) + l.weight("none", 1000); got != 0 {
		t.Errorf("what is no directory weighs %d", got)
	}
}
