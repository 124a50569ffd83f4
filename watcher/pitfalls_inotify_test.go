package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Each new directory is filled at once; nothing may be lost.
func TestPitfall28NestedDirectoriesFilledAtOnce(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		n := 300
		if fs, _ := fsName(root); os.Geteuid() == 0 && (fs == "ext4" || fs == "tmpfs") {
			n = 1500
		}
		go func() { // two writers
			for i := range n {
				mkdir(t, p.path(fmt.Sprintf("x%d/b/c", i)))
				write(t, p.path(fmt.Sprintf("x%d/b/c/f", i)), "1")
			}
			write(t, p.path("done"), "1")
		}()
		for i := range n {
			mkdir(t, p.path(fmt.Sprintf("y%d/b/c", i)))
			write(t, p.path(fmt.Sprintf("y%d/b/c/f", i)), "1")
		}
		ev := p.until(func(e Event) bool { return e.Path == "done" })
		all := kinds(append(ev, p.sync()...))
		missing := 0
		for i := range n {
			for _, path := range []string{fmt.Sprintf("x%d/b/c/f", i), fmt.Sprintf("y%d/b/c/f", i)} {
				if all[path] == 0 {
					missing++
				}
			}
		}
		if missing > 0 {
			t.Errorf("%d of %d files lost", missing, 2*n)
		}
	})
}

// A directory moved out gives its watches back, for it would go on telling
// under its old path. A watch that is added again keeps its mask.
func TestPitfall29WatchesOfMovedDirectories(t *testing.T) {
	eachInotifyPlace(t, func(t *testing.T, root string) {
		mkdir(t, root+"/d/a/b")
		s := onStage(t, root, BackendInotify)
		s.sync()
		if n := s.w.Stats().Watches; n != 4 {
			t.Fatal("watches at first:", n)
		}
		rename(t, s.path("d"), s.path("../d"))
		want(t, s.sync(), "d", Removed|Moved|Dir)
		eventually(t, func() bool { return s.w.Stats().Watches == 1 })
		write(t, s.path("../d/a/f"), "1")
		if ev := s.sync(); len(ev) > 0 {
			t.Error("told of what is outside:", ev)
		}
		// Watched anew when it comes back, and looked at again when it moves.
		s.live(func() { rename(t, s.path("../d"), s.path("d")) })
		s.live(func() { rename(t, s.path("d"), s.path("e")) })
		want(t, s.live(func() { write(t, s.path("e/a/b/f"), "1") }), "e/a/b/f", Created|Modified|Closed)
		marks := fdinfo(t, s.w.reader.group, "inotify ")
		// Neither IN_ONLYDIR nor the like is part of what is kept.
		mask := fmt.Sprintf(" mask:%x ", uint32(inoMask&unix.IN_ALL_EVENTS))
		for _, line := range marks {
			if !strings.Contains(line, mask) {
				t.Errorf("want%sin %q", mask, line)
			}
		}
		if len(marks) != 4 {
			t.Errorf("%d watches", len(marks))
		}
	})
}

// The halves of a rename may be in different reads, and the second one may
// never come (see TestPitfall29WatchesOfMovedDirectories).
func TestPitfall30RenameHalvesInDifferentReads(t *testing.T) {
	eachInotifyPlace(t, func(t *testing.T, root string) {
		for i := range 200 {
			mkdir(t, fmt.Sprintf("%s/a%d/sub", root, i))
		}
		var g gate
		w := newWatcher(t, Config{Root: root, Backend: BackendInotify, hold: g.hold})
		// Holds one to three records, so pairs are torn.
		w.reader.buf = w.reader.buf[:maxRecord+72]
		p := run(t, w)
		p.awaitReady()
		g.during(func() {
			for i := range 200 {
				rename(t, p.path(fmt.Sprint("a", i)), p.path(fmt.Sprint("b", i)))
			}
		})
		from := map[string]string{}
		for _, e := range p.sync() {
			if e.From != "" {
				from[e.Path] = e.From
			}
		}
		for i := range 200 {
			if got := from[fmt.Sprint("b", i)]; got != fmt.Sprint("a", i) {
				t.Fatalf("b%d from %q", i, got)
			}
			write(t, p.path(fmt.Sprintf("b%d/sub/f", i)), "1")
		}
		ev := p.sync()
		for i := range 200 {
			want(t, ev, fmt.Sprintf("b%d/sub/f", i), Created)
		}
	})
}

// A buffer of maxRecord holds the longest record there can be: a rename with
// three of the longest handles and two of the longest names.
func TestPitfall31BufferHoldsTheLongestRecord(t *testing.T) {
	longest := fanMetaLen + 3*(fanFidLen+8+maxHandle) + 2*256
	if maxRecord < longest || readBuffer < 4*maxRecord {
		t.Errorf("buffer of %d, records of up to %d, and there may be %d", readBuffer, maxRecord, longest)
	}
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		from, to := filepath.Join("d", strings.Repeat("a", 255)), filepath.Join("e", strings.Repeat("b", 255))
		mkdir(t, root+"/d")
		mkdir(t, root+"/e")
		write(t, filepath.Join(root, from), "1")
		w := newWatcher(t, Config{Root: root, Backend: b})
		w.reader.buf = w.reader.buf[:maxRecord]
		p := run(t, w)
		p.awaitReady()
		rename(t, p.path(from), p.path(to))
		ev := p.sync()
		want(t, ev, from, Removed|Moved)
		want(t, ev, to, Created|Moved)
	})
}
