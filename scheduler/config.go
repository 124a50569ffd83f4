package scheduler

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// Config is one root's remotes and how they are served.
type Config struct {
	// Source is the root. Required.
	Source Source
	// Remotes are served independently. Names must differ.
	Remotes []RemoteConfig
	// Pool runs the sends; it may serve several schedulers. Required.
	Pool *Pool
	// Now is the clock of all entries, in nanoseconds. It never goes back.
	// Required.
	Now func() int64
	// Wall is the clock that stamps files, in nanoseconds since 1970. Nil means
	// the system's.
	Wall func() int64
	// Limits judges mass deletions. Nil allows all.
	Limits Limits
	// Grace is how long flights may go on after the input was closed. Zero
	// means 10s; negative ends them at once.
	Grace time.Duration
	// DeleteQuiet is the longest time without a further deletion before deletions
	// are sent, so that one run takes them all and an emptied root is seen as
	// one; a few of them, and those that come fast, wait less. Zero means 200ms;
	// negative sends them at once.
	DeleteQuiet time.Duration
	// DeleteMax bounds DeleteQuiet while at most 1,000 deletions wait; beyond
	// that the bound is 30 times as long. Zero means 2s.
	DeleteMax time.Duration
	// MoveMin is how heavy a renamed directory must be, in bytes, for its data to
	// be looked for under the old name; each entry weighs 1 KiB besides its
	// bytes. A renamed file must have a sixteenth of that. Zero means 1 MiB;
	// negative means never.
	MoveMin int64
	// BackoffMin and BackoffMax bound the time between tries of a remote that
	// fails. Zero means 500ms and 60s.
	BackoffMin, BackoffMax time.Duration
	// BigFile is the size in bytes from which a file has a flight of its own,
	// beside which small changes go on; on a slow remote a smaller one has, too.
	// Zero means 64 MiB; negative: none has.
	BigFile int64
	// ShardMin is the least that a shard of a full run weighs, in bytes, where an
	// entry counts as 16 KiB. Zero means 256 MiB.
	ShardMin int64
	// Skip says what no remote gets. Nil means nothing.
	Skip func(path string, dir bool) bool
	// Listed says that the Senders delete by name only, so that removals are
	// always listed and never left to the form of their directory.
	Listed bool
	// Events are told what happens; every func may be nil.
	Events Events
	// Log may be nil.
	Log *slog.Logger

	// For tests, which have a simulated kernel and small trees.
	stamps            func(l *looker, path string) (stamps, error)
	crowdMin, deepMin int
}

// RemoteConfig is one destination.
type RemoteConfig struct {
	// Name identifies the remote in logs and status.
	Name string
	// Sender carries its batches. Required.
	Sender Sender
	// MaxDirty is how many paths are kept for it; beyond that they are
	// forgotten and the remote is compared whole when it can be reached. Zero
	// means 500,000, which take at most 150 MB if a path has 120 bytes.
	MaxDirty int
	// Ready is how many batches the Sender can take now without starting up, and
	// whether it will be ready for one more sooner than if it started up for it.
	// It must not block. Nil means never.
	Ready func() (n int, soon bool)
	// Parallel is how many batches may be in flight at once. Zero means 2.
	Parallel int
	// Resumes says that a run with large files that was cut goes on from there
	// the next time, so that it may be cut for other work.
	Resumes bool
	// Shards is how many rsyncs may share a comparison of everything. Zero
	// means 1.
	Shards int
	// Limits are for Status only.
	Limits map[string]string
}

// Limits judges how much one burst may delete.
type Limits interface {
	// Allow is an error if deleting that many of a tree of known files is more
	// than an accident should be able to do.
	Allow(deletes, known int64) error
	// MaxDelete is the largest number Allow lets pass.
	MaxDelete(known int64) int64
}

// Events tell what happens to a remote. They are called from the remote's own
// goroutine and must not block.
type Events struct {
	Started func(remote string, b Batch)
	Ended   func(remote string, b Batch, res Result, took time.Duration)
	State   func(remote string, s State, reason string)
	// Synced tells what a run has brought to the remote. Of a full run, which
	// does not know what it was that had changed, entries is the root alone,
	// with Subtree. The slice belongs to the caller.
	Synced func(remote string, entries []coalesce.Entry)
	// Progress is called from a sender's goroutine.
	Progress func(remote string, p Progress)
}

type noLimits struct{}

func (noLimits) Allow(int64, int64) error { return nil }
func (noLimits) MaxDelete(int64) int64    { return -1 }

func (c Config) withDefaults() Config {
	if c.Limits == nil {
		c.Limits = noLimits{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Wall == nil {
		c.Wall = func() int64 { return time.Now().UnixNano() }
	}
	if c.stamps == nil {
		c.stamps = (*looker).stamps
	}
	defaultTo(&c.crowdMin, crowdMin)
	defaultTo(&c.deepMin, deepMin)
	defaultTo(&c.BigFile, bigFile)
	defaultTo(&c.ShardMin, shardMin)
	if c.Skip == nil {
		c.Skip = func(string, bool) bool { return false }
	}
	defaultTo(&c.Grace, 10*time.Second)
	defaultTo(&c.DeleteQuiet, 200*time.Millisecond)
	defaultTo(&c.DeleteMax, 2*time.Second)
	defaultTo(&c.MoveMin, 1<<20)
	defaultTo(&c.BackoffMin, 500*time.Millisecond)
	defaultTo(&c.BackoffMax, time.Minute)
	if c.Events.Started == nil {
		c.Events.Started = func(string, Batch) {}
	}
	if c.Events.Ended == nil {
		c.Events.Ended = func(string, Batch, Result, time.Duration) {}
	}
	if c.Events.State == nil {
		c.Events.State = func(string, State, string) {}
	}
	if c.Events.Synced == nil {
		c.Events.Synced = func(string, []coalesce.Entry) {}
	}
	if c.Events.Progress == nil {
		c.Events.Progress = func(string, Progress) {}
	}
	remotes := make([]RemoteConfig, len(c.Remotes))
	for i, r := range c.Remotes {
		if r.MaxDirty <= 0 {
			r.MaxDirty = 500_000
		}
		if r.Parallel <= 0 {
			r.Parallel = 2
		}
		if r.Ready == nil {
			r.Ready = func() (int, bool) { return 0, false }
		}
		remotes[i] = r
	}
	c.Remotes = remotes
	return c
}

func defaultTo[T comparable](d *T, v T) {
	if *d == *new(T) {
		*d = v
	}
}

func (c Config) validate() error {
	if c.Source == nil || c.Pool == nil || c.Now == nil {
		return fmt.Errorf("scheduler: Source, Pool and Now are required")
	}
	seen := map[string]bool{}
	for _, r := range c.Remotes {
		if r.Sender == nil {
			return fmt.Errorf("scheduler: remote %q has no Sender", r.Name)
		}
		if seen[r.Name] {
			return fmt.Errorf("scheduler: remote %q is named twice", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}
