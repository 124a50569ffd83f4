package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Arrivals tells when each name first became visible in one directory: when it
// was renamed to its name, or, if it was made under it, when its writer closed
// it. Names that begin with a dot, as rsync's temporary files do, are no
// arrivals.
type Arrivals struct {
	dir    string
	events int // the inotify descriptor
	wake   int // an eventfd that ends the thread
	done   chan struct{}

	mu   sync.Mutex
	seen map[string]int64
	err  error // the first; events were lost
}

// WatchArrivals begins to watch a directory. The caller must Stop it.
//
// Its thread runs at real-time priority if it may: even so a stamp is late by the
// time that the kernel takes to wake it, some 10 to 100 microseconds.
func WatchArrivals(dir string) (*Arrivals, error) {
	a := &Arrivals{dir: dir, events: -1, wake: -1, done: make(chan struct{}), seen: map[string]int64{}}
	var err error
	if a.events, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil, fmt.Errorf("watch %s: make an inotify queue: %w; raise fs.inotify.max_user_instances", dir, err)
	}
	if a.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		_, err = unix.InotifyAddWatch(a.events, dir, unix.IN_MOVED_TO|unix.IN_CREATE|unix.IN_CLOSE_WRITE|unix.IN_ONLYDIR)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch %s: %w", dir, err), a.close())
	}
	go a.run()
	return a, nil
}

// Seen tells the moment of each arrival so far, in nanoseconds of
// CLOCK_MONOTONIC, by name. The error says that some were lost.
func (a *Arrivals) Seen() (map[string]int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.seen), a.err
}

// Stop ends the watch. What was seen stays.
func (a *Arrivals) Stop() error {
	if _, err := unix.Write(a.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		return fmt.Errorf("end the watch of %s: %w", a.dir, err)
	}
	<-a.done
	return a.close()
}

func (a *Arrivals) close() error {
	err := unix.Close(a.events)
	if a.wake >= 0 {
		err = errors.Join(err, unix.Close(a.wake))
	}
	if err != nil {
		return fmt.Errorf("end the watch of %s: %w", a.dir, err)
	}
	return nil
}

// run is the thread's. It never gives the thread back, which dies with it, because
// of its priority.
func (a *Arrivals) run() {
	defer close(a.done)
	runtime.LockOSThread()
	hurry()
	fds := []unix.PollFd{{Fd: int32(a.events), Events: unix.POLLIN}, {Fd: int32(a.wake), Events: unix.POLLIN}}
	buf := make([]byte, 256<<10)
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			a.lose(fmt.Errorf("wait for events: %w", err))
			return
		}
		now := monotonic()
		n, err := unix.Read(a.events, buf)
		switch {
		case err == nil:
			a.take(buf[:n], now)
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
			a.lose(fmt.Errorf("read events: %w", err))
			return
		case fds[1].Revents != 0: // and nothing is left to read
			return
		}
	}
}

// hurry gives the thread the best priority that it may have.
func hurry() {
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if unix.SchedSetAttr(0, attr, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // who may not must wait its turn
	}
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // every Linux has it
	}
	return ts.Nano()
}

func (a *Arrivals) lose(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = fmt.Errorf("watch %s: %w", a.dir, err)
	}
}

// take reads a buffer of events that were there at the moment now.
func (a *Arrivals) take(buf []byte, now int64) {
	for len(buf) >= unix.SizeofInotifyEvent {
		ev := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		end := unix.SizeofInotifyEvent + int(ev.Len)
		name := unix.ByteSliceToString(buf[unix.SizeofInotifyEvent:end])
		mask := ev.Mask
		buf = buf[end:]
		if mask&(unix.IN_Q_OVERFLOW|unix.IN_IGNORED) != 0 {
			a.lose(errors.New("events were lost: the queue was full or the directory is gone; raise fs.inotify.max_queued_events"))
			continue
		}
		if name != "" && name[0] != '.' && (mask&unix.IN_CREATE == 0 || a.complete(name, mask)) {
			a.arrive(name, now)
		}
	}
}

func (a *Arrivals) arrive(name string, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.seen[name]; !ok {
		a.seen[name] = now
	}
}

// complete reports whether what was just made under its own name is whole: all
// but a file that somebody still writes. A further link to a file is.
func (a *Arrivals) complete(name string, mask uint32) bool {
	if mask&unix.IN_ISDIR != 0 {
		return true
	}
	var st unix.Stat_t
	if err := unix.Lstat(a.dir+"/"+name, &st); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			a.lose(&os.PathError{Op: "lstat", Path: a.dir + "/" + name, Err: err})
		}
		return false
	}
	return st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 1
}
