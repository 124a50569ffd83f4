package transport

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

// readySign is a comment, which rsync skips in a list. When it has left the
// pipe, rsync has connected, logged in and reads the list. An rsync that took
// it for a name would make ";" at the remote equal to the source's.
const readySign = ";\x00"

// errUnused ends a standby that nobody needs, at once.
var errUnused = errors.New("not needed any more")

// standby is an rsync that was started before there was anything to send: it
// has connected and logged in, and waits for its list.
//
// Of the source it knows nothing, and it is not in it, so that it can be
// unmounted: its working directory is that of our descriptors, and every line
// of the list begins with the number of the source root that was opened and
// verified for this very batch. What stands before "/./" is where rsync looks;
// the rest is what it sends.
type standby struct {
	args  []string // its options, as args gives them without --max-delete
	limit int      // its --max-delete
	born  time.Time
	pid   atomic.Int64
	stdin atomic.Pointer[os.File]
	// lists has room for the one list; to close it ends rsync without one.
	lists chan *list
	kill  context.CancelCauseFunc
	// gone is closed when rsync has ended, ended when its goroutines have: then
	// fed says whether it was given the list, and the rest what it left behind.
	gone, ended chan struct{}
	fed         bool
	ran
}

// start starts a standby.
func (r *Rsync) start(limit int, ended func(*standby)) *standby {
	ctx, kill := context.WithCancelCause(context.Background())
	s := &standby{
		args: r.args(plainBatch(-1), false), limit: limit, born: time.Now(),
		lists: make(chan *list, 1), kill: kill,
		gone: make(chan struct{}), ended: make(chan struct{}),
		ran: ran{out: &stdout{}, errs: &transcript{}},
	}
	p := process{
		program: r.cfg.Program,
		args:    r.args(plainBatch(limit), false),
		dir:     descriptors(),
		feed:    s.feed,
		stdout:  s.out.read,
		stderr:  s.errs.read,
		timeout: max(0, r.cfg.Timeout),
		begun: func(pid int) {
			r.setPriority(pid)
			s.pid.Store(int64(pid))
		},
		gone:  s.gone,
		hurry: r.cfg.Dest.Kind == Daemon,
	}
	go func() {
		s.state, s.err = p.run(ctx)
		kill(nil)
		close(s.ended)
		ended(s)
	}()
	return s
}

// descriptors is the directory of our open files.
func descriptors() string { return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd" }

// canWait reports whether a child may look into that directory. It may not if
// we have privileges that it would not have.
func canWait() bool {
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return os.Geteuid() == 0 || err == nil && dumpable == 1
}

// plainBatch is what a standby can carry, with this limit of deletions.
func plainBatch(limit int) scheduler.Batch {
	return scheduler.Batch{Form: scheduler.Flat, MaxDelete: limit}
}

// feed is the standby's standard input.
func (s *standby) feed(w io.WriteCloser) error {
	f := w.(*os.File)
	if _, err := f.WriteString(readySign); err == nil {
		s.stdin.Store(f)
	}
	select {
	case l, ok := <-s.lists:
		if ok {
			s.fed = true
			return l.feed(w)
		}
	case <-s.gone:
	}
	_ = w.Close() // what matters of the pipe's end is how rsync ends
	return nil
}

// send gives it the list and returns when it has ended.
func (s *standby) send(ctx context.Context, l *list) {
	stop := context.AfterFunc(ctx, func() { s.kill(context.Cause(ctx)) })
	defer stop()
	s.lists <- l
	<-s.ended
}

// alive reports whether it is there, as far as this side knows.
func (s *standby) alive() bool {
	select {
	case <-s.gone:
		return false
	case <-s.ended:
		return false
	default:
		return true
	}
}

// ready reports whether it waits for its list.
func (s *standby) ready() bool {
	f := s.stdin.Load()
	if f == nil || !s.alive() {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	left := 1
	err = conn.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil {
			left = n
		}
	})
	return err == nil && left == 0
}

// hungUp reports whether the far side has closed the connection.
func (s *standby) hungUp() bool {
	pid := int(s.pid.Load())
	return pid != 0 && hungUp(pid)
}
