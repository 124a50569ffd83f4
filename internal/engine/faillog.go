package engine

import (
	"context"
	"time"

	"github.com/fansync/fansync/internal/faillog"
	"github.com/fansync/fansync/scheduler"
)

const (
	// failLogCheck is how often the failure log is brought up to date.
	failLogCheck = time.Second
	// failedTwice is from how many tries on something stands there.
	failedTwice = 2
)

// keepFailLog tells in the failure log what has failed, until ctx ends, and now
// and then has it all tried again at once.
func (e *Engine) keepFailLog(ctx context.Context) {
	if e.conf.FailLog == "" {
		return
	}
	log := faillog.New(e.conf.FailLog)
	check, again := time.NewTicker(failLogCheck), time.NewTicker(time.Duration(e.conf.FailLogEvery))
	defer check.Stop()
	defer again.Stop()
	said := ""
	var entries []faillog.Entry
	for {
		// A look costs the remotes time, so there must be a reason.
		if e.failed.Swap(false) || len(entries) > 0 {
			entries = e.failures()
		}
		_, err := log.Write(entries)
		if err != nil && err.Error() != said {
			said = err.Error()
			e.log.Error("failure log", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-check.C:
		case <-again.C:
			if len(entries) > 0 {
				e.log.Info("trying again what the failure log lists", "entries", len(entries))
				for _, r := range e.roots {
					r.sched.Hurry()
				}
			}
		}
	}
}

// failures are the remotes and paths that failed more than once and have not
// succeeded since.
func (e *Engine) failures() []faillog.Entry {
	var all []faillog.Entry
	for _, r := range e.roots {
		for _, st := range r.sched.Status() {
			all = append(all, r.failuresAt(st)...)
		}
	}
	return all
}

func (r *root) failuresAt(st scheduler.Status) []faillog.Entry {
	sender := r.senders[st.Name]
	if sender == nil {
		return nil
	}
	base := faillog.Entry{Root: r.conf.Path, Remote: st.Name}
	if st.Attempts >= failedTwice {
		base.Message, base.Attempts = st.Reason, st.Attempts
		base.Command = sender.CommandLine(scheduler.Batch{Form: scheduler.Full, MaxDelete: -1})
		return []faillog.Entry{base}
	}
	for _, f := range st.Failures {
		if f.Attempts >= failedTwice {
			base.Message, base.Attempts = f.Message, max(base.Attempts, f.Attempts)
			base.Paths = append(base.Paths, f.Path)
		}
	}
	if len(base.Paths) == 0 {
		return nil
	}
	base.More = st.Failing - len(st.Failures)
	base.Command = sender.CommandLine(scheduler.Batch{Form: scheduler.Flat, MaxDelete: -1})
	return []faillog.Entry{base}
}
