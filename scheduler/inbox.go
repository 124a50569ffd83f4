package scheduler

import (
	"sync"

	"github.com/fansync/fansync/coalesce"
)

// numbered is a Change with its place in the order of all changes; the first
// is 1.
type numbered struct {
	seq    uint64
	change coalesce.Change
}

// inbox is what a remote has not looked at yet. put never waits, and never
// holds more than limit paths.
type inbox struct {
	limit int
	wake  chan struct{} // capacity 1

	mu       sync.Mutex
	changes  []numbered
	paths    int
	dropped  uint64 // seq of the oldest change whose paths were dropped; 0: none
	commands []func()
	started  bool // the remote's goroutine is there to run commands
	closed   bool // nothing more will be put
	finished bool // the remote's goroutine has ended or is about to
}

func newInbox(limit int) *inbox {
	return &inbox{limit: limit, wake: make(chan struct{}, 1)}
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put adds a change. The entries are shared between remotes: read only.
func (b *inbox) put(n numbered) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return
	}
	b.changes = append(b.changes, n)
	if b.paths += max(1, len(n.change.Entries)+len(n.change.Rescans)); b.paths > b.limit {
		b.dropLocked()
	}
	b.signal()
}

// dropLocked keeps nothing but the barriers: a full run will stand for the
// rest.
func (b *inbox) dropLocked() {
	if b.dropped == 0 {
		b.dropped = b.changes[0].seq
	}
	keep := b.changes[:0]
	for _, n := range b.changes {
		if len(n.change.Barriers) > 0 {
			keep = append(keep, numbered{n.seq, coalesce.Change{Barriers: n.change.Barriers}})
		}
	}
	clear(b.changes[len(keep):])
	b.changes, b.paths = keep, 0
}

// do asks the remote's goroutine to run f, as soon as there is one. It reports
// false when the goroutine has ended or is about to.
func (b *inbox) do(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return false
	}
	b.commands = append(b.commands, f)
	b.signal()
	return true
}

// ask is do for a caller who waits for f: it also reports false while there is
// no goroutine yet.
func (b *inbox) ask(f func()) bool {
	b.mu.Lock()
	started := b.started
	b.mu.Unlock()
	return started && b.do(f)
}

// start says that the remote's goroutine is there.
func (b *inbox) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = true
}

// close says that nothing more will be put.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}

// over reports whether the remote's goroutine has ended.
func (b *inbox) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.finished
}

// take empties the inbox.
func (b *inbox) take() (changes []numbered, dropped uint64, commands []func(), closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes, dropped, commands, closed = b.changes, b.dropped, b.commands, b.closed
	b.changes, b.commands, b.paths, b.dropped = nil, nil, 0, 0
	return changes, dropped, commands, closed
}

// finish ends the inbox and runs the commands that still wait.
func (b *inbox) finish() {
	b.mu.Lock()
	b.finished = true
	b.mu.Unlock()
	_, _, commands, _ := b.take()
	for _, f := range commands {
		f()
	}
}
