package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time of CLOCK_MONOTONIC in nanoseconds.
func monotonic() (int64, error) { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", id, err)
	}
	return ts.Nano(), nil
}

// waitUntil returns when CLOCK_MONOTONIC has reached at, at once if it has
// already, or when ctx ends. It sleeps to an absolute time, so that neither its
// own cost nor a late wake-up adds to later ones.
func waitUntil(ctx context.Context, at int64) error {
	// The longest sleep in one piece, so that an end of ctx is seen soon.
	const piece = int64(50 * time.Millisecond)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		now, err := monotonic()
		if err != nil {
			return err
		}
		if now >= at {
			return nil
		}
		ts := unix.NsecToTimespec(min(at, now+piece))
		err = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sleep until %d ns of CLOCK_MONOTONIC: %w", at, err)
		}
	}
}

// schedule is an open loop: the i-th act is due at a time that depends on
// nothing but i.
type schedule struct {
	start int64 // nanoseconds of CLOCK_MONOTONIC
	rate  int64 // acts a second
}

// startSchedule begins a little ahead, so that the first act is in time too.
func startSchedule(rate int64) (schedule, error) {
	now, err := monotonic()
	return schedule{now + int64(10*time.Millisecond), rate}, err
}

func (s schedule) due(i int) int64 { return s.start + int64(i)*int64(time.Second)/s.rate }

// wait returns when the i-th act is due, at once if it is late.
func (s schedule) wait(ctx context.Context, i int) error { return waitUntil(ctx, s.due(i)) }
