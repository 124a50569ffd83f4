package scheduler

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/mirrortest"
)

// kernelClock is the clock that stamps files.
func kernelClock(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

func openLooker(t *testing.T, root string) *looker {
	t.Helper()
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	l := newLooker(dir)
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// What the kernel says of a new file and a new directory lies between the clock
// before and the clock after, and only where the kernel's own clock stamps.
func TestStampsOfRealFiles(t *testing.T) {
	root := mirrortest.TmpfsDir(t)
	const lag = int64(20 * time.Millisecond) // of a coarse clock
	before := kernelClock(t) - lag
	if err := os.MkdirAll(filepath.Join(root, "d/e"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "d/e/f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	after := kernelClock(t)
	l := openLooker(t, root)
	s, err := l.stamps("d/e/f")
	if at, ok := s.written(); err != nil || !ok || at < before || at > after {
		t.Errorf("file: %+v, %v: written at %d, %v, not between %d and %d", s, err, at, ok, before, after)
	}
	s, err = l.stamps("d/e")
	if at, ok := s.made(); err != nil || s.born != 0 && (!ok || at < before || at > after) {
		t.Errorf("directory: %+v, %v: made at %d, %v, not between %d and %d", s, err, at, ok, before, after)
	}
	old := time.Now().Add(-time.Second)
	if err := os.Chtimes(filepath.Join(root, "d/e/f"), old, old); err != nil {
		t.Fatal(err)
	}
	s, err = l.stamps("d/e/f")
	if at, ok := s.written(); err != nil || ok {
		t.Errorf("a time set by hand: %+v, %v: written at %d", s, err, at)
	}
	for _, bad := range []string{"no", "no/f", "d/e/f/g", ""} {
		if s, err := l.stamps(bad); err == nil {
			t.Errorf("stamps(%q) = %+v", bad, s)
		}
	}
}

// A file of another filesystem that is mounted over one of ours is not ours.
func TestStampsOfForeignFiles(t *testing.T) {
	if s, err := openLooker(t, "/proc").stamps("version"); err != nil || s.own {
		t.Errorf("/proc/version: %+v, %v", s, err)
	}
	mirrortest.NeedRoot(t)
	root := mirrortest.TmpfsDir(t)
	f := filepath.Join(root, "f")
	if err := os.WriteFile(f, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l := openLooker(t, root)
	if s, err := l.stamps("f"); err != nil || !s.own {
		t.Errorf("file: %+v, %v", s, err)
	}
	mirrortest.Mount(t, "/proc/version", f, "", unix.MS_BIND, "")
	if s, err := l.stamps("f"); err != nil || s.own {
		t.Errorf("file mounted over it: %+v, %v", s, err)
	}
}

// TestUnseen names the ways in which a file may look newer than it is.
func TestUnseen(t *testing.T) {
	const (
		sec, ms  = int64(time.Second), int64(time.Millisecond)
		midnight = 20_000 * 86_400 * sec
		end      = midnight + 500*ms // of the flight that covers d
		c, n, d  = coalesce.Content, coalesce.Name, coalesce.Dir
		regular  = 0o100644
		dir      = 0o040755
	)
	at := func(mtime, ctime int64) stamps { return stamps{mtime: mtime, ctime: ctime, own: true} }
	born := func(at int64) stamps { return stamps{born: at, own: true} }
	foreign := func(s stamps) stamps { s.own = false; return s }
	for _, x := range []struct {
		name  string
		path  string
		flags coalesce.Flags
		mode  uint32
		s     stamps
		// By how much the clock was set before the flight ended, and after.
		during, since int64
		want          bool
	}{
		{name: "written after the flight", path: "d/f", flags: c, mode: regular, s: at(end+5*ms, end+5*ms), want: true},
		{name: "written in the tick in which it ended", path: "d/f", flags: c, mode: regular, s: at(end-4*ms, end-4*ms)},
		{name: "written as it ended", path: "d/f", flags: c, mode: regular, s: at(end, end)},
		{name: "written before, but not covered", path: "e/f", flags: c, mode: regular, s: at(end-4*ms, end-4*ms), want: true},
		{name: "written before, forgotten flights too", path: "e/f", flags: c, mode: regular, s: at(midnight+ms, midnight+ms)},
		{name: "read half: written on without a new time", path: "d/f", flags: c, mode: regular, s: at(end-100*ms, end+5*ms)},
		{name: "mode changed after", path: "d/f", flags: c, mode: regular, s: at(end-4*ms, end+5*ms)},
		{name: "mode changed soon after it was written", path: "d/f", flags: c, mode: regular, s: at(end+5*ms, end+14*ms), want: true},
		{name: "time set back by hand", path: "d/f", flags: c, mode: regular, s: at(end-40*sec, end+5*ms)},
		{name: "time set back by hand, not far", path: "d/f", flags: c, mode: regular, s: at(end+5*ms, end+16*ms)},
		{name: "time set ahead by hand", path: "d/f", flags: c, mode: regular, s: at(end+7*ms, end+5*ms)},
		{name: "time set by hand to a whole second", path: "d/f", flags: c, mode: regular, s: at(midnight+sec, midnight+sec+5*ms)},
		{name: "a filesystem of whole seconds", path: "d/f", flags: c, mode: regular, s: at(midnight+sec, midnight+sec)},
		{name: "renamed in, from long ago", path: "d/f", flags: n | coalesce.Moved, mode: regular, s: at(end-40*sec, end+5*ms)},
		{name: "renamed in, written just now", path: "d/f", flags: n | coalesce.Moved, mode: regular, s: at(end+5*ms, end+6*ms), want: true},
		{name: "another's clock", path: "d/f", flags: c, mode: regular, s: foreign(at(end+5*ms, end+5*ms))},
		{name: "clock set back in the flight", path: "d/f", flags: c, mode: regular, s: at(end-9*sec+5*ms, end-9*sec+5*ms), during: -10 * sec},
		{name: "clock set back in the flight, long ago", path: "d/f", flags: c, mode: regular, s: at(end+5*ms, end+5*ms), during: -10 * sec, want: true},
		{name: "clock set back since", path: "d/f", flags: c, mode: regular, s: at(end-5*sec+ms, end-5*sec+ms), since: -10 * sec},
		{name: "clock set ahead since", path: "d/f", flags: c, mode: regular, s: at(end+10*sec+5*ms, end+10*sec+5*ms), since: 10 * sec, want: true},
		{name: "clock set ahead, written before", path: "d/f", flags: c, mode: regular, s: at(end+5*ms, end+5*ms), since: 10 * sec},
		{name: "a symlink", path: "d/f", flags: c, mode: 0o120777, s: at(end+5*ms, end+5*ms)},
		{name: "new directory", path: "d/f", flags: n | d, mode: dir, s: born(end + 5*ms), want: true},
		{name: "directory made before", path: "d/f", flags: n | d, mode: dir, s: born(end - 4*ms)},
		{name: "directory of unknown age", path: "d/f", flags: n | d, mode: dir, s: born(0)},
		{name: "directory on another's clock", path: "d/f", flags: n | d, mode: dir, s: foreign(born(end + 5*ms))},
		{name: "old directory changed", path: "d/f", flags: coalesce.Attr | d, mode: dir, s: born(end + 5*ms)},
		{name: "directory that was another before", path: "d/f", flags: n | d | coalesce.Subtree, mode: dir, s: born(end + 5*ms)},
		{name: "directory said to be gone", path: "d/f", flags: n | d | coalesce.Gone, mode: dir, s: born(end + 5*ms)},
		{name: "directory above a flight's path", path: "d", flags: n | d, mode: dir, s: born(end - 4*ms)},
	} {
		t.Run(x.name, func(t *testing.T) {
			mono, wall := int64(0), midnight
			cfg := Config{
				Now: func() int64 { return mono }, Wall: func() int64 { return wall },
				stamps: func(*looker, string) (stamps, error) { return x.s, nil },
			}.withDefaults()
			r := newRemote(cfg, RemoteConfig{MaxDirty: 100}, nil)
			mono, wall = mono+500*ms, wall+500*ms+x.during
			r.settle(ended{&flight{batch: Batch{Items: []Item{{Path: "d/e/x"}, {Path: "d/f"}}}}, Result{}})
			mono, wall = mono+20*ms, wall+20*ms+x.since
			r.settle(ended{&flight{batch: Batch{Items: []Item{{Path: "z"}}}}, Result{}})
			e := coalesce.Entry{Path: x.path, Flags: x.flags | coalesce.Racy}
			if got := r.unseen(e, found{path: x.path, mode: x.mode}, nil); got != x.want {
				t.Errorf("%v with %+v: %v", e.Flags, x.s, got)
			}
			if r.unseen(e, found{path: "d", mode: x.mode}, nil) && x.path != "d" {
				t.Error("so is what stands in the place of its directory")
			}
			cfg.stamps = func(*looker, string) (stamps, error) { return x.s, fmt.Errorf("gone") }
			r.cfg = cfg
			if r.unseen(e, found{path: x.path, mode: x.mode}, nil) {
				t.Error("so is what could not be looked at")
			}
		})
	}
}

// A flight that is no longer remembered has ended before all that are.
func TestForgottenFlightsAreOld(t *testing.T) {
	mono, wall := int64(1), int64(1e18)
	r := newRemote(Config{Now: func() int64 { return mono }, Wall: func() int64 { return wall }}.withDefaults(), RemoteConfig{MaxDirty: 1}, nil)
	mono, wall = mono+1e9, wall+1e9
	r.settle(ended{&flight{batch: Batch{Items: []Item{{Path: "f"}}}}, Result{}})
	if r.past != 1e18 || len(r.recent) != 1 {
		t.Fatalf("past %d with %d flights remembered", r.past, len(r.recent))
	}
	mono, wall = mono+recentFor+1, wall+recentFor+1
	r.prune(mono)
	if r.past != 1e18+1e9 || len(r.recent) != 0 {
		t.Errorf("past %d with %d flights remembered", r.past, len(r.recent))
	}
}

// Between two looks at two clocks time passes.
func TestLandedIsNotBeforeTheEnd(t *testing.T) {
	now := int64(0)
	cfg := Config{
		Now:  func() int64 { now += 5e6; return now },
		Wall: func() int64 { now += 5e6; return 1e18 + now },
	}
	r := newRemote(cfg.withDefaults(), RemoteConfig{MaxDirty: 1}, nil)
	f := &flight{}
	r.settle(ended{f, Result{}})
	if at := r.landed(f); at < 1e18+f.end {
		t.Errorf("landed %d ns early", 1e18+f.end-at)
	}
}

// A clock that was ahead when a flight began gave the files that it met times
// that are still to come when it is right again.
func TestClockIsSetBackInAFlight(t *testing.T) {
	for _, x := range []struct {
		ahead time.Duration
		want  string
	}{{0, "flat [f]"}, {time.Minute, "racy [f]"}} {
		ahead := int64(0)
		tune := func(c *Config) {
			c.Wall = func() int64 { return clock() + ahead }
			c.stamps = func(*looker, string) (stamps, error) {
				return stamps{mtime: clock() - 7e6, ctime: clock() - 7e6, own: true}, nil
			}
		}
		inBubble(t, 1, tune, func(b *bench) {
			b.live()
			time.Sleep(10 * time.Second)
			b.write("f", "g")
			ahead = int64(x.ahead)
			b.send(changed("f"))
			c := b.expect(0, "flat [f]")
			ahead = 0
			c.ok()
			time.Sleep(10 * time.Millisecond)
			b.send(changed("f"))
			b.expect(0, x.want).ok()
		})
	}
}

// What comes right after a run goes as what comes into an idle tree, as far as
// the kernel's times say that the run cannot have met it.
func TestNewFilesRightAfterARun(t *testing.T) {
	const born = coalesce.Name | coalesce.Born
	tree := func(b *bench) []coalesce.Entry {
		es := []coalesce.Entry{{Path: "d", Flags: born | coalesce.Dir}}
		for i := range crowdMin {
			p := fmt.Sprintf("d/%02d", i)
			b.write(p)
			es = append(es, coalesce.Entry{Path: p, Flags: born | coalesce.Content})
		}
		return es
	}
	for _, x := range []struct {
		name string
		wait time.Duration // from the run to the events
		age  time.Duration // of the times then
		dead bool          // the times cannot be had
		want string
	}{
		{"after", 20 * time.Millisecond, 10 * time.Millisecond, false, "flat [d/]"},
		{"in the run", 20 * time.Millisecond, 30 * time.Millisecond, false, "deep-racy [d]"},
		{"nobody knows", 20 * time.Millisecond, 0, true, "deep-racy [d]"},
		{"nobody knows, but the run was over", racySlack + 1, 0, true, "flat [d/]"},
	} {
		t.Run(x.name, func(t *testing.T) {
			tune := func(c *Config) {
				c.stamps = func(*looker, string) (stamps, error) {
					// Bubbles begin on a whole second, which is no time to trust.
					at := clock() - int64(x.age) + 1
					return stamps{mtime: at, ctime: at, born: at, own: !x.dead}, nil
				}
			}
			inBubble(t, 1, tune, func(b *bench) {
				b.live()
				time.Sleep(x.wait)
				b.send(tree(b)...)
				b.expect(0, x.want).ok()
				synctest.Wait()
				if st := b.status(0); st.Backlog != 0 || st.InFlight != 0 {
					t.Errorf("not all of it went: %+v", st)
				}
				b.quiet(0, time.Hour)
			})
		})
	}
}

// A path that failed is not hidden in a run for its directory, nor is a removal
// that waits.
func TestRacyDirectoryTakesItsChildren(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		b.write("d/f", "d/e/g", "d/bad", "d-", "z")
		entry := func(path string, flags coalesce.Flags) coalesce.Entry {
			return coalesce.Entry{Path: path, Flags: flags}
		}
		const name, racy = coalesce.Name | coalesce.Content, coalesce.Racy
		b.send(entry("d", coalesce.Name|coalesce.Dir|racy), entry("d-", name|racy), entry("d/f", name|racy),
			entry("d/e", coalesce.Name|coalesce.Dir), entry("d/e/g", name), entry("d/bad", name|racy|coalesce.Exact), gone("d/x"), entry("z", name))
		for _, want := range []string{"racy [d- d/bad z]", "deep-racy [d]", "flat [-d/x]"} {
			b.expect(0, want).ok()
		}
		b.quiet(0, time.Hour)
	})
}
