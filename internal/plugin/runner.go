package plugin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/filter"
)

// teller is one way to tell.
type teller interface {
	// tell tells changes, at most config.Plugin.Batch of them, and returns when
	// that is done. An error that wraps errFinal is not worth another try. It is
	// called by Parallel goroutines at once, each with its own worker number.
	tell(ctx context.Context, worker int, changes []Change) error
	// close ends what is kept open between calls.
	close() error
}

// errFinal says that trying again changes nothing.
var errFinal = errors.New("not tried again")

const (
	// retryFirst is the rest before the first retry; it doubles.
	retryFirst = 200 * time.Millisecond
	// sayEvery is how often the same trouble of a plugin is logged.
	sayEvery = time.Minute
)

// Stats are a moment of one plugin.
type Stats struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Queued is how many changes wait. Told, Failed and Lost are totals: told
	// with success, given up, and not even queued.
	Queued int   `json:"queued"`
	Told   int64 `json:"told"`
	Failed int64 `json:"failed"`
	Lost   int64 `json:"lost"`
	// LastError is why something failed last.
	LastError string `json:"last_error,omitempty"`
}

// runner is one plugin with its queue.
type runner struct {
	conf    config.Plugin
	teller  teller
	log     *slog.Logger
	include []*filter.Regex

	mu     sync.Mutex // of sending to queue and closing it
	closed bool
	queue  chan Change

	told, failed, lost atomic.Int64
	lastError          atomic.Pointer[string]
	lostSaid, failSaid atomic.Int64 // when it was last logged, UnixNano
}

func newRunner(conf config.Plugin, t teller, log *slog.Logger) (*runner, error) {
	r := &runner{conf: conf, teller: t, log: log, queue: make(chan Change, conf.Queue)}
	var errs []error
	for _, expr := range conf.Include {
		x, err := filter.ParseRegex(expr)
		errs = append(errs, err)
		r.include = append(r.include, x)
	}
	return r, errors.Join(errs...)
}

// wants reports whether the plugin is to hear of c.
func (r *runner) wants(c Change) bool {
	abs := c.Abs()
	if c.Full {
		return (r.conf.Type == "http" || r.conf.Type == "socket" && r.conf.Format == "json") && len(r.include) == 0 &&
			(r.conf.Path == "" || within(r.conf.Path, abs) || within(abs, r.conf.Path))
	}
	if r.conf.Path != "" && !within(abs, r.conf.Path) {
		return false
	}
	for _, x := range r.include {
		if x.Match(abs) {
			return true
		}
	}
	return len(r.include) == 0
}

// within reports whether path is dir or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// offer queues c, or loses it. It does not wait.
func (r *runner) offer(c Change) {
	if !r.wants(c) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		select {
		case r.queue <- c:
			return
		default:
		}
	}
	n := r.lost.Add(1)
	if r.news(&r.lostSaid) {
		r.log.Warn("the plugin is too slow: changes are lost to it, though not to the mirror", "lost", n, "queue", r.conf.Queue)
	}
}

// news reports whether something was last said long enough ago to say it again.
func (r *runner) news(said *atomic.Int64) bool {
	now, last := time.Now().UnixNano(), said.Load()
	return (last == 0 || now-last > int64(sayEvery)) && said.CompareAndSwap(last, now)
}

// close ends the queue; what is in it is told still.
func (r *runner) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
}

// run tells until the queue is closed and empty. The end of ctx gives up.
func (r *runner) run(ctx context.Context) {
	var wg sync.WaitGroup
	for worker := range r.conf.Parallel {
		wg.Go(func() {
			for c := range r.queue {
				r.deliver(ctx, worker, r.batch(c))
			}
		})
	}
	wg.Wait()
	if err := r.teller.close(); err != nil {
		r.log.Debug("close", "err", err)
	}
}

// batch adds to c what is queued already.
func (r *runner) batch(c Change) []Change {
	all := []Change{c}
	for len(all) < r.conf.Batch {
		select {
		case more, ok := <-r.queue:
			if !ok {
				return all
			}
			all = append(all, more)
		default:
			return all
		}
	}
	return all
}

// deliver tells changes, more than once if need be.
func (r *runner) deliver(ctx context.Context, worker int, changes []Change) {
	rest := retryFirst
	for try := 0; ; try++ {
		err := ctx.Err()
		if err == nil {
			once, cancel := context.WithTimeout(ctx, time.Duration(r.conf.Timeout))
			err = r.teller.tell(once, worker, changes)
			cancel()
		}
		if err == nil {
			r.told.Add(int64(len(changes)))
			return
		}
		if try >= r.conf.Retries || errors.Is(err, errFinal) || ctx.Err() != nil {
			r.gaveUp(err, changes)
			return
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		rest *= 2
	}
}

func (r *runner) gaveUp(err error, changes []Change) {
	n := r.failed.Add(int64(len(changes)))
	text := err.Error()
	r.lastError.Store(&text)
	if !r.conf.IgnoreError && r.news(&r.failSaid) {
		r.log.Warn("plugin failed", "path", changes[0].Abs(), "err", text, "failed", n)
	}
}

func (r *runner) stats() Stats {
	st := Stats{
		Name: r.conf.Name, Type: r.conf.Type, Queued: len(r.queue),
		Told: r.told.Load(), Failed: r.failed.Load(), Lost: r.lost.Load(),
	}
	if text := r.lastError.Load(); text != nil {
		st.LastError = *text
	}
	return st
}
