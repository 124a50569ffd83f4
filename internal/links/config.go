package links

import (
	"log/slog"
	"time"
)

// Config tells what to index, and what else is known of its changes.
type Config struct {
	// Root is the path of the tree. Required.
	Root string
	// Skip reports whether a path, relative to the root, is excluded; such are
	// never told. Several goroutines call it. nil excludes nothing.
	Skip func(path string, isDir bool) bool
	// Blind says that no event tells of a change under a name that is gone, as
	// with inotify, so that the Index must suspect it by itself.
	Blind bool
	// BlindAt reports whether Blind holds for a path, if it does not for all of
	// the tree. Several goroutines call it. nil: for none.
	BlindAt func(path string) bool
	// NoSearch leaves aside all suspicion.
	NoSearch bool
	// Settle is how long a suspicion waits at least for a search in the
	// background. Zero means 1s.
	Settle time.Duration
	// Pause is the least time from the end of a search to the next one in the
	// background. Zero means 60s.
	Pause time.Duration
	// Log may be nil.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Skip == nil {
		c.Skip = func(string, bool) bool { return false }
	}
	if c.BlindAt == nil || c.NoSearch {
		c.BlindAt = func(string) bool { return false }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Settle == 0 {
		c.Settle = time.Second
	}
	if c.Pause == 0 {
		c.Pause = time.Minute
	}
	return c
}
