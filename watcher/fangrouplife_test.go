package watcher

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestGroupJoinedAndLeft(t *testing.T) {
	top, all := together(t, "disk", "a", "b")
	a, b := all[0], all[1]
	cfg := a.w.cfg
	// The first, which started the reader, leaves; the other goes on.
	a.close()
	write(t, b.path("f"), "1")
	want(t, b.sync(), "f", Created)
	wantInUse(t, 1, 1)
	for i := range 20 {
		w, err := New(cfg)
		ok(t, err)
		// Told, though Run comes later.
		name := fmt.Sprint("g", i)
		write(t, top+"/a/"+name, "1")
		write(t, b.path(name), "1")
		a = run(t, w)
		ev := a.sync()
		want(t, ev, name, Created)
		if all := kinds(ev); len(all) != 1 {
			t.Error("more than one path:", all)
		}
		want(t, b.sync(), name, Created)
		wantInUse(t, 1, 1)
		a.close()
	}
	b.close()
	wantInUse(t, 0, 0)
	// One that is never run leaves nothing behind.
	w, err := New(cfg)
	ok(t, err)
	wantInUse(t, 1, 1)
	w.Close()
	wantInUse(t, 0, 0)
}

func TestGroupJoinedByMany(t *testing.T) {
	top := tempRoot(t, "shm")
	need(t, BackendFanotify, top)
	gs := new(Groups)
	var wg sync.WaitGroup
	for i := range 4 {
		root := fmt.Sprint(top, "/", i)
		mkdir(t, root)
		wg.Go(func() {
			for j := range 25 {
				w, err := New(Config{Root: root, Backend: BackendFanotify, Groups: gs})
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithCancel(context.Background())
				end := make(chan error, 1)
				go func() { end <- w.Run(ctx) }()
				name := fmt.Sprint("f", j)
				if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
					t.Error(err)
				}
				id := w.Barrier()
				seen, met := false, false
				for batch := range w.Events() {
					for _, e := range batch {
						// Others may write to this filesystem more than a ring holds.
						seen = seen || e.Path == name && e.Has(Created) || e.Path == "" && e.Reason == RingFull
						if e.Barrier == id && !met {
							met = true
							cancel()
						}
					}
				}
				cancel()
				if err := <-end; err != nil || !seen || !met {
					t.Errorf("root %d, round %d: seen %v, barrier %v, %v", i, j, seen, met, err)
				}
			}
		})
	}
	wg.Wait()
	wantInUse(t, 0, 0)
}

// All come at once, as an engine's roots do.
func TestGroupFoundAtTheSameTime(t *testing.T) {
	top := tempRoot(t, "disk")
	need(t, BackendFanotify, top)
	for range 20 {
		gs := new(Groups)
		var all [6]*Watcher
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				var err error
				if all[i], err = New(Config{Root: top, Backend: BackendFanotify, Groups: gs, RingSlots: 64}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantInUse(t, 1, 1)
		for _, w := range all {
			w.Close()
		}
		wantInUse(t, 0, 0)
	}
}

// A kernel queue that cannot be read ends all Watchers that share it, and the
// next have another.
func TestGroupThatBreaks(t *testing.T) {
	top := tempRoot(t, "disk")
	need(t, BackendFanotify, top)
	gs := new(Groups)
	var all []*Watcher
	ends := make(chan error, 2)
	for range 2 {
		w, err := New(Config{Root: top, Backend: BackendFanotify, Groups: gs})
		ok(t, err)
		all = append(all, w)
	}
	// What is read now is a directory.
	dir, err := openDir(top)
	ok(t, err)
	ok(t, unix.Dup2(dir, all[0].reader.group))
	unix.Close(dir)
	for _, w := range all {
		go func() { ends <- w.Run(context.Background()) }()
	}
	all[0].Barrier()
	for range all {
		select {
		case err := <-ends:
			if err == nil || !strings.Contains(err.Error(), "read events") {
				t.Error("Run:", err)
			}
		case <-time.After(patience):
			t.Fatal("Run does not end:", stacks())
		}
	}
	p := watch(t, Config{Root: top, Backend: BackendFanotify, Groups: gs})
	write(t, p.path("f"), "1")
	want(t, p.sync(), "f", Created)
	wantInUse(t, 1, 1)
}
