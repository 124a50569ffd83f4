package watcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 30 * time.Second

// probe is a running Watcher whose Events the test takes step by step.
type probe struct {
	t    testing.TB
	w    *Watcher
	root string
	stop context.CancelFunc
	end  chan error
	got  []Event // since the last sync
}

// backends are those that can be tried here; each test runs with every one,
// on a disk and a memory filesystem.
func eachBackend(t *testing.T, f func(t *testing.T, root string, b Backend)) {
	for _, b := range []Backend{BackendFanotify, BackendInotify} {
		for _, fs := range []string{"disk", "shm"} {
			t.Run(string(b)+"-"+fs, func(t *testing.T) {
				root := tempRoot(t, fs)
				need(t, b, root)
				f(t, root, b)
			})
		}
	}
}

func tempRoot(t testing.TB, fs string) string {
	t.Helper()
	dir := t.TempDir()
	if fs == "shm" {
		var err error
		if dir, err = os.MkdirTemp("/dev/shm", "watch"); err != nil {
			t.Skip("no /dev/shm:", err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	dir, err := filepath.EvalSymlinks(dir)
	ok(t, err)
	root := filepath.Join(dir, "root")
	ok(t, os.Mkdir(root, 0o755))
	return root
}

// need skips the test if the backend cannot work here.
func need(t testing.TB, b Backend, root string) {
	t.Helper()
	if b != BackendFanotify {
		return
	}
	var fd int
	var why string
	eventually(t, func() bool {
		fd, why = openFanotify(Config{Root: root})
		return !strings.Contains(why, noGroup)
	})
	if fd < 0 {
		t.Skip("fanotify:", why)
	}
	unix.Close(fd)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// watch starts a Watcher and waits until it is ready.
func watch(t testing.TB, cfg Config) *probe {
	t.Helper()
	p := launch(t, cfg)
	p.awaitReady()
	return p
}

// launch starts a Watcher.
func launch(t testing.TB, cfg Config) *probe {
	t.Helper()
	return run(t, newWatcher(t, cfg))
}

// noGroup is what openFanotify says for a while when many tests follow each
// other: the kernel takes its time to let go of closed groups.
const noGroup = "no fanotify group is free"

// newWatcher is New, with the patience to wait for a group.
func newWatcher(t testing.TB, cfg Config) (w *Watcher) {
	t.Helper()
	eventually(t, func() bool {
		var err error
		w, err = New(cfg)
		switch {
		case errors.Is(err, unix.EMFILE), err != nil && strings.Contains(err.Error(), noGroup):
			return false
		case err == nil && strings.Contains(w.why, noGroup):
			w.Close()
			return false
		}
		ok(t, err)
		return true
	})
	return w
}

// run runs a Watcher.
func run(t testing.TB, w *Watcher) *probe {
	ctx, cancel := context.WithCancel(context.Background())
	p := &probe{t: t, w: w, root: w.cfg.Root, stop: cancel, end: make(chan error, 1)}
	go func() { p.end <- w.Run(ctx) }()
	t.Cleanup(p.close)
	return p
}

func (p *probe) awaitReady() {
	p.t.Helper()
	select {
	case <-p.w.Ready():
	case <-time.After(patience):
		p.t.Fatal("watcher not ready")
	}
}

// close ends the Watcher and checks that it ends well.
func (p *probe) close() {
	if p.stop == nil {
		return
	}
	p.stop()
	p.stop = nil
	deadline := time.After(patience)
	for events := p.w.Events(); events != nil; {
		select {
		case _, open := <-events:
			if !open {
				events = nil
			}
		case <-deadline:
			p.t.Error("Run does not end:", stacks())
			return
		}
	}
	if err := <-p.end; err != nil {
		p.t.Error("Run:", err)
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// sync returns the Events of all changes made before it was called, since the
// last time.
func (p *probe) sync() []Event {
	p.t.Helper()
	id := p.w.Barrier()
	return p.until(func(e Event) bool { return e.Kind == Barrier && e.Barrier == id })
}

// until returns the Events before the first that f holds for.
func (p *probe) until(f func(Event) bool) []Event {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		for i, e := range p.got {
			if f(e) {
				out := p.got[:i:i]
				p.got = p.got[i+1:]
				return slices.DeleteFunc(out, func(e Event) bool { return e.Kind == Barrier })
			}
		}
		select {
		case b, open := <-p.w.Events():
			if !open {
				p.t.Fatalf("Events ended; had %v", p.got)
			}
			if len(b) == 0 || len(b) > maxBatch {
				p.t.Fatalf("batch of %d events", len(b))
			}
			for _, e := range b {
				if err := wellFormed(e); err != nil {
					p.t.Fatalf("event %+v: %v", e, err)
				}
			}
			p.got = append(p.got, b...)
		case <-deadline:
			p.t.Fatalf("event not seen; had %v\n%s", p.got, stacks())
		}
	}
}

// untilGone waits for the end that follows Gone.
func (p *probe) untilGone() []Event {
	p.t.Helper()
	out := p.until(func(e Event) bool { return e.Has(Gone) })
	select {
	case _, open := <-p.w.Events():
		if open {
			p.t.Fatal("events after gone")
		}
	case <-time.After(patience):
		p.t.Fatal("Events not closed after gone")
	}
	return out
}

// wellFormed checks what the Event type promises.
func wellFormed(e Event) error {
	for _, path := range []string{e.Path, e.From} {
		if path == "" {
			continue
		}
		for name := range strings.SplitSeq(path, "/") {
			if name == "" || name == "." || name == ".." || strings.Contains(name, "\x00") {
				return fmt.Errorf("bad path %q", path)
			}
		}
	}
	switch {
	case e.Kind == 0:
		return errors.New("no kind")
	case e.From != "" && e.Kind&(Created|Moved) != Created|Moved:
		return errors.New("from without created|moved")
	case (e.Reason != "") != e.Has(Rescan):
		return errors.New("reason without rescan or the other way round")
	case (e.Barrier != 0) != e.Has(Barrier):
		return errors.New("number without barrier or the other way round")
	case e.Time <= 0:
		return errors.New("no time")
	}
	return nil
}

// kinds folds events by path.
func kinds(events []Event) map[string]Kind {
	m := map[string]Kind{}
	for _, e := range events {
		m[e.Path] |= e.Kind
	}
	return m
}

func (p *probe) path(name string) string { return filepath.Join(p.root, name) }

// want checks that the folded events have at least these bits.
func want(t testing.TB, events []Event, path string, k Kind) {
	t.Helper()
	if got := kinds(events)[path]; got&k != k {
		t.Errorf("%q: got %q, want %q; all: %v", path, got, k, events)
	}
}

// wantNone checks that there is no event for a path.
func wantNone(t testing.TB, events []Event, path string) {
	t.Helper()
	if got, is := kinds(events)[path]; is {
		t.Errorf("%q: got %q, want nothing", path, got)
	}
}

// ok ends the test on an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) { t.Helper(); ok(t, os.MkdirAll(path, 0o755)) }

func write(t testing.TB, path, content string) {
	t.Helper()
	ok(t, os.WriteFile(path, []byte(content), 0o644))
}

func rename(t testing.TB, from, to string) { t.Helper(); ok(t, os.Rename(from, to)) }

func remove(t testing.TB, path string) { t.Helper(); ok(t, os.RemoveAll(path)) }

// gate keeps a reader from draining while it is shut, so that everything
// stays in the kernel's queue and is merged there.
type gate struct{ mu sync.Mutex }

func (g *gate) hold()           { g.mu.Lock(); defer g.mu.Unlock() }
func (g *gate) during(f func()) { g.mu.Lock(); defer g.mu.Unlock(); f() }

// eventually waits for a condition with a deadline.
func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("condition never came true\n", stacks())
		}
	}
}
