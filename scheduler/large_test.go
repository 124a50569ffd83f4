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
		// An old time is no reason to compare contents.
		old := time.Unix(1e9, 0)
		if err := os.Chtimes(filepath.Join(b.root, "d/big"), old, old); err != nil {
			t.Fatal(err)
		}
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

// What waits for large files below it is not kept waiting by others of them.
func TestLargeFilesInTurn(t *testing.T) {
	tune := func(c *Config) {
		large(c)
		c.Remotes[0].Parallel = 4
	}
	inBubble(t, 1, tune, func(b *bench) {
		one := b.inFlight("d/one")
		b.writeLarge("e/two", "e/three", "z")
		b.send(attr(""))
		pass(2 * time.Second)
		b.send(changed("e/two"))
		b.quiet(0, time.Hour) // one more could be in flight
		one.ok()
		b.expect(0, "flat [/]").ok()
		b.expect(0, "flat [e/two]").keeps(t, true)
		b.send(changed("e/three"))
		b.expect(0, "flat [e/three]").keeps(t, true)
	})
}

func TestTrim(t *testing.T) {
	for _, c := range []struct {
		name    string
		purpose purpose
		speed   speed
		sizes   []int64 // in the order of their age, the oldest first
		want    int     // how many go
	}{
		{"small ones", plain, speed{}, []int64{1000, 2000, 3000}, 3},
		{"a lot", plain, speed{}, []int64{200 << 20, 200 << 20, 1 << 20}, 2},
		{"more than a second takes", plain, speed{rate: 10 << 20}, []int64{6 << 20, 6 << 20, 3 << 20}, 2},
		{"the first, whatever it takes", plain, speed{rate: 1 << 20}, []int64{6 << 20, 2 << 20}, 1},
		{"tiny ones always", plain, speed{rate: 1 << 20}, []int64{6 << 20, 2 << 20, 10, tiny, tiny + 1}, 3},
		{"large ones", bulky, speed{}, []int64{600 << 20, 600 << 20}, 1},
		{"large ones to a slow remote", bulky, speed{rate: 1 << 20}, []int64{2 << 20, 2 << 20, 17 << 20}, 2},
		{"large ones that are there", bulky, speed{spared: 0.75}, []int64{1 << 30, 1 << 30, 2 << 30, 1 << 30}, 3},
		{"to be counted", counting, speed{rate: 1}, []int64{1 << 40, 1 << 40}, 2},
	} {
		r := &remote{dirty: coalesce.NewSet(), speed: c.speed, conf: RemoteConfig{MaxDirty: 100}}
		b := newBucket(kind{purpose: c.purpose})
		for i, size := range c.sizes {
			// By name the newest comes first.
			path := string(rune('z' - i))
			b.add(placed{entry: coalesce.Entry{Path: path, Flags: coalesce.Content, Since: int64(i)}, item: Item{Path: path}, size: size})
		}
		trimmed := r.trim(b, 100)
		if len(b.placed) != c.want || len(b.items) != c.want || r.dirty.Len() != len(c.sizes)-c.want || trimmed != (c.want < len(c.sizes)) {
			t.Errorf("%s: %d go, %d wait, %v", c.name, len(b.placed), r.dirty.Len(), trimmed)
		}
		if _, oldest := b.items["z"]; !oldest {
			t.Errorf("%s: the oldest waits", c.name)
		}
	}
}

func TestPace(t *testing.T) {
	r := &remote{cfg: Config{BigFile: bigFile}}
	want := func(what string, got, want int64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	want("not known", r.bigSize(), bigFile)
	r.speed.learn(1000, time.Second)
	want("a run too small to tell", r.bigSize(), bigFile)
	r.speed.learn(10<<20, time.Second)
	want("10 MiB/s", r.bigSize(), 5<<20)
	r.speed.learn(50<<20, time.Second)
	want("a faster one", r.bigSize(), 10<<20)
	for range 50 {
		r.speed.learn(1<<20, 10*time.Second)
	}
	want("slow", r.bigSize(), bigLeast)
	r.cfg.BigFile = 1000
	want("as configured", r.bigSize(), 1000)
	r.cfg.BigFile = -1
	want("none", r.bigSize(), noBig)

	p := speed{}
	want("unknown", p.large(), 16*bigFile)
	p.listed(1<<30, 1<<30)
	want("all was sent", p.large(), 16*bigFile)
	p.listed(1<<30, 0)
	want("all was there", p.large(), 32*bigFile)
	p.listed(1<<30, 0)
	want("again", p.large(), 64*bigFile)
	p.listed(1<<30, 2<<30)
	p.listed(1<<30, 2<<30)
	if p.large() > 20*bigFile {
		t.Errorf("after much was sent: %d", p.large())
	}
}

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		parallel, plain, large int
		failing, full          bool
		wantPlain, wantLarge   int
	}{
		{2, 0, 0, false, false, 2, 1},
		{2, 1, 0, false, false, 1, 1},
		{2, 2, 0, false, false, 0, 0},
		{2, 0, 1, false, false, 1, 0},
		{2, 1, 1, false, false, 0, 0},
		{4, 1, 2, false, false, 1, 1},
		{4, 0, 3, false, false, 1, 0},
		{1, 0, 0, false, false, 1, 1},
		{1, 0, 1, false, false, 1, 0},
		{2, 0, 0, true, false, 1, 1},
		{2, 0, 1, true, false, 1, 0},
		{2, 1, 0, true, false, 0, 0},
		{2, 0, 0, false, true, 2, 0},
	} {
		r := &remote{conf: RemoteConfig{Parallel: c.parallel}, cfg: Config{Now: clock}}
		for range c.plain {
			r.flights = append(r.flights, &flight{})
		}
		for range c.large {
			r.flights = append(r.flights, &flight{big: true})
		}
		if c.failing {
			r.attempts = 1
		}
		if c.full {
			r.full = &owed{}
		}
		if plain, large := r.room(); plain != c.wantPlain || large != c.wantLarge {
			t.Errorf("%+v: room for %d and %d", c, plain, large)
		}
	}
}
