package watchers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// bareWalk watches each directory below root with inotify and knows nothing of
// them: what a watcher by inotify cannot do without. It tells of nothing.
func bareWalk(ctx context.Context, root string, out io.Writer) (err error) {
	ctx, stop := untilTerm(ctx)
	defer stop()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	w := newWalk(fd)
	if err := w.run(root, runtime.NumCPU()); err != nil {
		return err
	}
	p := newPrinter(out)
	if err := errors.Join(p.say(wordReady, ""), p.Flush()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// walk hands directories to its workers.
type walk struct {
	inotify int
	mu      sync.Mutex
	more    *sync.Cond
	todo    []string // a stack, so that it stays short
	open    int      // directories that are not done
	err     error
}

func newWalk(inotify int) *walk {
	w := &walk{inotify: inotify}
	w.more = sync.NewCond(&w.mu)
	return w
}

// run returns when all directories are watched.
func (w *walk) run(root string, workers int) error {
	w.todo, w.open = []string{root}, 1
	var wg sync.WaitGroup
	for range workers {
		wg.Go(w.work)
	}
	wg.Wait()
	return w.err
}

func (w *walk) work() {
	buf := make([]byte, 64<<10)
	for {
		w.mu.Lock()
		for len(w.todo) == 0 && w.open > 0 && w.err == nil {
			w.more.Wait()
		}
		if w.open == 0 || w.err != nil {
			w.mu.Unlock()
			return
		}
		dir := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.mu.Unlock()
		subdirs, err := w.visit(dir, buf)
		w.mu.Lock()
		w.todo = append(w.todo, subdirs...)
		w.open += len(subdirs) - 1
		w.err = errors.Join(w.err, err)
		w.more.Broadcast()
		w.mu.Unlock()
	}
}

// visit watches a directory, then lists it.
func (w *walk) visit(dir string, buf []byte) (subdirs []string, err error) {
	const mask = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVE |
		unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK
	if _, err := unix.InotifyAddWatch(w.inotify, dir, mask); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			return nil, fmt.Errorf("watch %s: too many watches: raise fs.inotify.max_user_watches", dir)
		}
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		if n == 0 {
			return subdirs, nil
		}
		subdirs = appendDirs(subdirs, dir, buf[:n])
	}
}

// appendDirs appends the directories among entries as getdents64 lays them out:
// inode u64, offset i64, length u16, type u8, name with a NUL.
func appendDirs(subdirs []string, dir string, entries []byte) []string {
	for len(entries) > 0 {
		size := binary.NativeEndian.Uint16(entries[16:])
		if entries[18] == unix.DT_DIR {
			name, _, _ := strings.Cut(string(entries[19:size]), "\x00")
			if name != "." && name != ".." {
				subdirs = append(subdirs, dir+"/"+name)
			}
		}
		entries = entries[size:]
	}
	return subdirs
}
