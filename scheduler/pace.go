package scheduler

import "time"

const (
	// pairAfter is how old a flight must be before a second one may join it, if
	// the Sender has to start up for it: younger ones end soon, and what waits
	// grows into one batch instead of many.
	pairAfter = int64(50 * time.Millisecond)
	// busyRate and busyMark tell a burst from a trickle: news of busyMark paths,
	// after those of a steady busyRate a second were taken away.
	busyRate = 400
	busyMark = 16
	// atRest is how long no news makes an end of a burst.
	atRest = int64(10 * time.Millisecond)
	// pauseMax is how long a burst is waited for all the same, once it has lasted
	// for more than one flight.
	pauseMax = int64(100 * time.Millisecond)
	// gapMin and gapMax bound the time from one flight to the next in a burst.
	// It doubles from flight to flight, so that a long burst takes few of them.
	gapMin = pairAfter
	gapMax = int64(400 * time.Millisecond)
	// runRate and runBurst bound the flights of a steady trickle: after runBurst
	// of them there are runRate a second, and what comes meanwhile goes together.
	// A run costs both sides about 10 ms of CPU, however little it carries.
	runRate  = 50
	runBurst = 100
	// readyLook is how often a Sender is asked that will soon be ready.
	readyLook = int64(2 * time.Millisecond)
)

// pace says when the next flight may begin. At rest that is at once; in a burst
// the batch is left to grow, for a bounded time. The zero value is at rest.
type pace struct {
	level int64 // paths of late, times busyRate's interval, ns
	last  int64 // when the last news came
	begun int64 // when the last flight began
	gap   int64 // how long after begun the next one of this burst may begin
	runs  int64 // flights of late, times runRate's interval, ns
}

// heard notes news of n paths.
func (p *pace) heard(n int, now int64) {
	p.level = min(max(0, p.level-(now-p.last))+int64(n)*(1e9/busyRate), 4*busyMark*(1e9/busyRate))
	p.last = now
}

// busy reports whether a burst is under way.
func (p *pace) busy(now int64) bool {
	return p.level-(now-p.last) > busyMark*(1e9/busyRate)
}

// next is when the next flight may begin, at the latest; more news may make it
// later.
func (p *pace) next(now int64) int64 {
	switch {
	case p.busy(now):
		rest := p.last + atRest
		if p.gap > gapMin {
			// A burst that goes on has pauses, on a busy machine longer ones.
			rest = max(rest, p.begun+min(p.gap/2, pauseMax))
		}
		return max(now, min(rest, p.begun+p.gap))
	case p.runs-(now-p.begun) > runBurst*(1e9/runRate):
		return max(now, p.begun+1e9/runRate)
	}
	return now
}

// began notes a flight.
func (p *pace) began(now int64) {
	if p.busy(now) {
		p.gap = min(max(2*p.gap, gapMin), gapMax)
	} else {
		p.gap = gapMin
	}
	p.runs = max(0, p.runs-(now-p.begun)) + 1e9/runRate
	p.begun = now
}

// held reports when the next flight may begin, if it may not now. What waits
// for a Sender to be ready grows meanwhile; what is asked for by a barrier
// does not wait.
func (r *remote) held(now int64) (until int64, held bool) {
	ready, soon := r.conf.Ready()
	if len(r.barriers) == 0 {
		if at := r.pace.next(now); at > now {
			return at, true
		}
		if ready == 0 && soon {
			return now + readyLook, true
		}
	}
	if f := r.newest(); f != nil && ready == 0 {
		at := f.begun + pairAfter
		return at, at > now
	}
	return now, false
}
