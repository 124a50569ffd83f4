package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
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
	most    int      // workers at once, however long they take; 0: see base
	running int      // workers at work
	parked  int      // of those, the ones whose task has run longer than parkAfter
	large   int      // of those, the ones that send large files
	beside  int      // rsyncs that run beside the first of a task
	queue   []queued // tasks waiting for a worker
}

// queued is a task that waits.
type queued struct {
	task  func()
	large bool
	// rsyncs is how many it may run at once.
	rsyncs int
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

// Limit lets at most n tasks run at once, parked ones included: then the remotes
// do wait for each other. It is called before the first Go; 0 means no limit.
func (p *Pool) Limit(n int) { p.most = n }

// Running is how many tasks run now.
func (p *Pool) Running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
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
	p.queue = append(p.queue, queued{task, false, 1})
	p.startLocked()
}

// GoLarge is Go for a task that sends large files. Under a limit, all but one
// may be of that kind.
func (p *Pool) GoLarge(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, queued{func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.large--
		}()
		task()
	}, true, 1})
	p.startLocked()
}

// GoShared is Go for a task that runs up to n rsyncs at once. Under a limit all
// of them count.
func (p *Pool) GoShared(task func(), n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, queued{func() {
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.beside -= n - 1
		}()
		task()
	}, false, n})
	p.startLocked()
}

// startLocked starts workers for waiting tasks.
func (p *Pool) startLocked() {
	for p.running < p.base+p.parked {
		task := p.popLocked(p.running)
		if task == nil {
			break
		}
		p.invoke(task)
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

// popLocked takes the first task that may run beside so many others, or nil, out
// of the queue.
func (p *Pool) popLocked(others int) func() {
	for i, q := range p.queue {
		if p.most > 0 && others > 0 && others+p.beside+q.rsyncs > p.most {
			return nil // it is not passed over, or it would never come
		}
		if q.large && p.most > 0 && p.large >= max(1, p.most-1) {
			continue
		}
		p.beside += q.rsyncs - 1
		p.queue = slices.Delete(p.queue, i, i+1)
		if q.large {
			p.large++
		}
		return q.task
	}
	return nil
}

// next is what a worker does after its task: the task that waits longest, or
// nil when there is none or the worker is surplus.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running <= p.base+p.parked {
		if task := p.popLocked(p.running - 1); task != nil {
			return task
		}
	}
	p.running--
	return nil
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
