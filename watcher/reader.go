package watcher

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBuffer = 256 << 10
	// maxRecord is the most bytes one record can take. A read that leaves as
	// much of the buffer free has emptied the queue.
	maxRecord = 1024
	// paceMin and paceMax bound the wait between the first sign of an event
	// and the read, nanoseconds. Within it the kernel merges records and one
	// wake-up serves many of them.
	paceMin = int64(250 * time.Microsecond)
	paceMax = int64(2 * time.Millisecond)
	// retryOwed is how soon to try again to put a message, milliseconds, while
	// the ring is full to the last slot.
	retryOwed = 5
)

// reader moves records from one kernel queue to the ring of each Watcher that
// shares it.
type reader struct {
	group  int // fanotify or inotify
	event  int // eventfd: a barrier was asked for, or the end
	epoll  int
	mounts int // /proc/self/mountinfo
	buf    []byte
	// sinks are replaced as a whole. They are loaded after what is to be put
	// into them was read: one attached before that happened gets it.
	sinks atomic.Pointer[[]*sink]
	stop  atomic.Bool

	wait    int64 // the present pace
	drained int64 // when the last drain ended
	records uint64
}

// sink is one Watcher's end of a reader.
type sink struct {
	ring   *ring
	count  *counters
	asked  *atomic.Uint64
	decode func(buf []byte, now int64)
	// broken is sent the reader's error if it gives up; there is room for it.
	broken chan error
	// hold is a test's: it is called before each drain and may block.
	hold func()

	// The reader's: the newest barrier that its round answers, and the newest
	// it has answered.
	asking, answered uint64
}

// newReader opens all descriptors but group, which it takes over.
func newReader(group int) (*reader, error) {
	r := &reader{group: group, event: -1, epoll: -1, mounts: -1, buf: make([]byte, readBuffer)}
	var err error
	if r.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		r.close()
		return nil, fmt.Errorf("open eventfd: %w", err)
	}
	if r.mounts, err = unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		r.close()
		return nil, fmt.Errorf("open mount table: %w", &os.PathError{Op: "open", Path: "/proc/self/mountinfo", Err: err})
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		r.close()
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	for fd, events := range map[int]uint32{r.group: unix.EPOLLIN, r.event: unix.EPOLLIN, r.mounts: unix.EPOLLPRI} {
		ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			r.close()
			return nil, fmt.Errorf("add to epoll: %w", err)
		}
	}
	return r, nil
}

func (r *reader) close() {
	for _, fd := range []int{r.epoll, r.event, r.mounts, r.group} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// kick wakes the reader. Any goroutine, as long as the descriptors are open.
func (r *reader) kick() {
	one := [8]byte{1}
	// The only failure is a counter already full, which wakes as well.
	_, _ = unix.Write(r.event, one[:])
}

// run reads until stop is set. It owns its thread.
func (r *reader) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var events [4]unix.EpollEvent
	owing := false
	for {
		timeout := -1
		if owing {
			timeout = retryOwed
		}
		n, err := unix.EpollWait(r.epoll, events[:], timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		var readable, mounts bool
		for i := range max(n, 0) {
			switch int(events[i].Fd) {
			case r.group:
				readable = true
			case r.mounts:
				mounts = true
			}
		}
		if readable {
			r.pace()
		}
		if err := r.clearEvent(); err != nil {
			return err
		}
		if r.stop.Load() {
			return nil
		}
		// Asked before the drain, so answered by it.
		asking := false
		for _, s := range *r.sinks.Load() {
			s.asking = s.asked.Load()
			asking = asking || s.asking != s.answered
		}
		if asking && !mounts {
			mounts = r.mountsChanged()
		}
		if readable || asking {
			if err := r.drain(); err != nil {
				return err
			}
		}
		owing = r.finish(mounts, Now())
	}
}

// finish ends a round: it tells all Watchers that the mount table has changed,
// and answers those that asked. It reports whether any ring was too full for
// that.
func (r *reader) finish(mounts bool, now int64) (owing bool) {
	for _, s := range *r.sinks.Load() {
		if mounts {
			s.ring.control(slotMounts, now, 0)
		}
		if s.asking != s.answered {
			s.ring.control(slotBarrier, now, s.asking)
			s.answered = s.asking
		}
		if !s.ring.settle(now) {
			owing = true
		}
		s.ring.publish()
		s.count.ringDropped.Store(s.ring.dropped)
		s.count.ringHigh.Store(s.ring.high)
	}
	return owing
}

// mountsChanged looks whether the mount table has changed since epoll was told:
// to look takes the sign away.
func (r *reader) mountsChanged() bool {
	fds := [1]unix.PollFd{{Fd: int32(r.mounts), Events: unix.POLLPRI}}
	var now unix.Timespec
	n, err := unix.Ppoll(fds[:], &now, nil)
	return err == nil && n > 0 // it fails only if there is nothing to tell
}

// clearEvent resets the eventfd.
func (r *reader) clearEvent() error {
	var b [8]byte
	if _, err := unix.Read(r.event, b[:]); err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("read eventfd: %w", err)
	}
	return nil
}

// pace waits before a drain if events come thick: not at all after a quiet
// time, longer the more there is. A kick ends the wait.
func (r *reader) pace() {
	switch {
	case Now()-r.drained < paceMin*2:
		r.wait = min(max(r.wait*2, paceMin), paceMax)
	case r.records < 4:
		if r.wait /= 2; r.wait < paceMin {
			r.wait = 0
		}
	}
	if r.wait == 0 {
		return
	}
	fds := [1]unix.PollFd{{Fd: int32(r.event), Events: unix.POLLIN}}
	ts := unix.NsecToTimespec(r.wait)
	// A signal may cut the wait short; that is no harm.
	_, _ = unix.Ppoll(fds[:], &ts, nil)
}

// drain reads until the kernel queue was seen empty.
func (r *reader) drain() error {
	for _, s := range *r.sinks.Load() {
		if s.hold != nil {
			s.hold()
		}
	}
	r.records = 0
	for {
		// The descriptor does not block, so the scheduler need not know.
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(r.group), uintptr(unsafe.Pointer(&r.buf[0])), uintptr(len(r.buf)))
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN || errno == 0 && n == 0 {
			break
		}
		if errno != 0 {
			return fmt.Errorf("read events: %w", errno)
		}
		r.deal(r.buf[:n])
		if int(n) <= len(r.buf)-maxRecord {
			break
		}
	}
	r.drained = Now()
	return nil
}

// deal puts what was read into the rings. Each Watcher has its own view of it.
func (r *reader) deal(buf []byte) {
	now := Now()
	for i, s := range *r.sinks.Load() {
		before := s.count.read.Load()
		s.decode(buf, now)
		s.ring.publish()
		if i == 0 {
			r.records += s.count.read.Load() - before
		}
	}
}
