package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

func (m *mirror) failLog(t *testing.T, every time.Duration) (path string, read func() string) {
	path = filepath.Join(t.TempDir(), "fail.sh")
	m.conf.FailLog, m.conf.FailLogEvery = path, config.Duration(every)
	return path, func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return string(text)
	}
}

// A remote that failed twice stands in the log until it is back, and what stands
// there is tried again each period, long before its own next try.
func TestFailLogOfRemote(t *testing.T) {
	m := newMirror(t, "fanotify")
	_, log := m.failLog(t, 300*time.Millisecond)
	write(t, filepath.Join(m.src, "f"), "x")
	m.daemon.Stop()
	tr := &trace{}
	e, err := New(m.conf, Options{Events: tr.events, Tune: func(c *scheduler.Config) {
		c.BackoffMin, c.BackoffMax = 100*time.Millisecond, time.Hour
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := runEngine(t, e, tr)
	await(t, "the remote in the log", func() bool { return strings.Contains(log(), "cd -- "+m.src+" && printf '%s\\0' ./ | rsync") })
	await(t, "the tries of each period", func() bool { return tr.started("far") > 6 })
	m.daemon.Restart()
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	await(t, "an empty log", func() bool { return strings.Contains(log(), "There is nothing") })
	r.stop(t)
}

// A path that failed twice stands there; the script does what it says when a
// person runs it; and when the path has succeeded it is gone.
func TestFailLogOfPath(t *testing.T) {
	mirrortest.NeedRoot(t)
	m := newMirror(t, "fanotify")
	path, log := m.failLog(t, time.Hour)
	name := "it's `touch pwned`\n$(touch pwned)"
	blocked := filepath.Join(m.dst, name)
	mkdir(t, blocked)
	mirrortest.Mount(t, blocked, blocked, "", unix.MS_BIND, "")
	write(t, filepath.Join(m.src, name), "x")
	write(t, filepath.Join(m.src, "other"), "x")
	r := m.start(t)
	await(t, "the path in the log", func() bool { return strings.Contains(log(), `'./it'\''s `) })
	mirrortest.Unmount(t, blocked)
	if out, err := exec.Command("sh", path).CombinedOutput(); err != nil {
		t.Errorf("the script: %v\n%s", err, out)
	}
	m.equal(t)
	exists(t, false, "pwned")
	exists(t, false, m.src, "pwned")
	r.flush(t)
	await(t, "an empty log", func() bool { return strings.Contains(log(), "There is nothing") })
	m.equal(t)
}

// A script that stands at the log's place is never run, whoever wrote it.
func TestFailLogPlanted(t *testing.T) {
	m := newMirror(t, "inotify")
	path, log := m.failLog(t, 50*time.Millisecond)
	write(t, path, "touch "+filepath.Join(m.src, "pwned")+"\n")
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 4321, 4321); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(m.src, "f"), "x")
	m.daemon.Stop()
	tr := &trace{}
	e, err := New(m.conf, Options{Events: tr.events})
	if err != nil {
		t.Fatal(err)
	}
	r := runEngine(t, e, tr)
	await(t, "some tries", func() bool { return tr.started("far") > 3 })
	r.stop(t)
	exists(t, false, m.src, "pwned")
	if os.Geteuid() == 0 && !strings.HasPrefix(log(), "touch ") {
		t.Errorf("another user's file was written to: %s", log())
	}
}
