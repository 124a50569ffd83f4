package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// mirror is a source and a module of a real daemon that mirrors it.
type mirror struct {
	src, dst string
	daemon   *mirrortest.Daemon
	conf     config.Config
}

// newMirror lays out a source and a daemon remote called "far" on different
// filesystems.
func newMirror(t testing.TB, backend string) *mirror {
	t.Helper()
	m := &mirror{src: filepath.Join(mirrortest.TmpfsDir(t), "src"), dst: t.TempDir()}
	mkdir(t, m.src)
	m.daemon = mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": m.dst}})
	m.conf = oneRemote(m.src, m.daemon.URL("m", ""))
	m.conf.Roots[0].Backend = backend
	return m
}

// oneRemote mirrors src to one remote called "far".
func oneRemote(src, dest string) config.Config {
	return config.Config{Roots: []config.Root{{Path: src, Remotes: []config.Remote{{Name: "far", Dest: dest}}}}}
}

func (m *mirror) start(t testing.TB) *running {
	t.Helper()
	return startEngine(t, m.conf, &trace{})
}

func (m *mirror) equal(t testing.TB) {
	t.Helper()
	mirrortest.RequireEqual(t, m.src, m.dst, mirrortest.DiffOptions{})
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eachBackend runs a scenario with both.
func eachBackend(t *testing.T, f func(t *testing.T, backend string)) {
	for _, backend := range []string{"fanotify", "inotify"} {
		t.Run(backend, func(t *testing.T) { f(t, backend) })
	}
}

// rsync's quick check at whole seconds loses such rewrites for good.
func TestRewritesOfOneSizeWithinOneSecond(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		e := m.start(t)
		e.flush(t)
		for round := range 3 {
			for i := range 200 {
				write(t, filepath.Join(m.src, fmt.Sprintf("f%03d", i)), fmt.Sprintf("round %d of file %03d", round, i))
			}
			if round == 1 {
				e.flush(t) // one boundary falls between two rounds, one does not
			}
		}
		e.flush(t)
		m.equal(t)
	})
}

// A big file is replaced while rsync reads it: the last version stays.
func TestReplacedWhileInFlight(t *testing.T) {
	m := newMirror(t, "fanotify")
	m.conf.Roots[0].Remotes[0].RsyncOptions = []string{"--bwlimit=60m"}
	e := m.start(t)
	e.flush(t)
	big := filepath.Join(m.src, "big")
	content := make([]byte, 64<<20)
	for v := range byte(3) {
		for i := range content {
			content[i] = byte(i>>8) ^ v
		}
		write(t, big+".new", string(content))
		runs := e.trace.started("far")
		if err := os.Rename(big+".new", big); err != nil {
			t.Fatal(err)
		}
		e.awaitRuns(t, "far", runs+1)
	}
	e.flush(t)
	m.equal(t)
}

// A file is removed while rsync sends it: it does not come back.
func TestRemovedWhileInFlight(t *testing.T) {
	m := newMirror(t, "fanotify")
	m.conf.Roots[0].Remotes[0].RsyncOptions = []string{"--bwlimit=40m"}
	e := m.start(t)
	write(t, filepath.Join(m.src, "stays"), "x")
	e.flush(t)
	runs := e.trace.started("far")
	write(t, filepath.Join(m.src, "big"), string(make([]byte, 32<<20)))
	e.awaitRuns(t, "far", runs+1)
	if err := os.Remove(filepath.Join(m.src, "big")); err != nil {
		t.Fatal(err)
	}
	e.flush(t)
	m.equal(t)
}

// awaitRuns waits until n runs to the remote have begun.
func (r *running) awaitRuns(t testing.TB, remote string, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%d runs to %s", n, remote), func() bool { return r.trace.started(remote) >= n })
}

// await polls until ok, which must come true.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(flushTimeout)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// burst makes 2,000 small files in 20 directories.
func (m *mirror) burst(t testing.TB) {
	t.Helper()
	for d := range 20 {
		dir := filepath.Join(m.src, fmt.Sprintf("d%02d", d))
		mkdir(t, dir)
		for i := range 100 {
			write(t, filepath.Join(dir, fmt.Sprintf("f%03d", i)), fmt.Sprintf("file %d of %d", i, d))
		}
	}
}

// sersync starts a process per file and remote; here a burst takes a few.
func TestBurstTakesFewProcesses(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		e := m.start(t)
		e.flush(t)
		before := e.trace.started("far")
		m.burst(t)
		e.flush(t)
		m.equal(t)
		n := e.trace.started("far") - before
		if t.Logf("%d processes", n); n > 8 {
			t.Errorf("2,000 new files took %d processes, want at most 8\n%s", n, e.trace)
		}
	})
}

func TestRemovedTreeTakesFewProcesses(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		for d := range 60 {
			dir := filepath.Join(m.src, fmt.Sprintf("t%d", d/25), fmt.Sprintf("d%02d", d))
			mkdir(t, dir)
			for i := range 200 {
				write(t, filepath.Join(dir, fmt.Sprintf("f%03d", i)), "x")
			}
		}
		e := m.start(t)
		e.flush(t)
		before := e.trace.started("far")
		if err := os.RemoveAll(filepath.Join(m.src, "t0")); err != nil {
			t.Fatal(err)
		}
		await(t, "the removal", func() bool {
			_, err := os.Lstat(filepath.Join(m.dst, "t0"))
			return os.IsNotExist(err)
		})
		e.flush(t)
		m.equal(t)
		if n := e.trace.started("far") - before; n > 4 {
			t.Errorf("rm -rf of 5,000 files took %d processes, want at most 4\n%s", n, e.trace)
		}
	})
}

// remote is the status of one remote of the only root.
func (r *running) remote(name string) scheduler.Status {
	for _, st := range r.Status().Roots[0].Remotes {
		if st.Name == name {
			return st
		}
	}
	return scheduler.Status{}
}

// One remote refuses connections, one is throttled to a crawl: the third gets
// everything as if alone, and the dead one converges when it returns.
func TestRemotesAreStrangers(t *testing.T) {
	m := newMirror(t, "auto")
	slowDst := t.TempDir()
	slow := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": slowDst}})
	deadDst := t.TempDir()
	dead := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": deadDst}})
	m.conf.Roots[0].Remotes = append(m.conf.Roots[0].Remotes,
		config.Remote{Name: "slow", Dest: slow.URL("m", ""), RsyncOptions: []string{"--bwlimit=50k"}},
		config.Remote{Name: "dead", Dest: dead.URL("m", ""), MaxDirty: 100})
	e := m.start(t)
	e.flush(t)
	dead.Stop()
	for i := range 40 {
		write(t, filepath.Join(m.src, fmt.Sprintf("f%d", i)), string(make([]byte, 64<<10)))
	}
	for i := range 400 {
		write(t, filepath.Join(m.src, fmt.Sprintf("s%d", i)), "small")
	}
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	if st := e.remote("slow"); st.Lag == 0 {
		t.Errorf("the slow remote is in sync already, so it proves nothing: %+v", st)
	}
	await(t, "the dead remote to be stale", func() bool { return e.remote("dead").State == scheduler.Stale })
	if n := e.remote("dead").Backlog; n > 100 {
		t.Errorf("the dead remote keeps %d paths, want at most 100", n)
	}
	dead.Restart()
	mirrortest.WaitEqual(t, m.src, deadDst, flushTimeout, mirrortest.DiffOptions{})
	e.flush(t)
	mirrortest.RequireEqual(t, m.src, slowDst, mirrortest.DiffOptions{})
}

// Roots of one filesystem share what the kernel keeps for a watcher.
func TestRootsShareAFanotifyGroup(t *testing.T) {
	one, two := newMirror(t, "fanotify"), newMirror(t, "fanotify")
	two.src = filepath.Join(filepath.Dir(one.src), "two")
	mkdir(t, two.src)
	two.conf.Roots[0].Path = two.src
	conf := config.Config{Roots: append(one.conf.Roots, two.conf.Roots...)}
	e := startEngine(t, conf, &trace{})
	e.flush(t)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	groups := 0
	for _, fd := range fds {
		// The list's own descriptor is gone by now.
		if at, _ := os.Readlink("/proc/self/fd/" + fd.Name()); at == "anon_inode:[fanotify]" {
			groups++
		}
	}
	if groups != 1 {
		t.Errorf("%d fanotify groups for two roots of one filesystem", groups)
	}
	for i := range 50 {
		write(t, filepath.Join(one.src, fmt.Sprint("one", i)), "1")
		write(t, filepath.Join(two.src, fmt.Sprint("two", i)), "2")
	}
	write(t, filepath.Join(one.src, "moved"), "m")
	e.flush(t)
	if err := os.Rename(filepath.Join(one.src, "moved"), filepath.Join(two.src, "moved")); err != nil {
		t.Fatal(err)
	}
	e.flush(t)
	one.equal(t)
	two.equal(t)
}
