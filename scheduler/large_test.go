package scheduler

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// large is for inBubble: files of 1,000 bytes are large, and what was cut goes on.
func large(c *Config) {
	c.BigFile = 1000
	for i := range c.Remotes {
		c.Remotes[i].Resumes = true
	}
}

// writeLarge makes files of 2,000 bytes.
func (b *bench) writeLarge(paths ...string) {
	b.t.Helper()
	b.write(paths...)
	for _, p := range paths {
		if err := os.Truncate(filepath.Join(b.root, p), 2000); err != nil {
			b.t.Fatal(err)
		}
	}
}

// keeps checks that a call is of large files, or that it is not.
func (c call) keeps(t testing.TB, want bool) call {
	t.Helper()
	if c.batch.Keep != want {
		t.Errorf("%v: Keep is %v", c, c.batch.Keep)
	}
	return c
}

func attr(dir string) coalesce.Entry {
	return coalesce.Entry{Path: dir, Flags: coalesce.Attr | coalesce.Dir}
}

// inFlight is a large file that is being sent.
func (b *bench) inFlight(path string) call {
	b.t.Helper()
	b.live()
	pass(time.Minute)
	b.writeLarge(path)
	b.send(changed(path))
	return b.expect(0, "flat ["+path+"]").keeps(b.t, true)
}

func TestLargeFileHoldsUpNothing(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		big := b.inFlight("d/big")
		b.write("d/small", "d/e/x", "z")
		b.send(changed("d/small"), changed("z"))
		// At once: it need not grow beside a flight that lasts.
		b.expect(0, "flat [d/small z]").keeps(t, false).ok()
		b.send(attr("d"), changed("d/e/x"))
		b.expect(0, "flat [d d/e/x]").ok()
		pass(time.Hour)
		// A second large file waits for the first: there is room for two flights.
		b.writeLarge("e/big")
		b.send(changed("e/big"), changed("z"))
		b.expect(0, "flat [z]").ok()
		b.quiet(0, time.Hour)
		b.send(changed("z"), changed("d/big"))
		b.expect(0, "flat [z]").ok()
		big.ok()
		b.expect(0, "flat [d]").ok() // its time was set to an older one
		b.expect(0, "flat [e/big]").keeps(t, true).ok()
		b.expect(0, "racy [d/big]").keeps(t, true).ok()
		b.quiet(0, time.Hour)
	})
}

// Temporary files beside a large one in flight leave nothing behind in memory.
func TestGhostsBesideALargeFile(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		big := b.inFlight("big")
		for range 10 {
			e := coalesce.Entry{Path: "tmp", Flags: coalesce.Name | coalesce.Gone | coalesce.Born | coalesce.Ghost}
			b.send(e)
			pass(time.Second)
		}
		if st := b.status(0); st.Backlog != 0 {
			t.Errorf("status: %+v", st)
		}
		big.ok()
		b.expect(0, "flat [/]").ok()
		b.quiet(0, time.Hour)
	})
}

func TestLargeFilesAreLeftByFullRuns(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		b.live()
		b.writeLarge("d/big", "big", "e/f/big")
		b.write("small")
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "", Reason: "test"}}}
		full := b.expect(0, "full [] max 0").keeps(t, false)
		if full.batch.MaxSize != 999 {
			t.Errorf("MaxSize is %d", full.batch.MaxSize)
		}
		full.end(Result{Stats: Stats{Files: 100}})
		b.expect(0, "flat [big d/big e/f/big]").keeps(t, true).ok()
		b.quiet(0, time.Hour)
	})
}

func TestExcludedLargeFilesAreNotSent(t *testing.T) {
	tune := func(c *Config) {
		large(c)
		c.Skip = func(path string, dir bool) bool { return path == "no" && !dir || path == "dir" && dir }
	}
	inBubble(t, 1, tune, func(b *bench) {
		b.live()
		b.writeLarge("no", "dir/big", "e/no")
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "", Reason: "test"}}}
		b.expect(0, "full [] max 0").ok()
		b.expect(0, "flat [e/no]").ok()
		b.quiet(0, time.Hour)
	})
}

// What would delete the temporary file of a large one waits, and cuts it after
// a while. Small changes go on.
func TestLargeFileYields(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		big := b.inFlight("d/big")
		b.write("d/small", "z")
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "d", Reason: "test"}}}
		b.send(changed("z"))
		b.expect(0, "flat [z]").ok()
		b.quiet(0, 20*time.Second)
		deep := b.expect(0, "deep-racy [d]")
		if big.ctx.Err() == nil {
			t.Error("both are in flight")
		}
		if deep.batch.MaxSize != 999 {
			t.Errorf("MaxSize is %d", deep.batch.MaxSize)
		}
		deep.ok()
		b.expect(0, "racy [d/big]").keeps(t, true)
		// The second time it is left alone for longer.
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "d", Reason: "test"}}}
		b.quiet(0, 50*time.Second)
		b.expect(0, "deep-racy [d]").ok()
		b.expect(0, "racy [d/big]").ok()
		b.quiet(0, time.Hour)
	})
}

func TestFullRunBesideALargeFile(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		big := b.inFlight("d/big")
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "", Reason: "test"}}}
		b.write("z")
		b.send(changed("z"))
		b.expect(0, "flat [z]").ok()
		b.expect(0, "full [] max 0").ok()
		if big.ctx.Err() == nil {
			t.Error("a full run beside another")
		}
		b.expect(0, "flat [d/big]").keeps(t, true).ok()
		b.quiet(0, time.Hour)
	})
}

// A sender that cannot go on where it was is not cut.
func TestLargeFileThatCannotYield(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.BigFile = 1000 }, func(b *bench) {
		big := b.inFlight("d/big")
		b.in <- coalesce.Change{Rescans: []coalesce.Rescan{{Path: "", Reason: "test"}}}
		for range 10 {
			pass(time.Minute)
			b.write("z")
			b.send(changed("z"))
			b.expect(0, "flat [z]").ok()
		}
		big.ok()
		b.expect(0, "full [] max 0").ok()
		b.expect(0, "flat [d/big]").ok()
	})
}

func TestLargeFileThatIsGone(t *testing.T) {
	for _, path := range []string{"d/big", "d"} {
		inBubble(t, 1, large, func(b *bench) {
			big := b.inFlight("d/big")
			b.remove(path)
			b.send(gone(path))
			c := b.expect(0, "flat [-"+path+"]").keeps(t, false)
			if big.ctx.Err() == nil {
				t.Error("it is still being sent")
			}
			if !c.batch.Settled {
				t.Error("what was sent of it may not be deleted")
			}
			c.ok()
			b.quiet(0, time.Hour)
		})
	}
}

// A failure of small changes is retried beside a large file.
func TestRetryBesideALargeFile(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		big := b.inFlight("d/big")
		b.write("z")
		b.send(changed("z"))
		b.expect(0, "flat [z]").end(Result{Class: Transient, Message: "max connections"})
		b.expect(0, "flat [z]").ok()
		big.end(Result{Class: Transient, Message: "connection reset"})
		b.expect(0, "flat [d/big]").keeps(t, true).ok()
		b.quiet(0, time.Hour)
	})
}

func TestSettled(t *testing.T) {
	inBubble(t, 1, large, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.writeLarge("one", "two")
		b.write("z", "d/x")
		settled := func(want string, is bool) call {
			t.Helper()
			c := b.expect(0, want)
			if c.batch.Settled != is {
				t.Errorf("%v: Settled is %v", c, c.batch.Settled)
			}
			return c
		}
		b.send(changed("z"))
		settled("flat [z]", true).ok()
		b.send(changed("one"))
		one := settled("flat [one]", true)
		pass(time.Minute)
		b.send(changed("z"), changed("two"))
		settled("flat [z]", false).ok()
		one.end(Result{Touched: []string{"d"}})
		touched := settled("flat [d]", false)
		two := settled("flat [two]", true)
		touched.ok()
		two.ok()
		b.quiet(0, time.Hour)
	})
}
