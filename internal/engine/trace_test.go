package engine

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/fansync/fansync/scheduler"
)

// trace keeps what an engine logged and sent, for the report of a failed test.
type trace struct {
	mu   sync.Mutex
	text strings.Builder
	runs map[string]int  // by remote
	sent scheduler.Stats // by all runs: Wire and Literal
	made map[scheduler.Form]int
}

func (tr *trace) Write(b []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.Write(b)
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	const limit = 60_000
	s := tr.text.String()
	if len(s) > limit {
		s = "…" + s[len(s)-limit:]
	}
	return s
}

// started is the number of runs begun for a remote.
func (tr *trace) started(remote string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.runs[remote]
}

// total is what was sent so far, and by how many runs of each form.
func (tr *trace) total() (scheduler.Stats, map[scheduler.Form]int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.sent, maps.Clone(tr.made)
}

func (tr *trace) events(string) scheduler.Events {
	say := func(format string, args ...any) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		fmt.Fprintf(&tr.text, time.Now().Format("15:04:05.000 ")+format+"\n", args...)
	}
	return scheduler.Events{
		Started: func(remote string, b scheduler.Batch) {
			say("%s: start %d %s max-delete %d %q", remote, b.ID, b.Form, b.MaxDelete, b.Items)
			tr.mu.Lock()
			defer tr.mu.Unlock()
			if tr.runs == nil {
				tr.runs = map[string]int{}
			}
			tr.runs[remote]++
			if tr.made == nil {
				tr.made = map[scheduler.Form]int{}
			}
			tr.made[b.Form]++
		},
		Ended: func(remote string, b scheduler.Batch, r scheduler.Result, took time.Duration) {
			if n := len(b.Shards); n > 0 {
				say("%s: %d was shared by %d", remote, b.ID, n)
			}
			say("%s: end %d %s after %s: %s code %d %s failed %v", remote, b.ID, b.Form, took, r.Class, r.Code, r.Message, r.Failed)
			tr.mu.Lock()
			defer tr.mu.Unlock()
			tr.sent.Wire += r.Stats.Wire
			tr.sent.Literal += r.Stats.Literal
		},
		State: func(remote string, s scheduler.State, reason string) { say("%s: %s %s", remote, s, reason) },
	}
}
