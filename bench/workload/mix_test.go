package workload

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// hurried is the mix without its pauses.
var hurried = mix{rate: 1e9}

// TestMixManySeeds also compares the mixer's picture with what is there.
func TestMixManySeeds(t *testing.T) {
	for seed := range uint64(8) {
		size := Size{Seed: seed, Scale: 0.3}
		src := prepare(t, hurried, size)
		before := look(t, src)
		m, err := hurried.resume(t.Context(), src, size)
		if err != nil {
			t.Fatal(err)
		}
		comparePicture(t, m, before)
		if _, err := hurried.operate(t.Context(), m, size); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		after := look(t, src)
		comparePicture(t, m, after)
		checkChanges(t, before, after, m.changes())
	}
}

func comparePicture(t *testing.T, m *mixer, found tree) {
	t.Helper()
	var want []string
	m.root.walk(func(n *node) {
		want = append(want, n.rel())
		if n.ino != nil && int64(n.ino.size) != found[n.rel()].size {
			t.Errorf("%q: the picture has %d bytes, the tree %d", n.rel(), n.ino.size, found[n.rel()].size)
		}
	})
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("the picture and the tree have other names:\n%q\n%q", want, got)
	}
}

// TestMixNamesAllLinks: a change by one name of a file is one of its others too.
func TestMixNamesAllLinks(t *testing.T) {
	for name, change := range map[string]func(*mixer, *node){
		"write":    func(m *mixer, n *node) { m.write(n, os.O_TRUNC, 9) },
		"append":   func(m *mixer, n *node) { m.write(n, os.O_APPEND, 9) },
		"truncate": func(m *mixer, n *node) { m.truncate(n, 5) },
		"chmod":    func(m *mixer, n *node) { m.chmod(n, 0o600) },
		"date":     (*mixer).date,
	} {
		src := t.TempDir()
		m := newMixer(newPreparer(src, tiny, "links"))
		dir, other := m.mkdirAt(m.root, "d"), m.mkdirAt(m.root, "e")
		first := m.createAt(dir, "first")
		m.linkAt(first, m.root, "second")
		m.linkAt(first, dir, "third")
		// Not where it was, and not at all any more.
		m.move(dir.child("third"), other, "moved")
		m.linkAt(first, dir, "gone")
		m.drop(dir.child("gone"))
		before := look(t, src)
		m.changer = newChanger(src, tiny, "links")
		change(m, m.root.child("second"))
		if m.err != nil {
			t.Fatal(m.err)
		}
		if got := m.changes().Paths; !slices.Equal(got, []string{"d/first", "e/moved", "second"}) {
			t.Errorf("%s by one of three names changed %q", name, got)
		}
		checkChanges(t, before, look(t, src), m.changes())
	}
}

func TestMixDoesEverything(t *testing.T) {
	size := Size{Seed: 1, Scale: 1}
	src := prepare(t, hurried, size)
	first := look(t, src)
	m, err := hurried.resume(t.Context(), src, size)
	if err != nil {
		t.Fatal(err)
	}
	done, err := hurried.operate(t.Context(), m, size)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, op := range operations {
		if done[op.name] == 0 {
			t.Errorf("no %s among 1,000 operations", op.name)
		}
		total += done[op.name]
	}
	if total != 1_000 {
		t.Errorf("%d operations were done, not 1,000", total)
	}
	if len(operations) != 23 || !strings.Contains(hurried.Doc(), "23 kinds") {
		t.Errorf("there are %d kinds of operations, and the sentence is %q", len(operations), hurried.Doc())
	}
	names := map[string]bool{}
	for path := range first {
		names[path[strings.LastIndexByte(path, '/')+1:]] = true
	}
	for path := range look(t, src) {
		names[path[strings.LastIndexByte(path, '/')+1:]] = true
	}
	odd, longest := 0, 0
	for _, name := range oddNames {
		if names[name] {
			odd++
		}
	}
	for name := range names {
		longest = max(longest, len(name))
	}
	if odd < len(oddNames)*3/4 || longest != 255 {
		t.Errorf("%d of %d odd names are there, and the longest has %d bytes", odd, len(oddNames), longest)
	}
	// Each of these has its own way to go wrong.
	for _, bytes := range []string{" ", `"`, "'", "$(", "`", "\n", "-", "#", ";", "[", `\`, "\xff"} {
		if !slices.ContainsFunc(oddNames, func(name string) bool { return strings.Contains(name, bytes) }) {
			t.Errorf("no odd name has %q", bytes)
		}
	}
}

// TestMixRunsNothing: an engine may hand names to a shell, so that no name may
// hold a command that does something.
func TestMixRunsNothing(t *testing.T) {
	for _, name := range slices.Concat(oddNames, plainNames, targets) {
		if strings.ContainsAny(name, ">") {
			t.Errorf("%q redirects an output", name)
		}
		for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !('a' <= r && r <= 'z') }) {
			if slices.Contains([]string{"rm", "mv", "cp", "dd", "touch", "kill", "reboot", "sh"}, word) {
				t.Errorf("%q holds the command %s", name, word)
			}
		}
		if len(name) > 255 || strings.ContainsAny(name, "\x00") {
			t.Errorf("%q is no name", name)
		}
	}
}
