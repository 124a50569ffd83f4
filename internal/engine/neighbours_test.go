package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/watcher"
)

// On a filesystem where nearly all is written elsewhere, a small root is
// watched by itself after a while, and nothing is missed at the change.
func TestAutoGivesWayOnABusyFilesystem(t *testing.T) {
	m := newMirror(t, "auto")
	e := startTuned(t, m.conf, &trace{}, Options{Watch: func(c *watcher.Config) {
		if c.Weigh != nil {
			c.Weigh = &watcher.Weights{Every: time.Second, Rate: 5, Share: 0.1, Dirs: 100}
		}
	}})
	e.flush(t)
	if b := e.Status().Roots[0].Backend; b != string(watcher.BackendFanotify) {
		t.Skip("fanotify does not work here; the backend is", b)
	}
	elsewhere := filepath.Join(filepath.Dir(m.src), "elsewhere")
	inside := filepath.Join(m.src, "inside")
	for i := 0; e.Status().Roots[0].Backend != string(watcher.BackendInotify); i++ {
		write(t, elsewhere, "x")
		if i%100 == 0 {
			write(t, inside, time.Now().String())
		}
		if i > 0 && i%10_000 == 0 && time.Since(e.Status().Started) > flushTimeout {
			t.Fatal("the backend did not change:", e.trace.String())
		}
	}
	write(t, filepath.Join(m.src, "new"), "y")
	e.flush(t)
	m.equal(t)
	if err := os.Remove(inside); err != nil {
		t.Fatal(err)
	}
	m.converges(t, e)
	if why := e.Status().Roots[0].Reason; why == "inotify: asked for" {
		t.Error("the reason does not tell why:", why)
	}
}

// With modify off a file goes when its writer closes it.
func TestModifyOff(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		m := newMirror(t, backend)
		m.conf.Roots[0].Modify = "off"
		path := filepath.Join(m.src, "log")
		write(t, path, "one\n")
		e := m.start(t)
		e.flush(t)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range 100 {
			if _, err := f.WriteString("more\n"); err != nil {
				t.Fatal(err)
			}
		}
		before := e.Status().Roots[0].Watch.Sent
		e.flush(t)
		if after := e.Status().Roots[0].Watch.Sent; after > before+1 {
			t.Errorf("%d events of writes to an open file", after-before-1)
		}
		if b, err := os.ReadFile(filepath.Join(m.dst, "log")); err != nil || string(b) != "one\n" {
			t.Errorf("before the file was closed the remote has %q, %v", b, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		m.converges(t, e)
	})
}
