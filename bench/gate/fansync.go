package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// loadDirs and loadFiles are a load's size, standing the files that are
	// there all the time: so many that the removal of a load is no more than
	// the guard against mass deletions lets pass.
	loadDirs, loadFiles = 20, 2000
	standing            = 4500
)

// mirror is the program keeping a directory equal at a daemon's module.
type mirror struct {
	dir, src, dst string
	daemon        *daemon
	program       *child
}

// startMirror starts both, on a tree of its own in dir, an empty directory, and
// returns when changes arrive and nothing more is under way.
func startMirror(ctx context.Context, program, dir string) (*mirror, error) {
	m := &mirror{dir: dir, src: filepath.Join(dir, "src"), dst: filepath.Join(dir, "dst")}
	for _, d := range []string{m.src, m.dst} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := writeFiles(filepath.Join(m.src, "standing"), 45, standing); err != nil {
		return nil, err
	}
	if text, err := exec.CommandContext(ctx, "rsync", "-a", m.src+"/", m.dst+"/").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("seed the mirror: %w: %s", err, lastLines(string(text), 5))
	}
	var err error
	if m.daemon, err = startDaemon(ctx, dir, m.dst); err != nil {
		return nil, err
	}
	args := []string{m.src, m.daemon.url()}
	help, err := exec.CommandContext(ctx, program, "--help").CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask fansync for its flags: %w", err), m.stop())
	}
	// What waits connected would count as work, and be replaced while loads run.
	// BASE may not know them yet.
	if strings.Contains(string(help), "--standbys") {
		args = append(args, "--standbys=0")
	}
	if m.program, err = startChild(program, args...); err != nil {
		return nil, errors.Join(fmt.Errorf("start fansync: %w", err), m.stop())
	}
	if err := m.awaitProbe(ctx); err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, nil
}

// awaitProbe writes a file again and again until it arrives, and waits for rest.
func (m *mirror) awaitProbe(ctx context.Context) error {
	last := time.Time{}
	err := until(ctx, "a first change arrives", m.children(), func() (bool, error) {
		if _, err := os.Lstat(filepath.Join(m.dst, "probe")); err == nil {
			return true, nil
		}
		if time.Since(last) < time.Second {
			return false, nil
		}
		last = time.Now()
		return false, os.WriteFile(filepath.Join(m.src, "probe"), []byte(last.String()), 0o644)
	})
	if err != nil {
		return err
	}
	return m.settle(ctx, func() bool { return true })
}

func (m *mirror) children() []*child { return []*child{m.daemon.child, m.program} }

// stop ends both.
func (m *mirror) stop() error {
	var err error
	if m.program != nil {
		err = m.program.stop(syscall.SIGTERM)
	}
	return errors.Join(err, m.daemon.stop(syscall.SIGTERM))
}

// settle waits until a load has arrived, nothing more happens, and the mirror
// is equal in all that rsync compares, contents included.
func (m *mirror) settle(ctx context.Context, arrived func() bool) error {
	var seen served
	since := time.Now()
	here := false
	return until(ctx, "the mirror is equal and at rest", m.children(), func() (bool, error) {
		if here = here || arrived(); !here {
			since = time.Now()
			return false, nil
		}
		now, err := m.daemon.served()
		if err != nil {
			return false, err
		}
		idle, err := m.daemon.idle()
		if err != nil {
			return false, err
		}
		if now != seen || !idle {
			seen, since = now, time.Now()
		}
		if time.Since(since) < rest {
			return false, nil
		}
		since = time.Now()
		text, err := exec.CommandContext(ctx, "rsync", "-ain", "--checksum", "--delete", "--modify-window=-1", m.src+"/", m.dst+"/").CombinedOutput()
		if err != nil {
			return false, fmt.Errorf("compare the mirror: %w: %s", err, lastLines(string(text), 5))
		}
		return len(text) == 0, nil
	})
}

// arrived reports whether all files of a load are at the mirror; gone whether
// nothing of it is.
func (m *mirror) arrived(load string) bool {
	for i := range loadFiles {
		name := fileName(load, loadDirs, loadFiles, i)
		a, err := os.Lstat(filepath.Join(m.src, name))
		if err != nil {
			return false
		}
		b, err := os.Lstat(filepath.Join(m.dst, name))
		if err != nil || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) {
			return false
		}
	}
	return true
}

func (m *mirror) gone(load string) bool {
	_, err := os.Lstat(filepath.Join(m.dst, load))
	return errors.Is(err, os.ErrNotExist)
}

// counted runs a load and returns what the daemon served because of it.
func (m *mirror) counted(ctx context.Context, load func() error, arrived func() bool) (served, error) {
	before, err := m.daemon.served()
	if err != nil {
		return served{}, err
	}
	if err := load(); err != nil {
		return served{}, err
	}
	if err := m.settle(ctx, arrived); err != nil {
		return served{}, err
	}
	after, err := m.daemon.served()
	return served{rsyncs: after.rsyncs - before.rsyncs, bytes: after.bytes - before.bytes}, err
}

// writeFiles makes a directory with so many small files in so many directories.
func writeFiles(top string, dirs, files int) error {
	for i := range files {
		name := fileName(top, dirs, files, i)
		if i%(files/dirs) == 0 {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name, fmt.Appendf(nil, "file %d\n", i), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fileName(top string, dirs, files, i int) string {
	return filepath.Join(top, fmt.Sprintf("d%02d", i/(files/dirs)), fmt.Sprintf("f%04d", i))
}
