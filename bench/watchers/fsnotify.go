package watchers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// flushEvery is how often the reader writes what it has to say: a call for each
// line would cost more than the library does.
const flushEvery = 20 * time.Millisecond

// readFsnotify prints what the library fsnotify tells of. It has no recursion,
// so its users walk the tree, and again each directory that appears.
func readFsnotify(ctx context.Context, root string, out io.Writer) (err error) {
	ctx, stop := untilTerm(ctx)
	defer stop()
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("fsnotify: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := addTree(w, root); err != nil {
		return fmt.Errorf("fsnotify: %w", err)
	}
	p := newPrinter(out)
	if err := errors.Join(p.say(wordReady, ""), p.Flush()); err != nil {
		return err
	}
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	for {
		select {
		case ev := <-w.Events:
			err = p.say(wordChange, ev.Name)
			if ev.Has(fsnotify.Create) {
				err = errors.Join(err, addTree(w, ev.Name))
			}
		case told := <-w.Errors:
			if !errors.Is(told, fsnotify.ErrEventOverflow) {
				return told
			}
			err = p.say(wordLost, "")
		case <-flush.C:
			err = p.Flush()
		case <-ctx.Done():
			return p.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// addTree watches top and all directories below it, if it is one and still there.
func addTree(w *fsnotify.Watcher, top string) error {
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = w.Add(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
