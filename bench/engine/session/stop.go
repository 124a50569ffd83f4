package session

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pollEvery is the pause between two looks at who is left.
	pollEvery = 5 * time.Millisecond
	// goneWithin is how long killed processes may take to go.
	goneWithin = 10 * time.Second
	// execWithin is how long an orphan without any environment is taken for
	// one that is about to become another program: it has none meanwhile.
	execWithin = time.Second
)

// Stop sends SIGTERM to the program and its process group and, when the program
// has ended, to what is left; it kills whom grace was not enough, and returns when
// nobody is left. Then it tells the CPU seconds, user and system, of all of them
// whom anybody waited for. Further calls return the same.
func (s *Session) Stop(grace time.Duration) (cpuSeconds float64, err error) {
	s.stop.Do(func() { s.cpu, s.failed = s.end(grace) })
	return s.cpu, s.failed
}

func (s *Session) end(grace time.Duration) (float64, error) {
	defer s.disconnect()
	if err := s.terminate(grace); err != nil {
		return 0, err
	}
	for start := time.Now(); ; time.Sleep(pollEvery) {
		left, err := s.look()
		if err != nil {
			return 0, err
		}
		sure := !s.unsure || time.Since(start) > execWithin
		if len(left) == 0 && s.ended() && sure {
			break
		}
		if time.Since(start) > goneWithin {
			return 0, fmt.Errorf("end %s: processes %v do not go away", s.cmd.Path, left)
		}
		if err := s.signal(left, unix.SIGKILL); err != nil {
			return 0, err
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for %s: %w", s.cmd.Path, err)
	}
	state := s.cmd.ProcessState
	return s.strays + (state.UserTime() + state.SystemTime()).Seconds(), nil
}

// terminate asks all to end and waits for it, at most for grace. It looks at who
// runs below the program all the time: what that leaves behind is known by having
// been there.
func (s *Session) terminate(grace time.Duration) error {
	asked := map[int]bool{}
	for start := time.Now(); ; time.Sleep(pollEvery) {
		left, err := s.look()
		if err != nil {
			return err
		}
		switch {
		case len(left) == 0 && s.ended():
			return nil
		case time.Since(start) >= grace:
			if s.ended() {
				return nil
			}
			// Stopped, it forks no more, and the next look is complete.
			return s.signal([]int{s.pid}, unix.SIGSTOP)
		case !asked[s.pid]:
			asked[s.pid] = true
			// Its pid is taken until we reap it, so the group's number is too.
			if err := unix.Kill(-s.pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("end the processes of %s: %w", s.cmd.Path, err)
			}
		case s.ended():
			left = slices.DeleteFunc(left, func(pid int) bool { return asked[pid] })
			for _, pid := range left {
				asked[pid] = true
			}
			if err := s.signal(left, unix.SIGTERM); err != nil {
				return err
			}
		}
	}
}

// look lists the members that are not reaped yet, without the program itself when
// it has ended, and reaps those that fell to us. One whose first thread has ended
// looks dead and may still run.
func (s *Session) look() (left []int, err error) {
	all, err := everybody()
	if err != nil {
		return nil, err
	}
	s.unsure = false
	for _, m := range closure(all, s.isMember) {
		if m.pid == s.pid && s.ended() || m.dead && m.parent == os.Getpid() && m.pid != s.pid && s.reap(m.pid) {
			continue
		}
		s.seen[m.pid] = m
		left = append(left, m.pid)
	}
	return left, nil
}

// isMember recognizes a process by itself; those below it are members too.
func (s *Session) isMember(m member) bool {
	if m.session == s.pid {
		return true
	}
	if was, ok := s.seen[m.pid]; ok && was.start == m.start {
		return true
	}
	return m.parent == os.Getpid() && !m.dead && s.hasMark(m.pid)
}

// hasMark reports whether a process has our mark in its environment.
func (s *Session) hasMark(pid int) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false // gone, or another user's
	}
	s.unsure = s.unsure || len(env) == 0
	return bytes.Contains(append([]byte{0}, env...), []byte("\x00"+s.mark+"\x00"))
}

// reap collects an orphan, for whom nobody else waits, if all of it has ended.
func (s *Session) reap(pid int) bool {
	var used unix.Rusage
	got, err := unix.Wait4(pid, nil, unix.WNOHANG, &used)
	if err == nil && got == pid {
		s.strays += time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
		return true
	}
	return errors.Is(err, unix.ECHILD)
}

// signal sends a signal to processes that were members a moment ago, if they still
// are.
func (s *Session) signal(pids []int, sig unix.Signal) error {
	for _, pid := range pids {
		if err := s.signalOne(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, errNoProcess) {
			return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
		}
	}
	return nil
}

// signalOne holds the process by a descriptor before it looks at it again, so that
// a stranger with its pid cannot be hit.
func (s *Session) signalOne(pid int, sig unix.Signal) (err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	m, err := readMember(pid)
	if err != nil || m.start != s.seen[pid].start {
		return err
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}
