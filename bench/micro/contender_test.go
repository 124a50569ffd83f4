package micro

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(writerVar); spec != "" {
		if err := serveWrites(spec, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	// patience bounds the wait for an event.
	patience = 30 * time.Second
	// mark begins the names of the files that are made after all others: when
	// the event of one has come, all events have.
	mark = "mark-"
)

// contender is a way to learn of changes below root, of which dirs, relative
// names, are all directories. start watches them; when it returns, every change
// is told: seen is called for each event with the path relative to root, from
// one goroutine, until stop returns.
type contender struct {
	name  string
	start func(tb testing.TB, root string, dirs []string, seen func(path string)) (stop func())
}

var contenders = []contender{
	{"fanotify", ours(watcher.BackendFanotify, events)},
	{"inotify", ours(watcher.BackendInotify, events)},
	{"fsnotify", fsnotifyWith(fsnotify.NewWatcher)},
}

// readers are those of BenchmarkReader.
var readers = []contender{
	{"fanotify+set", ours(watcher.BackendFanotify, changes)},
	{"inotify+set", ours(watcher.BackendInotify, changes)},
	{"fsnotify-plain", fsnotifyWith(fsnotify.NewWatcher)},
	{"fsnotify-buffered", fsnotifyWith(func() (*fsnotify.Watcher, error) { return fsnotify.NewBufferedWatcher(4096) })},
}

// events hands on every event of w until it ends.
func events(tb testing.TB, w *watcher.Watcher, seen func(path string)) {
	for batch := range w.Events() {
		for _, e := range batch {
			if e.Has(watcher.Rescan) {
				tb.Errorf("events were lost: %s", e.Reason)
			}
			seen(e.Path)
		}
	}
}

// changes hands on what becomes of the events of w in the dirty set.
func changes(tb testing.TB, w *watcher.Watcher, seen func(path string)) {
	out := make(chan coalesce.Change)
	go coalesce.Run(coalesce.Config{}, w.Events(), out, watcher.Now)
	for ch := range out {
		for _, r := range ch.Rescans {
			tb.Errorf("events were lost: %s", r.Reason)
		}
		for _, e := range ch.Entries {
			seen(e.Path)
		}
	}
}

// ours watches with our watcher; drain reads it until it ends.
func ours(backend watcher.Backend, drain func(testing.TB, *watcher.Watcher, func(string))) func(testing.TB, string, []string, func(string)) func() {
	return func(tb testing.TB, root string, _ []string, seen func(string)) func() {
		tb.Helper()
		w, err := watcher.New(watcher.Config{Root: root, Backend: backend})
		if err != nil {
			tb.Skip(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			drain(tb, w, seen)
		}()
		select {
		case <-w.Ready():
		case <-time.After(patience):
			tb.Error("the watcher does not get ready")
		}
		return func() {
			cancel()
			if err := <-ended; err != nil {
				tb.Error(err)
			}
			<-drained
		}
	}
}

// fsnotifyWith watches with a watcher of fsnotify.
func fsnotifyWith(open func() (*fsnotify.Watcher, error)) func(testing.TB, string, []string, func(string)) func() {
	return func(tb testing.TB, root string, dirs []string, seen func(string)) func() {
		return startFsnotify(tb, open, root, dirs, seen)
	}
}

func startFsnotify(tb testing.TB, open func() (*fsnotify.Watcher, error), root string, dirs []string, seen func(string)) func() {
	tb.Helper()
	w, err := open()
	if err != nil {
		tb.Skip(err)
	}
	for _, d := range append([]string{""}, dirs...) {
		if err := w.Add(filepath.Join(root, d)); err != nil {
			tb.Fatal(err)
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for events, errs := w.Events, w.Errors; events != nil || errs != nil; {
			select {
			case e, open := <-events:
				if !open {
					events = nil
					continue
				}
				seen(strings.TrimPrefix(e.Name, root+"/"))
			case err, open := <-errs:
				if !open {
					errs = nil
					continue
				}
				tb.Errorf("events were lost: %v", err)
			}
		}
	}()
	return func() {
		if err := w.Close(); err != nil {
			tb.Error(err)
		}
		<-drained
	}
}

// newRoot is an empty directory in memory if that can be had, so that a disk
// has no part in the figures.
func newRoot(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		tb.Fatal(err)
	}
	if fs.Type != unix.TMPFS_MAGIC {
		if shm, err := os.MkdirTemp("/dev/shm", "micro"); err == nil {
			dir = shm
			tb.Cleanup(func() {
				if err := os.RemoveAll(shm); err != nil {
					tb.Error(err)
				}
			})
		}
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// marks notices the events of mark files.
type marks struct {
	root string
	next chan string
}

func newMarks(root string) *marks { return &marks{root, make(chan string, 100)} }

// seen is a contender's callback.
func (m *marks) seen(path string) {
	if strings.HasPrefix(path, mark) {
		select {
		case m.next <- path:
		default: // enough of them wait
		}
	}
}

// sync makes a mark and waits until its event comes.
func (m *marks) sync(tb testing.TB, name string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(m.root, mark+name), nil, 0o644); err != nil {
		tb.Fatal(err)
	}
	deadline := time.After(patience)
	for {
		select {
		case path := <-m.next:
			if path == mark+name {
				return
			}
		case <-deadline:
			tb.Fatalf("no event of %s%s", mark, name)
		}
	}
}
