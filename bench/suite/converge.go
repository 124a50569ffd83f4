package suite

import (
	"context"
	"time"

	"github.com/fansync/fansync/bench/measure"
)

// outcome is how the wait for convergence ended.
type outcome struct {
	equal bool
	// at is the newest change at the mirrors, if they are equal.
	at time.Time
	// differences of the mirror that differs most.
	differences []measure.Difference
	// crashed: the engine ended by itself. note says why the wait was over.
	crashed bool
	note    string
}

// await waits until all awaited mirrors are equal to the source. It gives up
// when the deadline is over, when the engine has ended, or when nothing at all
// happened for the rest time: the same paths differ, and the remotes served
// nothing.
func (s *session) await(ctx context.Context, changed []string) (outcome, error) {
	end := time.Now().Add(s.plan.Deadline)
	still, lastCount, lastServed := time.Now(), -1, -1
	exited := false
	for {
		began := time.Now()
		count, err := s.differing(ctx, changed)
		if err != nil {
			return outcome{}, err
		}
		if count == 0 {
			out, err := s.verify(ctx)
			if err != nil || out.equal {
				return out, err
			}
			// Sizes and times agree and contents do not, or a path that nobody
			// changed is wrong: some engines mend that later.
			count = -len(out.differences)
		}
		n, _, err := s.daemon.Served()
		if err != nil {
			return outcome{}, err
		}
		if count != lastCount || n != lastServed {
			still, lastCount, lastServed = time.Now(), count, n
		}
		now := time.Now()
		switch {
		case exited, now.After(end), now.Sub(still) > s.plan.Rest:
			out, err := s.verify(ctx)
			if !out.equal {
				out.crashed, out.note = exited, gaveUp(exited, now.After(end))
			}
			return out, err
		}
		// The looks take a small share of the time, and of the two cores.
		pause := min(max(20*time.Millisecond, 30*time.Since(began)), 2*time.Second)
		select {
		case <-s.process.Exited():
			exited = true
		default:
		}
		if err := sleep(ctx, pause); err != nil {
			return outcome{}, err
		}
	}
}

func gaveUp(exited, late bool) string {
	switch {
	case exited:
		return "the engine ended by itself"
	case late:
		return "not equal at the deadline"
	}
	return "not equal, and nothing more happened"
}

// verify compares all awaited mirrors with the source, contents too.
func (s *session) verify(ctx context.Context) (outcome, error) {
	out := outcome{equal: true}
	for _, m := range s.awaited() {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		diff, err := measure.Compare(ctx, s.src, m, measure.CompareOptions{Content: true, Seconds: true})
		if err != nil {
			return out, err
		}
		if len(diff) > len(out.differences) {
			out.differences = diff
		}
		if len(diff) > 0 {
			out.equal = false
			continue
		}
		at, err := measure.NewestChange(m)
		if err != nil {
			return out, err
		}
		if at.After(out.at) {
			out.at = at
		}
	}
	return out, nil
}
