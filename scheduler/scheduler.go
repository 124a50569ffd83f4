package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// ErrUnknownRemote says that no remote has the name.
var ErrUnknownRemote = errors.New("unknown remote")

// Scheduler serves the remotes of one root.
type Scheduler struct {
	cfg     Config
	remotes []*remote

	mu      sync.Mutex
	holding map[string]uint64 // by remote: the newest barrier that holds there
	changed chan struct{}     // closed and replaced when holding changes
}

// New checks cfg and makes a Scheduler; nothing runs until Run.
func New(cfg Config) (*Scheduler, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Scheduler{cfg: cfg.withDefaults(), holding: map[string]uint64{}, changed: make(chan struct{})}
	for _, conf := range s.cfg.Remotes {
		s.remotes = append(s.remotes, newRemote(s.cfg, conf, func(id uint64) { s.hold(conf.Name, id) }))
	}
	return s, nil
}

// Run hands every Change of in to every remote, until in is closed; then it
// lets flights end within the grace time and returns. The end of ctx ends the
// flights at once. When Run has returned, no goroutine and no process of it is
// left.
func (s *Scheduler) Run(ctx context.Context, in <-chan coalesce.Change) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for _, r := range s.remotes {
		wg.Go(func() { r.run(ctx) })
	}
	var seq uint64
	for c := range in {
		seq++
		for _, r := range s.remotes {
			r.inbox.put(numbered{seq, c})
		}
	}
	for _, r := range s.remotes {
		r.inbox.close()
	}
	if s.cfg.Grace < 0 {
		cancel()
	}
	grace := time.AfterFunc(max(0, s.cfg.Grace), cancel)
	defer grace.Stop()
	wg.Wait()
	return nil
}

func (s *Scheduler) hold(name string, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding[name] = max(s.holding[name], id)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait returns when everything before barrier id is at every remote. It gives
// up when ctx ends, or when a remote that it waits for is halted; the error
// names the remotes and their reasons.
func (s *Scheduler) Wait(ctx context.Context, id uint64) error {
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		// In this order: a goroutine that is over has given all its answers.
		over := make([]bool, len(s.remotes))
		for i, r := range s.remotes {
			over[i] = r.inbox.over()
		}
		s.mu.Lock()
		changed := s.changed
		var late []*remote
		var errs []error
		for i, r := range s.remotes {
			switch {
			case s.holding[r.conf.Name] >= id:
			case over[i]:
				errs = append(errs, fmt.Errorf("remote %q has stopped", r.conf.Name))
			default:
				late = append(late, r)
			}
		}
		s.mu.Unlock()
		errs = append(errs, lateness(late, ctx.Err() != nil)...)
		if len(late) == 0 || len(errs) > 0 {
			return errors.Join(errs...)
		}
		select {
		case <-changed:
		case <-poll.C:
		case <-ctx.Done():
		}
	}
}

// lateness says why the remotes are late: those that are halted, or all of
// them when time is up.
func lateness(late []*remote, timeUp bool) []error {
	var errs []error
	for _, r := range late {
		if state, reason := r.badge.get(); state == Halted {
			errs = append(errs, fmt.Errorf("remote %q is halted: %s", r.conf.Name, reason))
			continue
		}
		if !timeUp {
			continue
		}
		switch st, ok := r.status(); {
		case !ok:
			errs = append(errs, fmt.Errorf("remote %q is not running", r.conf.Name))
		case st.Failing > 0:
			errs = append(errs, fmt.Errorf("remote %q cannot take %d paths, the first: %q: %s", st.Name, st.Failing, st.Failures[0].Path, st.Failures[0].Message))
		default:
			errs = append(errs, fmt.Errorf("remote %q is %s with %d paths to send: %s", st.Name, st.State, st.Backlog+st.InFlight, st.Reason))
		}
	}
	return errs
}

// Status is a moment of every remote, in the order of Config.Remotes. A remote
// whose goroutine does not run is left out. It must not be called from Events.
func (s *Scheduler) Status() []Status {
	out := make([]Status, 0, len(s.remotes))
	for _, r := range s.remotes {
		if st, ok := r.status(); ok {
			out = append(out, st)
		}
	}
	return out
}

// Suspend ends the flights of every remote and starts none until Resume: the
// root cannot be trusted, for the given reason.
func (s *Scheduler) Suspend(reason string) {
	for _, r := range s.remotes {
		r.inbox.do(func() {
			r.suspended = reason
			for _, f := range r.flights {
				f.cancel()
			}
		})
	}
}

// Pause starts no flights until Resume: something that is under way must end
// first. What is in the air goes on. It may be called before Run.
func (s *Scheduler) Pause(reason string) {
	for _, r := range s.remotes {
		r.inbox.do(func() { r.paused = reason })
	}
}

// Resume ends a Suspend and a Pause. With full every remote is compared whole,
// because changes may have been missed meanwhile; reason says why.
func (s *Scheduler) Resume(full bool, reason string) {
	for _, r := range s.remotes {
		r.inbox.do(func() {
			r.suspended, r.paused, r.distrust, r.nextTry = "", "", "", 0
			if full {
				r.owe(reason, s.cfg.Now(), 1, 0)
			}
		})
	}
}

// Full makes every remote due to be compared whole, for a reason that is no
// doubt: no barrier waits for it. It may be called before Run.
func (s *Scheduler) Full(reason string) {
	for _, r := range s.remotes {
		r.inbox.do(func() { r.owe(reason, s.cfg.Now(), math.MaxUint64, 0) })
	}
}

// Hurry tries again at once what has failed: paths, and remotes that rest
// after a failure.
func (s *Scheduler) Hurry() {
	for _, r := range s.remotes {
		r.inbox.do(func() {
			r.troubles.hurry(s.cfg.Now())
			r.nextTry = 0
		})
	}
}

// ConfirmDeletes lets the deletions that the guard holds back at the named
// remote pass, once; "" names all remotes.
func (s *Scheduler) ConfirmDeletes(name string) error {
	found := false
	for _, r := range s.remotes {
		if name == "" || r.conf.Name == name {
			found = true
			r.inbox.do(r.confirm)
		}
	}
	if !found {
		return fmt.Errorf("%w: %q", ErrUnknownRemote, name)
	}
	return nil
}
