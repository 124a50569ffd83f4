package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// noise writes a file that nothing can compress.
func noise(t testing.TB, path string, size int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(size), uint64(len(path))))
	data := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], rng.Uint64())
	}
	write(t, path, string(data))
}

// plant makes files of 10 KB, 100 in a directory, below dir, and returns the sum
// of their sizes.
func plant(t testing.TB, dir string, files int) int64 {
	t.Helper()
	const size = 10_000
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, size)
	for i := range files {
		if i%100 == 0 {
			mkdir(t, filepath.Join(dir, fmt.Sprintf("d%04d", i/100)))
		}
		for j := 0; j < size; j += 8 {
			data[j] = byte(rng.Uint32())
		}
		write(t, filepath.Join(dir, fmt.Sprintf("d%04d", i/100), fmt.Sprintf("f%02d", i%100)), string(data))
	}
	return int64(files) * size
}

func (m *mirror) rename(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(m.src, from), filepath.Join(m.src, to)); err != nil {
		t.Fatal(err)
	}
}

// changed is what a change has sent until all of it is at the remote.
func (r *running) changed(t testing.TB, change func()) (sent scheduler.Stats, runs map[scheduler.Form]int) {
	t.Helper()
	r.flush(t)
	before, was := r.trace.total()
	change()
	r.flush(t)
	sent, runs = r.trace.total()
	for f, n := range was {
		runs[f] -= n
	}
	sent.Wire -= before.Wire
	sent.Literal -= before.Literal
	return sent, runs
}

// A renamed directory of 2,000 files costs less than 2 % of its bytes, and
// nothing is sent again, wherever it goes and whatever else changes.
func TestRenamedDirectoryIsNotResent(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		mkdir(t, filepath.Join(m.src, "p/q"))
		size := plant(t, filepath.Join(m.src, "old"), 2000)
		e := m.start(t)
		e.flush(t)
		begin, _ := e.trace.total()
		for _, step := range []struct {
			what   string
			form   scheduler.Form
			most   int64 // bytes of file data
			change func()
		}{
			{"in its directory", scheduler.Move, 0, func() { m.rename(t, "old", "new") }},
			{"to another, by another name", scheduler.Move, 0, func() { m.rename(t, "new", "p/q/other") }},
			{"while another file is written", scheduler.Move, 10, func() {
				m.rename(t, "p/q/other", "third")
				write(t, filepath.Join(m.src, "p/file"), "0123456789")
			}},
			{"with a new file in it", scheduler.MoveRacy, 11_000, func() {
				m.rename(t, "third", "fourth")
				write(t, filepath.Join(m.src, "fourth/d0007/f07"), "another content, and shorter")
			}},
		} {
			sent, runs := e.changed(t, step.change)
			m.equal(t)
			if sent.Wire > size/50 || sent.Literal > step.most || runs[scheduler.Move]+runs[scheduler.MoveRacy] == 0 {
				t.Errorf("%s: sent %d bytes, %d of them data, of %d, in %v", step.what, sent.Wire, sent.Literal, size, runs)
			}
		}
		if begin.Literal < size {
			t.Errorf("the first run sent %d bytes of data for %d", begin.Literal, size)
		}
	})
}

func TestRenamedFileIsNotResent(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		const size = 50 << 20
		mkdir(t, filepath.Join(m.src, "there"))
		noise(t, filepath.Join(m.src, "big"), size)
		e := m.start(t)
		for _, step := range []struct {
			what   string
			change func()
		}{
			{"in its directory", func() { m.rename(t, "big", "large.iso") }},
			{"to another directory", func() { m.rename(t, "large.iso", "there/large.iso") }},
			{"in that", func() { m.rename(t, "there/large.iso", "there/a name like no other") }},
		} {
			sent, runs := e.changed(t, step.change)
			m.equal(t)
			if sent.Wire > size/200 || sent.Literal > 0 {
				t.Errorf("%s: sent %d bytes, %d of them data, in %v", step.what, sent.Wire, sent.Literal, runs)
			}
		}
	})
}

// A download that is renamed when it is complete is not sent twice.
func TestCompletedDownloadIsNotResent(t *testing.T) {
	m := newMirror(t, "auto")
	const size = 20 << 20
	noise(t, filepath.Join(m.src, "film.part"), size)
	e := m.start(t)
	sent, runs := e.changed(t, func() { m.rename(t, "film.part", "film") })
	m.equal(t)
	if sent.Literal > 0 || runs[scheduler.Fuzzy] != 1 {
		t.Errorf("sent %+v in %v", sent, runs)
	}
}

// What two directories hold under equal names, sizes and times does not get
// mixed up when they and what is in them change names.
func TestMovesOfLookalikes(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		serial := 0
		file := func(path string) {
			serial++
			mkdir(t, filepath.Dir(filepath.Join(m.src, path)))
			write(t, filepath.Join(m.src, path), fmt.Sprintf("%08d", serial))
			if err := os.Chtimes(filepath.Join(m.src, path), time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range []string{"a", "b", "a/p", "a/q", "b/p", "b/q", "c", "../outside"} {
			file(d + "/f")
			file(d + "/g")
		}
		e := startTuned(t, m.conf, &trace{}, Options{Tune: func(c *scheduler.Config) { c.MoveMin = 1 }})
		remove := func(path string) {
			if err := os.RemoveAll(filepath.Join(m.src, path)); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []struct {
			what   string
			change func()
		}{
			{"inner ones after", func() { m.rename(t, "a", "o"); remove("o/q"); m.rename(t, "o/p", "o/q") }},
			{"and there", func() { m.rename(t, "o", "a") }},
			{"another comes in after", func() { m.rename(t, "a", "o"); remove("o/q"); m.rename(t, "../outside", "o/q") }},
			{"and it", func() { m.rename(t, "o", "a") }},
			{"swap", func() { m.rename(t, "a", "x"); m.rename(t, "b", "a"); m.rename(t, "x", "b") }},
			{"one in the place of another", func() { remove("b"); m.rename(t, "a", "b") }},
			{"inner ones first", func() { remove("b/q"); m.rename(t, "b/p", "b/q"); m.rename(t, "b", "d") }},
			{"inner ones last", func() { m.rename(t, "d", "e"); file("e/p/f"); remove("e/q"); m.rename(t, "e/p", "e/q") }},
			{"written before", func() { file("e/q/f"); m.rename(t, "e", "f") }},
			{"written after", func() { m.rename(t, "f", "g"); file("g/q/g") }},
			{"a chain", func() { m.rename(t, "g", "h"); file("h/g"); m.rename(t, "h", "i") }},
			{"into each other", func() { m.rename(t, "c", "i/q/c"); m.rename(t, "i/q", "j"); m.rename(t, "i", "j/c/i") }},
			{"back again", func() { m.rename(t, "j/c/i", "i"); m.rename(t, "j", "k"); m.rename(t, "k", "j") }},
			{"the old name is taken at once", func() { m.rename(t, "j", "l"); file("j/f"); file("j/c/f") }},
		} {
			e.changed(t, step.change)
			diffs := m.diff(t)
			if len(diffs) > 0 {
				t.Fatalf("%s: %d differences:\n%s\n%s", step.what, len(diffs), lines(diffs), e.trace)
			}
		}
		if _, runs := e.trace.total(); runs[scheduler.Move]+runs[scheduler.MoveRacy] < 5 {
			t.Errorf("hardly any move: %v", runs)
		}
	})
}

func (m *mirror) diff(t testing.TB) []mirrortest.Difference {
	t.Helper()
	want, err := mirrortest.Snapshot(m.src, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mirrortest.Snapshot(m.dst, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mirrortest.Diff(want, got, mirrortest.DiffOptions{})
}

// The mass-delete guard does not take a rename of nearly everything for a loss,
// and still takes a removal for one.
func TestGuardLetsRenamesPass(t *testing.T) {
	m := newMirror(t, "auto")
	plant(t, filepath.Join(m.src, "old"), 1500)
	write(t, filepath.Join(m.src, "keep"), "x")
	e := m.start(t)
	e.changed(t, func() { m.rename(t, "old", "new") })
	m.equal(t)
	if err := os.RemoveAll(filepath.Join(m.src, "new")); err != nil {
		t.Fatal(err)
	}
	await(t, "a halt", func() bool { return e.remote("far").State == scheduler.Halted })
	if n := countFiles(t, filepath.Join(m.dst, "new")); n != 1500 {
		t.Errorf("%d files are left", n)
	}
}

func countFiles(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return n
}
