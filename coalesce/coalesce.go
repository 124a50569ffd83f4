package coalesce

import (
	"time"

	"github.com/fansync/fansync/watcher"
)

// Config says how long news of a path may wait. The zero value is usable.
type Config struct {
	// Window is how long a flush waits after the first event it will take, so
	// that a temporary name's coming and going, or a rename's two ends, meet.
	// Zero means 5ms; negative does not wait.
	Window time.Duration
	// Quiet is how long a file that may be open for writing must see no event
	// before it goes without its writer's close. Symbolic and hard links wait
	// too, for no event tells them from a file just opened. Zero means 50ms;
	// negative does not wait.
	Quiet time.Duration
	// MaxDelay bounds both from a path's first event on. Zero or negative
	// means 1s.
	MaxDelay time.Duration
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = 5 * time.Millisecond
	}
	if c.Quiet == 0 {
		c.Quiet = 50 * time.Millisecond
	}
	if c.MaxDelay <= 0 {
		c.MaxDelay = time.Second
	}
	c.Window = max(c.Window, 0)
	c.Quiet = max(c.Quiet, 0)
	return c
}

// Run coalesces the events of in and hands the Changes to out, until in is
// closed; then it hands on what is left, closes out and returns. clock is
// watcher.Now, or what a test puts in its place. A receiver that stays away
// does not keep Run from reading: one Change waits for it, and all that comes
// after is merged behind that one.
func Run(cfg Config, in <-chan []watcher.Event, out chan<- Change, clock func() int64) {
	defer close(out)
	c := NewCoalescer(cfg)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var offer Change
	for {
		var send chan<- Change
		if offer.Empty() {
			offer = c.dueOr(timer, clock())
		}
		if !offer.Empty() {
			send = out
		}
		select {
		case events, ok := <-in:
			if !ok {
				for _, ch := range []Change{offer, c.Flush(clock(), true)} {
					if !ch.Empty() {
						out <- ch
					}
				}
				return
			}
			now := clock()
			for _, ev := range events {
				c.Add(ev, now)
			}
		case send <- offer:
			offer = Change{}
		case <-timer.C:
		}
	}
}

// dueOr returns what is due, or sets the timer for when something will be.
func (c *Coalescer) dueOr(timer *time.Timer, now int64) Change {
	at, ok := c.Next()
	if ok && at <= now {
		return c.Flush(now, false)
	}
	if ok {
		timer.Reset(time.Duration(at - now))
	}
	return Change{}
}

// Empty reports whether the Change says nothing.
func (ch Change) Empty() bool {
	return len(ch.Entries) == 0 && len(ch.Rescans) == 0 && len(ch.Barriers) == 0 && !ch.Gone && ch.Hidden == 0
}
