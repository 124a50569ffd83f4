package measure

import (
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// NewestChange is the newest ctime in the tree at dir, dir itself included: when
// its last entry was made, changed, renamed or removed. Only the removal of a whole
// tree's last trace, dir itself, would not show. Kernels before 6.13 take ctimes
// from a clock that ticks every 1 to 10 ms.
func NewestChange(dir string) (time.Time, error) {
	root, err := realDir(dir)
	if err != nil {
		return time.Time{}, fmt.Errorf("look for the newest change: %w", err)
	}
	n := &newest{}
	n.pool.tickets = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	n.entry(root)
	n.pool.wait()
	if n.err != nil {
		return time.Time{}, fmt.Errorf("look for the newest change: %w", n.err)
	}
	return n.at, nil
}

type newest struct {
	pool pool
	mu   sync.Mutex
	at   time.Time
	err  error // the first
}

func (n *newest) saw(at time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
	}
	if at.After(n.at) {
		n.at = at
	}
}

// entry takes the ctime of one path. What is below it is in at most chunk-sized
// pieces of work.
func (n *newest) entry(path string) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		if !vanished(err) {
			n.saw(time.Time{}, &fs.PathError{Op: "lstat", Path: path, Err: err})
		}
		return
	}
	n.saw(time.Unix(st.Ctim.Unix()), nil)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	n.pool.run(func() { n.directory(path) })
}

func (n *newest) directory(dir string) {
	names, err := readNames(dir)
	if err != nil {
		n.saw(time.Time{}, err)
		return
	}
	for len(names) > 0 {
		part := names[:min(chunk, len(names))]
		names = names[len(part):]
		n.pool.run(func() {
			for _, name := range part {
				n.entry(dir + "/" + name)
			}
		})
	}
}
