package scheduler

import (
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// A half that waits for something that is dirty lets that go.
func TestSuspectsThatWaitHoldUpNothing(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("a", "d/c", "z")
		b.send(changed(""), changed("a"), changed("d/c"))
		c := b.next(0)
		b.remove("z")
		b.in <- coalesce.Change{Entries: []coalesce.Entry{gone("z")}, Barriers: []uint64{1}}
		pass(time.Minute)
		c.end(Result{Class: Partial, Message: "the source changed while it was read"})
		ended := time.Now()
		for b.s.holding["r0"] == 0 {
			b.next(0).ok()
		}
		if waited := time.Since(ended); waited > time.Second {
			t.Errorf("nothing went for %v", waited)
		}
	})
}
