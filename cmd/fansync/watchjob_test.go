package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/watcher"
)

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(10)
		var passed int
		through := make(chan int)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range through {
				g.pass(n)
				passed += n
			}
		}()
		send := func(n int) {
			through <- n
			synctest.Wait()
		}
		send(100) // nothing is being printed
		g.hold()
		send(9)
		send(9)
		if passed != 118 {
			t.Errorf("%d passed, want all up to the limit", passed)
		}
		send(1)
		if passed != 118 {
			t.Errorf("%d passed while held", passed)
		}
		g.release()
		synctest.Wait()
		if passed != 119 {
			t.Errorf("%d passed after the release", passed)
		}
		g.hold()
		send(9)
		if passed != 128 {
			t.Errorf("%d passed, want a new limit for each hold", passed)
		}
		g.release()
		close(through)
		<-done
	})
}

// reader is a reader of the output that reads nothing until it is told to.
type reader struct {
	entered, read chan struct{}
	enter         sync.Once
	mu            sync.Mutex
	got           bytes.Buffer
}

func newReader() *reader {
	return &reader{entered: make(chan struct{}), read: make(chan struct{})}
}

func (r *reader) Write(b []byte) (int, error) {
	r.enter.Do(func() { close(r.entered) })
	<-r.read
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(b)
}

func (r *reader) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// startJob runs a job on dir until the end of ctx or the test, and waits until
// it watches.
func startJob(t *testing.T, ctx context.Context, dir string, out *output, change func(*watchJob)) (*watchJob, <-chan error) {
	t.Helper()
	tr, err := newTree("dir", watcher.Config{Root: dir, Backend: watcher.BackendInotify, RingSlots: 256})
	if err != nil {
		t.Fatal(err)
	}
	job := newWatchJob([]*tree{tr}, out)
	change(job)
	ended := make(chan error, 1)
	go func() { ended <- job.run(ctx) }()
	<-tr.watch.Ready()
	return job, ended
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func put(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// realTemp is a new directory's path without symbolic links.
func realTemp(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A reader that does not read holds up the printing and, when enough waits, the
// ring. What is lost then is told as a rescan; nothing piles up in between.
func TestStuckReader(t *testing.T) {
	for name, raw := range map[string]bool{"merged": false, "raw": true} {
		t.Run(name, func(t *testing.T) {
			const limit = 16
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dir, to := realTemp(t), newReader()
			out := newOutput(to, new(bytes.Buffer), formLines, false)
			job, ended := startJob(t, ctx, dir, out, func(j *watchJob) {
				j.raw = raw
				j.trees[0].gate = newGate(limit)
			})
			tr := job.trees[0]
			put(t, filepath.Join(dir, "first"))
			<-to.entered
			files := 0
			for ; tr.watch.Stats().RingDropped == 0; files++ {
				if files == 50_000 {
					t.Fatal("the ring never got full:", tr.watch.Stats())
				}
				put(t, filepath.Join(dir, fmt.Sprint(files)))
			}
			// The gate counts whole batches, and one more has been counted that
			// waits before it.
			if n := tr.events.Load(); n > limit+3*512 {
				t.Errorf("%d events were taken in while the output was stuck", n)
			}
			close(to.read)
			rescan := "\trescan,dir\tdir\tevent ring full\n"
			eventually(t, "the rescan", func() bool { return strings.Contains(to.String(), rescan) })
			// A small ring may get full again, so it is tried until a file's line
			// comes.
			for try := 0; !strings.Contains(to.String(), "dir/last"); try++ {
				name := fmt.Sprint("last", try)
				put(t, filepath.Join(dir, name))
				before := strings.Count(to.String(), rescan)
				eventually(t, "the last file, or a rescan", func() bool {
					s := to.String()
					return strings.Contains(s, "dir/"+name) || strings.Count(s, rescan) > before
				})
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// onNote calls do before the first note that holds text is taken.
type onNote struct {
	text string
	once sync.Once
	do   func()
}

func (n *onNote) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(n.text)) {
		n.once.Do(n.do)
	}
	return len(b), nil
}

// A file that waits for its writer when the time is over was changed.
func TestTimeoutLooksOnceMore(t *testing.T) {
	dir, to := realTemp(t), newReader()
	close(to.read)
	f, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Before the time begins to run.
	notes := &onNote{text: "is ready", do: func() {
		if _, err := f.WriteString("x"); err != nil {
			t.Error(err)
		}
	}}
	out := newOutput(to, notes, formLines, true)
	_, ended := startJob(t, t.Context(), dir, out, func(j *watchJob) { j.timeout = time.Nanosecond })
	if err := <-ended; err != nil || !strings.Contains(to.String(), "\twritten\tdir/open\n") {
		t.Errorf("it ended with %v and printed %q", err, to.String())
	}
	_, ended = startJob(t, t.Context(), dir, newOutput(to, new(bytes.Buffer), formLines, false), func(j *watchJob) { j.timeout = time.Nanosecond })
	if err := <-ended; !errors.Is(err, errNoChange) {
		t.Errorf("without a change it ended with %v", err)
	}
}

// An output that cannot be written to is an error, a reader that went away is
// not.
func TestBrokenOutput(t *testing.T) {
	for _, c := range []struct {
		write error
		want  bool
	}{{os.ErrClosed, true}, {fmt.Errorf("write: %w", syscall.EPIPE), false}} {
		dir := realTemp(t)
		_, ended := startJob(t, t.Context(), dir, newOutput(failing{c.write}, new(bytes.Buffer), formLines, false), func(*watchJob) {})
		put(t, filepath.Join(dir, "f"))
		if err := <-ended; (err != nil) != c.want {
			t.Errorf("%v: it ended with %v", c.write, err)
		}
	}
}
