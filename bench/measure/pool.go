package measure

import "sync"

// pool runs functions on further goroutines while it has tickets for them, and
// otherwise in the caller's, so that work that makes more work neither waits nor
// piles up.
type pool struct {
	tickets chan struct{}
	running sync.WaitGroup
}

func (p *pool) run(f func()) {
	select {
	case p.tickets <- struct{}{}:
		p.running.Go(func() {
			defer func() { <-p.tickets }()
			f()
		})
	default:
		f()
	}
}

// wait returns when all that was run has ended. Nobody but functions that still
// run may call run meanwhile.
func (p *pool) wait() { p.running.Wait() }
