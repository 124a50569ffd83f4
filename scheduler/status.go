package scheduler

import "time"

// State is what a remote is doing.
type State string

const (
	// Starting: the first full run has not ended.
	Starting State = "starting"
	// Live: changes are sent as they come.
	Live State = "live"
	// CatchingUp: a full run is under way or due, because events were lost or
	// the remote was away for long.
	CatchingUp State = "catching-up"
	// Retrying: the remote failed; NextTry says when it is tried again. Its
	// changes are kept.
	Retrying State = "retrying"
	// Stale: as Retrying, but more changed than is kept: it will be compared
	// whole.
	Stale State = "stale"
	// Halted: an operator must act; Reason says how.
	Halted State = "halted"
)

// Status is a moment of one remote.
type Status struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	NextTry time.Time `json:"next_try,omitzero"`
	// Attempts is how often in a row the remote as a whole failed.
	Attempts int `json:"attempts,omitempty"`
	// Lag is the age of the oldest change that is not yet there; 0 = in sync.
	Lag time.Duration `json:"lag_ns"`
	// Backlog counts the paths that wait, InFlight those being sent.
	Backlog  int `json:"backlog"`
	InFlight int `json:"in_flight"`
	// Standbys are the rsyncs that wait for something to send.
	Standbys int `json:"standbys"`
	// Flights counts the batches in flight, each of which is an rsync.
	Flights int `json:"flights"`
	// Limits are what the remote's rsyncs are limited to, by the name of the key.
	Limits map[string]string `json:"limits,omitempty"`
	// LastSuccess is when a run last succeeded.
	LastSuccess time.Time `json:"last_success,omitzero"`
	// LastFull is when a full run last succeeded, Files what it counted.
	LastFull time.Time `json:"last_full,omitzero"`
	Files    int64     `json:"files"`
	// Full is the progress of the full run under way.
	Full *Progress `json:"full,omitempty"`
	// Failures are the paths that cannot be sent now, in rsync's words; at
	// most 100 of Failing.
	Failing  int       `json:"failing"`
	Failures []Failure `json:"failures,omitempty"`
	Counts   Counts    `json:"counts"`
}

// Failure is a path that the remote could not take.
type Failure struct {
	Path     string    `json:"path"`
	Message  string    `json:"message"`
	Attempts int       `json:"attempts"`
	NextTry  time.Time `json:"next_try,omitzero"`
}

// Counts are totals since the start.
type Counts struct {
	Batches   int64 `json:"batches"`
	Fulls     int64 `json:"full_runs"`
	Failed    int64 `json:"failed_batches"`
	Paths     int64 `json:"paths"`
	Deleted   int64 `json:"deleted"`
	WireBytes int64 `json:"wire_bytes"`
}
