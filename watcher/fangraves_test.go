package watcher

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A tree that is gone before its directories were ever looked up still tells
// how much was in it: the mass-delete guard needs the number.
func TestRemovalsInRemovedDirectoriesAreCounted(t *testing.T) {
	root := t.TempDir()
	const dirs, files = 3, 20
	for d := range dirs {
		dir := filepath.Join(root, "top", fmt.Sprint(d), "deep")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	held, err := os.Open(filepath.Join(root, "top", "1", "deep"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	w, err := New(Config{Root: root, Backend: BackendFanotify})
	if err != nil {
		t.Skip("fanotify cannot be used here:", err)
	}
	// Nothing is read yet, so the records wait in the kernel.
	if err := os.RemoveAll(filepath.Join(root, "top")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	want, got := 1+dirs*(2+files), 0
	id := w.Barrier()
	for batch := range w.Events() {
		for _, ev := range batch {
			if ev.Has(Removed) {
				got += 1 + int(ev.Below)
			}
			if ev.Barrier == id {
				cancel()
			}
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%d removals were told, want %d", got, want)
	}
}
