package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
	"github.com/fansync/fansync/watcher"
)

// inTrouble waits until the remote is in one of the states, with a reason that
// names what is wrong.
func (r *running) inTrouble(t *testing.T, text string, states ...scheduler.State) {
	t.Helper()
	var last scheduler.Status
	defer func() {
		if t.Failed() {
			t.Logf("last status: %+v\n%s", last, r.trace)
		}
	}()
	await(t, "trouble: "+text, func() bool {
		last = r.remote("far")
		for _, s := range states {
			if last.State == s && strings.Contains(last.Reason, text) {
				return true
			}
		}
		return false
	})
}

// converges waits until the remote has everything, without any help.
func (m *mirror) converges(t *testing.T, e *running) {
	t.Helper()
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	e.awaitState(t, "far", scheduler.Live)
}

func TestRefusedConnection(t *testing.T) {
	m := newMirror(t, "auto")
	e := m.start(t)
	e.flush(t)
	m.daemon.Stop()
	write(t, filepath.Join(m.src, "f"), "written while the remote is down")
	e.inTrouble(t, "refused", scheduler.Retrying)
	m.daemon.Restart()
	m.converges(t, e)
}

func TestWrongPassword(t *testing.T) {
	m := newMirror(t, "auto")
	d := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"auth": m.dst}, User: "mirror", Password: "right"})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.conf.Roots[0].Remotes[0] = config.Remote{Name: "far", Dest: d.URL("auth", ""), PasswordFile: file}
	e := m.start(t)
	write(t, filepath.Join(m.src, "f"), "kept")
	e.inTrouble(t, "password", scheduler.Halted)
	if err := os.WriteFile(file, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.converges(t, e)
}

func TestUnknownModule(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.Roots[0].Remotes[0].Dest = m.daemon.URL("nosuch", "")
	e := m.start(t)
	e.inTrouble(t, "nosuch", scheduler.Halted)
}

func TestModulePathMissing(t *testing.T) {
	m := newMirror(t, "auto")
	if err := os.Remove(m.dst); err != nil {
		t.Fatal(err)
	}
	e := m.start(t)
	write(t, filepath.Join(m.src, "f"), "kept")
	e.inTrouble(t, "enter the module", scheduler.Halted, scheduler.Retrying)
	mkdir(t, m.dst)
	m.converges(t, e)
}

func TestReadOnlyModule(t *testing.T) {
	m := newMirror(t, "auto")
	d := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": m.dst}, ReadOnly: true})
	m.conf.Roots[0].Remotes[0].Dest = d.URL("m", "")
	write(t, filepath.Join(m.src, "f"), "kept")
	e := m.start(t)
	e.inTrouble(t, "read only", scheduler.Halted)
}

func TestUnknownHost(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.Roots[0].Remotes[0].Dest = "no-such-host.invalid::m"
	e := m.start(t)
	e.inTrouble(t, "no-such-host.invalid", scheduler.Retrying, scheduler.Halted)
}

func TestSSHRefused(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.Roots[0].Remotes[0] = config.Remote{Name: "far", Dest: "nobody@127.0.0.1:/nowhere", SSH: "ssh -p 1"}
	e := m.start(t)
	e.inTrouble(t, "refused", scheduler.Retrying)
}

// The remote's disk is full: nothing is lost, and when there is room again the
// mirror converges.
func TestFullDiskAtTheRemote(t *testing.T) {
	mirrortest.NeedRoot(t)
	m := newMirror(t, "auto")
	small := filepath.Join(m.dst, "small")
	mkdir(t, small)
	mirrortest.Mount(t, "tmpfs", small, "tmpfs", 0, "size=2m")
	m.conf.Roots[0].Remotes[0].Dest = m.daemon.URL("m", "small")
	m.dst = small
	e := m.start(t)
	e.flush(t)
	write(t, filepath.Join(m.src, "big"), strings.Repeat("0123456789abcdef", 512<<10/2))
	write(t, filepath.Join(m.src, "little"), "x")
	e.sayFull(t)
	if err := unix.Mount("tmpfs", small, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	m.converges(t, e)
}

// sayFull waits until the status says that the disk is full, for the remote or
// for the path.
func (r *running) sayFull(t *testing.T) {
	t.Helper()
	await(t, "the full disk to be told", func() bool {
		st := r.remote("far")
		for _, f := range st.Failures {
			if strings.Contains(f.Message, "No space left") {
				return true
			}
		}
		return strings.Contains(st.Reason, "full") || strings.Contains(st.Reason, "No space left")
	})
}

// A file that cannot be read at the source is told by name, and holds up
// nothing else.
func TestUnreadableFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	m := newMirror(t, "inotify")
	e := m.start(t)
	secret := filepath.Join(m.src, "secret")
	write(t, secret, "x")
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(m.src, "open"), "y")
	await(t, "the failure", func() bool {
		st := e.remote("far")
		return len(st.Failures) == 1 && st.Failures[0].Path == "secret"
	})
	mirrortest.WaitEqual(t, filepath.Join(m.src, "open"), filepath.Join(m.dst, "open"), flushTimeout, mirrortest.DiffOptions{})
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	m.converges(t, e)
}

// More happens at once than the ring holds: events are lost, the loss is
// counted, and everything is compared again.
func TestLostEvents(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		e := startTuned(t, m.conf, &trace{}, Options{Watch: func(c *watcher.Config) { c.RingSlots = 64 }})
		e.flush(t)
		lost := func() (n uint64) {
			for _, c := range e.Status().Roots[0].Watch.Rescans {
				n += c
			}
			return n
		}
		for round := 0; lost() == 0; round++ {
			if round == 100 {
				t.Fatal("nothing was lost")
			}
			for i := range 500 {
				write(t, filepath.Join(m.src, fmt.Sprintf("%d-%d", round, i)), "x")
			}
			for i := range 250 {
				if err := os.Remove(filepath.Join(m.src, fmt.Sprintf("%d-%d", round, i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		e.flush(t)
		m.equal(t)
		if s := e.trace.String(); !strings.Contains(s, string(watcher.RingFull)) {
			t.Errorf("the log does not say why:\n%s", s)
		}
	})
}
