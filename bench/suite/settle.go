package suite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// errNotLive says that an engine did not mirror a probe in time.
var errNotLive = errors.New("the engine mirrored no probe in time")

// poll calls ok until it says true, pausing in between: at first for the
// shortest time, then ever longer up to the longest. It reports false if limit
// passed before.
func poll(ctx context.Context, limit, shortest, longest time.Duration, ok func() (bool, error)) (bool, error) {
	end := time.Now().Add(limit)
	for pause := shortest; ; pause = min(pause*3/2, longest) {
		if yes, err := ok(); yes || err != nil {
			return yes, err
		}
		if time.Now().After(end) {
			return false, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return false, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ready waits until a probe written to src is at all mirrors, and then until it
// is gone from them again, and tells when it was there. The probe is written
// anew again and again, for an engine that is not listening yet misses the
// first, and it grows, for a change of equal size within one second is missed
// by some.
func (s *session) ready(ctx context.Context, limit time.Duration) (time.Time, error) {
	name := fmt.Sprintf("probe-%d", s.rep)
	probe := filepath.Join(s.src, name)
	written, next := 0, time.Now()
	pause := 10 * time.Millisecond
	there, err := poll(ctx, limit, 2*time.Millisecond, 20*time.Millisecond, func() (bool, error) {
		if now := time.Now(); now.After(next) {
			written++
			if err := os.WriteFile(probe, make([]byte, written), 0o644); err != nil {
				return false, err
			}
			pause = min(pause*2, time.Second)
			next = now.Add(pause)
		}
		return s.atAll(name, true)
	})
	at := time.Now()
	if rm := os.Remove(probe); err == nil && rm != nil {
		err = rm
	}
	if err != nil {
		return at, err
	}
	if !there {
		return at, errNotLive
	}
	// An engine that never takes it away again is found out by the comparison.
	if _, err := poll(ctx, 10*time.Second, 5*time.Millisecond, 100*time.Millisecond, func() (bool, error) { return s.atAll(name, false) }); err != nil {
		return at, err
	}
	return at, s.quiet(ctx)
}

// atAll reports whether a name is there (or not there) at all mirrors that are
// waited for.
func (s *session) atAll(name string, there bool) (bool, error) {
	for _, m := range s.awaited() {
		_, err := os.Lstat(filepath.Join(m, name))
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return false, err
		case (err == nil) != there:
			return false, nil
		}
	}
	return true, nil
}

// quiet waits until the remotes have served nothing for a while, so that what
// the engine did at its start is not counted as work for the changes.
func (s *session) quiet(ctx context.Context) error {
	const still, limit = 1500 * time.Millisecond, 30 * time.Second
	last, since := -1, time.Now()
	_, err := poll(ctx, limit, 100*time.Millisecond, 100*time.Millisecond, func() (bool, error) {
		n, _, err := s.daemon.Served()
		if n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) >= still, err
	})
	return err
}
