package engine

import (
	"math/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// largeMirror is a mirror to which a file of 24 MiB, large here, takes six
// seconds, and another one, called "near", that is fast.
func largeMirror(t testing.TB) *mirror {
	t.Helper()
	m := newMirror(t, "auto")
	m.conf.Roots[0].Remotes[0].RsyncOptions = []string{"--bwlimit=4m"}
	near := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": filepath.Join(filepath.Dir(m.dst), "near")}})
	m.conf.Roots[0].Remotes = append(m.conf.Roots[0].Remotes, config.Remote{Name: "near", Dest: near.URL("m", "")})
	m.conf.Grace = -1
	return m
}

func (m *mirror) near() string { return filepath.Join(filepath.Dir(m.dst), "near") }

func (m *mirror) startLarge(t testing.TB) *running {
	t.Helper()
	return startTuned(t, m.conf, &trace{}, Options{Tune: func(c *scheduler.Config) { c.BigFile = 2 << 20 }})
}

// random is n bytes that nothing can compress, others for each seed.
func random(seed int64, n int) string {
	data := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(data)
	return string(data)
}

// arrived reports whether path is at the slow remote.
func (m *mirror) arrived(path string) bool {
	_, err := os.Lstat(filepath.Join(m.dst, path))
	return err == nil
}

func TestLargeFileToASlowRemote(t *testing.T) {
	m := largeMirror(t)
	mkdir(t, filepath.Join(m.src, "d"))
	write(t, filepath.Join(m.src, "d", "before"), "x")
	e := m.startLarge(t)
	e.flush(t)
	runs := e.trace.started("far")
	write(t, filepath.Join(m.src, "d", "big"), random(1, 24<<20))
	e.awaitRuns(t, "far", runs+1)
	// All around it small changes go on, in its own directory too.
	small := func(what string, change func() error, there func() bool) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		await(t, what, there)
		if m.arrived("d/big") {
			t.Errorf("%s came only with the large file", what)
		}
	}
	for _, path := range []string{"d/new", "new", "d/e/new"} {
		small(path, func() error {
			mkdir(t, filepath.Dir(filepath.Join(m.src, path)))
			return os.WriteFile(filepath.Join(m.src, path), []byte("x"), 0o644)
		}, func() bool { return m.arrived(path) })
	}
	small("the removal", func() error { return os.Remove(filepath.Join(m.src, "d/before")) }, func() bool { return !m.arrived("d/before") })
	small("the mode", func() error { return os.Chmod(filepath.Join(m.src, "d"), 0o700) }, func() bool {
		info, err := os.Stat(filepath.Join(m.dst, "d"))
		return err == nil && info.Mode().Perm() == 0o700
	})
	mirrortest.WaitEqual(t, m.src, m.near(), flushTimeout, mirrortest.DiffOptions{})
	if m.arrived("d/big") {
		t.Error("the fast remote waited for the slow one")
	}
	e.flush(t)
	m.equal(t)
}

// A cut transfer goes on after a restart, whatever came in between, and leaves
// nothing behind.
func TestLargeFileGoesOnAfterARestart(t *testing.T) {
	m := largeMirror(t)
	mkdir(t, filepath.Join(m.src, "d"))
	piece := filepath.Join(m.dst, "d", ".fansync-partial", "big")
	cut := func(path string) {
		t.Helper()
		e := m.startLarge(t)
		e.flush(t)
		write(t, filepath.Join(m.src, path), random(2, 24<<20))
		await(t, "half of it", func() bool {
			all, err := filepath.Glob(filepath.Join(m.dst, "d", ".*.*"))
			if err != nil || len(all) == 0 {
				return false
			}
			info, err := os.Stat(all[0])
			return err == nil && info.Size() > 12<<20
		})
		e.stop(t)
	}
	cut("d/big")
	await(t, "the piece", func() bool { _, err := os.Stat(piece); return err == nil })
	write(t, filepath.Join(m.src, "d", "small"), "x")
	e := m.startLarge(t)
	e.flush(t)
	m.equal(t)
	if n := e.remote("far").Counts.WireBytes; n > 16<<20 {
		t.Errorf("%d bytes were sent, half of the file was there", n)
	}
	e.stop(t)

	// This time the file is gone when the program starts again.
	cut("d/lost")
	if err := os.Remove(filepath.Join(m.src, "d", "lost")); err != nil {
		t.Fatal(err)
	}
	e = m.startLarge(t)
	e.flush(t)
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
}

// What is renamed or removed while it is sent does not go on, and leaves nothing.
func TestLargeFileRemovedWhileItIsSent(t *testing.T) {
	m := largeMirror(t)
	mkdir(t, filepath.Join(m.src, "d"))
	e := m.startLarge(t)
	e.flush(t)
	runs := e.trace.started("far")
	write(t, filepath.Join(m.src, "d", "big"), random(3, 200<<20))
	e.awaitRuns(t, "far", runs+1)
	await(t, "some of it", func() bool {
		all, err := filepath.Glob(filepath.Join(m.dst, "d", ".big.*"))
		return err == nil && len(all) > 0
	})
	began := time.Now()
	if err := os.Remove(filepath.Join(m.src, "d", "big")); err != nil {
		t.Fatal(err)
	}
	e.flush(t)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v, which is what the whole file takes", took)
	}
	m.equal(t)
}
