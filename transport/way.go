package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// wayAge is how old the last change of a directory must be to be told from
	// the next by its time: kernels stamp in ticks of up to 10 ms.
	wayAge = 20 * time.Millisecond
	// wayTries is how often that is waited for.
	wayTries = 5
)

var errBusyWay = errors.New("a directory on the way changes all the time")

// waymark is a directory on the way to another. Whatever takes its entry's place
// changes the time of the directory above.
type waymark struct {
	dev, ino uint64
	changed  int64 // ctime, ns; 0 for the last one
}

// quietWay is the way to a directory below the root, none of whose directories
// has just changed.
func (r *Rsync) quietWay(ctx context.Context, path string) ([]waymark, error) {
	for range wayTries {
		dir, way, err := openWay(r.cfg.OpenRoot, path)
		if err != nil {
			return nil, err
		}
		_ = dir.Close() // it was only opened
		wait := time.Duration(0)
		for _, m := range way {
			if m.changed != 0 {
				wait = max(wait, wayAge-time.Since(time.Unix(0, m.changed)))
			}
		}
		switch {
		case wait <= 0:
			return way, nil
		case wait > wayAge:
			return nil, errBusyWay // the clock was set back
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
	return nil, errBusyWay
}

// openWay opens a directory below the root that is reached without symlinks, and
// tells the way to it.
func openWay(openRoot func() (*os.File, error), path string) (dir *os.File, way []waymark, err error) {
	dir, err = openRoot()
	for err == nil && path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		var m waymark
		if m, err = mark(dir); err != nil {
			break
		}
		way = append(way, m)
		var fd int
		fd, err = unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		_ = dir.Close() // it was only opened
		dir = nil
		if err == nil {
			dir = os.NewFile(uintptr(fd), name)
		} else {
			err = fmt.Errorf("open %q: %w", name, err)
		}
	}
	if err == nil {
		var m waymark
		if m, err = mark(dir); err == nil {
			m.changed = 0
			return dir, append(way, m), nil
		}
	}
	if dir != nil {
		_ = dir.Close()
	}
	return nil, nil, err
}

func mark(dir *os.File) (waymark, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return waymark{}, fmt.Errorf("stat %q: %w", dir.Name(), err)
	}
	return waymark{dev: st.Dev, ino: st.Ino, changed: st.Ctim.Nano()}, nil
}
