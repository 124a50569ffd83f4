package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

// parkAfter is how long a send counts against the pool. The pool bounds what
// runs on our own cores; a send that lasts longer is waiting for its remote,
// and must not keep the others from their turn.
const parkAfter = time.Second

// Importing ants starts a default pool with goroutines; nobody uses it.
func init() { ants.Release() }

// Pool runs the sends of all remotes, at most cores×2+2 at once, first come
// first served. It is the only user of ants.
type Pool struct {
	ants *ants.PoolWithFuncGeneric[func()]
	base int

	mu      sync.Mutex
	running int      // workers at work
	parked  int      // of those, the ones whose task has run longer than parkAfter
	queue   []func() // tasks waiting for a worker
}

// NewPool makes a pool of cores×2+2 workers. Close must be called when every
// task has ended.
func NewPool(log *slog.Logger) (*Pool, error) {
	p := &Pool{base: runtime.NumCPU()*2 + 2}
	work := func(task func()) {
		for task != nil {
			p.run(task)
			task = p.next()
		}
	}
	var err error
	p.ants, err = ants.NewPoolWithFuncGeneric(p.base, work,
		ants.WithDisablePurge(true), ants.WithNonblocking(true),
		ants.WithPanicHandler(func(v any) { log.Error("send panicked", "panic", v) }))
	if err != nil {
		return nil, fmt.Errorf("make send pool: %w", err)
	}
	return p, nil
}

// Close ends the workers and returns when they are gone. No task may be running
// or waiting.
func (p *Pool) Close() {
	// Without a deadline the only error is that it was closed before.
	_ = p.ants.ReleaseContext(context.Background())
}

// Go runs task when a worker is free. It does not wait for the task. A task
// must not panic: its worker would be lost.
func (p *Pool) Go(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, task)
	p.startLocked()
}

// startLocked starts workers for waiting tasks.
func (p *Pool) startLocked() {
	for len(p.queue) > 0 && p.running < p.base+p.parked {
		p.invoke(p.popLocked())
		p.running++
	}
}

// invoke gives task to a worker. By our count one is free: if ants knows none,
// one is on its way back and needs no lock of ours for its last steps. Waiting
// for it in ants could miss the wake-up of a worker that ends instead.
func (p *Pool) invoke(task func()) {
	for {
		err := p.ants.Invoke(task)
		if err == nil {
			return
		}
		if !errors.Is(err, ants.ErrPoolOverload) {
			panic(fmt.Sprintf("scheduler: pool used after Close: %v", err))
		}
		runtime.Gosched()
	}
}

func (p *Pool) popLocked() func() {
	task := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return task
}

// next is what a worker does after its task: the task that waits longest, or
// nil when there is none or the worker is surplus.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || p.running > p.base+p.parked {
		p.running--
		return nil
	}
	return p.popLocked()
}

// run runs task and parks it when it takes long.
func (p *Pool) run(task func()) {
	var parked, ended bool
	t := time.AfterFunc(parkAfter, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if ended {
			return
		}
		parked = true
		p.parkLocked(1)
		p.startLocked()
	})
	task()
	t.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	ended = true
	if parked {
		p.parkLocked(-1)
	}
}

func (p *Pool) parkLocked(by int) {
	p.parked += by
	p.ants.Tune(p.base + p.parked)
}
