package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// call is a Send that waits for its result.
type call struct {
	ctx    context.Context
	batch  Batch
	result chan Result
}

func (c call) String() string {
	var items []string
	for _, it := range c.batch.Items {
		items = append(items, it.String())
	}
	s := c.batch.Form.String() + " [" + strings.Join(items, " ") + "]"
	if c.batch.MaxDelete >= 0 {
		s += fmt.Sprint(" max ", c.batch.MaxDelete)
	}
	return s
}

// manual is a Sender that a test answers call by call.
type manual struct {
	calls chan call
	deaf  bool // ignores the end of the context
}

func newManual() *manual { return &manual{calls: make(chan call, 100)} }

func (m *manual) Send(ctx context.Context, b Batch, _ func(Progress)) Result {
	c := call{ctx, b, make(chan Result)}
	m.calls <- c
	done := ctx.Done()
	if m.deaf {
		done = nil
	}
	select {
	case res := <-c.result:
		return res
	case <-done:
		return Result{Class: Canceled, Code: -1}
	}
}

// bench is a Scheduler in a bubble, with manual senders.
type bench struct {
	t       *testing.T
	root    string
	s       *Scheduler
	pool    *Pool
	in      chan coalesce.Change
	senders []*manual
	cancel  context.CancelFunc
	ended   chan struct{}
	states  chan string // of the first remote
	source  *testSource
}

// testSource is a dirSource that can be made to fail.
type testSource struct {
	dirSource
	mu  sync.Mutex
	err error
}

func (s *testSource) OpenDir(needEntries bool) (*os.File, error) {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.dirSource.OpenDir(needEntries)
}

func (s *testSource) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// inBubble runs test with a Scheduler of n remotes; tune may change its config.
func inBubble(t *testing.T, n int, tune func(*Config), test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pool, err := NewPool(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{
			t: t, root: t.TempDir(), pool: pool, in: make(chan coalesce.Change),
			ended: make(chan struct{}), states: make(chan string, 1000),
		}
		b.source = &testSource{dirSource: dirSource(b.root)}
		cfg := Config{Source: b.source, Pool: pool, Now: clock, Wall: clock, stamps: noStamps}
		for i := range n {
			b.senders = append(b.senders, newManual())
			cfg.Remotes = append(cfg.Remotes, RemoteConfig{Name: fmt.Sprint("r", i), Sender: b.senders[i]})
		}
		cfg.Events.State = func(remote string, s State, reason string) {
			if remote == "r0" {
				b.states <- string(s) + ": " + reason
			}
		}
		if tune != nil {
			tune(&cfg)
		}
		if b.s, err = New(cfg); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		b.cancel = cancel
		b.write("keep")
		go func() {
			defer close(b.ended)
			if err := b.s.Run(ctx, b.in); err != nil {
				t.Error(err)
			}
		}()
		defer pool.Close()
		defer b.stop()
		test(b)
	})
}

// noStamps stands for looker.stamps: the times of real files have nothing to do
// with the clock of a bubble. So what is Racy stays so.
func noStamps(*looker, string) (stamps, error) { return stamps{}, nil }

// stop ends the scheduler at once, unless the test did.
func (b *bench) stop() {
	b.cancel()
	if b.in != nil {
		close(b.in)
		b.in = nil
	}
	<-b.ended
}

func (b *bench) write(paths ...string) {
	b.t.Helper()
	for _, p := range paths {
		abs := filepath.Join(b.root, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(abs), 0o755), os.WriteFile(abs, nil, 0o644)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) remove(path string) {
	b.t.Helper()
	if err := os.RemoveAll(filepath.Join(b.root, path)); err != nil {
		b.t.Fatal(err)
	}
}

// send hands on entries that came just now.
func (b *bench) send(entries ...coalesce.Entry) {
	for i := range entries {
		entries[i].Since, entries[i].Last = clock(), clock()
	}
	b.in <- coalesce.Change{Entries: entries}
	synctest.Wait()
}

func changed(path string) coalesce.Entry { return coalesce.Entry{Path: path, Flags: coalesce.Content} }

func gone(path string) coalesce.Entry {
	return coalesce.Entry{Path: path, Flags: coalesce.Name | coalesce.Gone, Deletes: 1}
}

// next is the next call of remote i; it waits a day at most.
func (b *bench) next(i int) call {
	b.t.Helper()
	select {
	case c := <-b.senders[i].calls:
		return c
	case <-time.After(24 * time.Hour):
		b.t.Fatalf("remote %d sends nothing", i)
	}
	return call{}
}

// expect is next, which must be want, as call.String gives it.
func (b *bench) expect(i int, want string) call {
	b.t.Helper()
	c := b.next(i)
	if c.String() != want {
		b.t.Fatalf("remote %d sent %v, want %s", i, c, want)
	}
	return c
}

// quiet checks that remote i sends nothing for d.
func (b *bench) quiet(i int, d time.Duration) {
	b.t.Helper()
	select {
	case c := <-b.senders[i].calls:
		b.t.Fatalf("remote %d sent %v", i, c)
	case <-time.After(d):
	}
}

func (c call) end(res Result) { c.result <- res; synctest.Wait() }

func (c call) ok() { c.end(Result{}) }

// live answers the first full runs.
func (b *bench) live() {
	b.t.Helper()
	for i := range b.senders {
		b.expect(i, "full [] max 0").end(Result{Stats: Stats{Files: 100}})
	}
}

func (b *bench) status(i int) Status {
	synctest.Wait()
	return b.s.Status()[i]
}

// pass lets the bubble's clock go on.
func pass(d time.Duration) { time.Sleep(d) }
