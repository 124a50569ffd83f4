package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fansync/fansync/coalesce"
)

func TestDeletionsSettle(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		begin := time.Now()
		many := func(path string) coalesce.Entry {
			e := gone(path)
			e.Deletes = fewDeletes + 1
			return e
		}
		for _, p := range []string{"a", "b", "c"} {
			b.send(many(p))
			time.Sleep(50 * time.Millisecond)
		}
		b.expect(0, "flat [-a -b -c]").ok()
		if took := time.Since(begin); took != 300*time.Millisecond {
			t.Errorf("sent after %v", took)
		}
		begin = time.Now()
		for time.Since(begin) < 1950*time.Millisecond {
			b.send(many("a"))
			b.quiet(0, 50*time.Millisecond)
		}
		b.send(gone("z"))
		b.expect(0, "flat [-a -z]").ok()
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("sent after %v", took)
		}
		b.send(gone("y"))
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		synctest.Wait()
		b.expect(0, "flat [-y]").ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
}

// A few removals, and many that come fast, do not wait long.
func TestDeletionsSettleSoon(t *testing.T) {
	for _, x := range []struct {
		known    int64
		removals int
		want     time.Duration
	}{{1000, 1, 20}, {1000, 16, 20}, {1000, 17, 60}, {64, 8, 20}, {64, 9, 60}, {4, 1, 60}} {
		t.Run(fmt.Sprintf("%d of %d", x.removals, x.known), func(t *testing.T) {
			inBubble(t, 1, nil, func(b *bench) {
				b.next(0).end(Result{Stats: Stats{Files: x.known}})
				time.Sleep(time.Minute)
				begin := time.Now()
				for i := range x.removals {
					b.send(gone(fmt.Sprintf("%03d", i)))
				}
				b.next(0).ok()
				if took := time.Since(begin); took != x.want*time.Millisecond {
					t.Errorf("sent after %v, want %d ms", took, x.want)
				}
			})
		})
	}
}

// What is found missing before the news of its removal came waits for it.
func TestMissingPathWaitsAsADeletion(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.send(changed("d/f"))
		b.quiet(0, 150*time.Millisecond)
		e := gone("d")
		e.Flags |= coalesce.Dir
		b.send(e)
		b.quiet(0, 150*time.Millisecond)
		c := b.next(0) // d was found missing without a word of what it held
		if c.String() != "flat [-d] max 0" {
			t.Errorf("sent %v", c)
		}
		c.ok()
		b.quiet(0, time.Hour)
	})
}

func TestMovesGoBeforeTheirOldPaths(t *testing.T) {
	rename := func(from, to string) coalesce.Entry {
		return coalesce.Entry{Path: to, From: from, Flags: coalesce.Name | coalesce.Content | coalesce.Moved}
	}
	for _, x := range []struct {
		name  string
		files []string
		sent  []coalesce.Entry
		want  []string
	}{
		{"one", []string{"b"}, []coalesce.Entry{gone("a"), rename("a", "b")}, []string{"flat [b]", "flat [-a]"}},
		{"chain", []string{"b", "c"}, []coalesce.Entry{gone("a"), rename("a", "b"), rename("b", "c")}, []string{"flat [b c]", "flat [-a]"}},
		{"swap", []string{"a", "b"}, []coalesce.Entry{rename("b", "a"), rename("a", "b")}, []string{"flat [a b]"}},
		{"and gone again", nil, []coalesce.Entry{gone("a"), rename("a", "b")}, []string{"flat [-a -b]"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 1, nil, func(b *bench) {
				b.live()
				time.Sleep(time.Minute)
				b.write(x.files...)
				b.send(x.sent...)
				for _, want := range x.want {
					b.expect(0, want).ok()
				}
				b.quiet(0, time.Hour)
			})
		})
	}
}

// A directory that moved is not counted as deleted once it has arrived; one
// that left is.
func TestUncountedRemovals(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = few(10) }, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("new/f")
		left := gone("old")
		left.Flags |= coalesce.Dir | coalesce.Uncounted
		here := coalesce.Entry{Path: "new", From: "old", Flags: coalesce.Name | coalesce.Dir | coalesce.Subtree | coalesce.Moved}
		b.send(here, left)
		b.expect(0, "deep-racy [new] max 10").ok()
		b.expect(0, "flat [-old]").ok() // however many it held
		left.Path = "out"
		b.send(left)
		b.expect(0, "flat [-out] max 0").end(Result{Class: DeleteLimit, Skipped: 5})
		b.expect(0, "flat [-out] max 10").ok()
		b.send(left)
		b.expect(0, "flat [-out] max 0").end(Result{Class: DeleteLimit, Skipped: 8})
		b.quiet(0, time.Hour) // 13 within a minute
		if st := b.status(0); st.State != Halted {
			t.Errorf("status: %+v", st)
		}
		// Moved away and removed there: nothing has arrived.
		if err := b.s.ConfirmDeletes("r0"); err != nil {
			t.Error(err)
		}
		b.expect(0, "flat [-out]").ok()
		left.Path, here.From, here.Path = "was", "was", "trash"
		b.send(here, left)
		b.expect(0, "flat [-was] max 0").ok()
		b.expect(0, "flat [-trash] max 10").ok()
		b.quiet(0, time.Hour)
	})
}

func TestGuardHaltsUntilConfirmed(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = few(3) }, func(b *bench) {
		// Nothing is held back: this confirms nothing.
		if err := b.s.ConfirmDeletes(""); err != nil {
			t.Error(err)
		}
		b.live()
		time.Sleep(time.Minute)
		b.send(gone("a"), gone("b"), gone("c"), gone("d"))
		b.write("f")
		b.quiet(0, time.Hour)
		st := b.status(0)
		if st.State != Halted || st.Reason != `4 of 100 files would be deleted; if that is meant, run: fansync resume --confirm-deletes "r0"` {
			t.Errorf("status: %+v", st)
		}
		b.in <- coalesce.Change{Barriers: []uint64{1}}
		if err := b.s.Wait(b.t.Context(), 1); err == nil {
			t.Error("Wait is content")
		}
		if err := b.s.ConfirmDeletes("nobody"); !errors.Is(err, ErrUnknownRemote) {
			t.Error(err)
		}
		if err := b.s.ConfirmDeletes(""); err != nil {
			t.Error(err)
		}
		b.expect(0, "flat [-a -b -c -d]").ok()
		if err := b.s.Wait(b.t.Context(), 1); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		b.send(gone("a"), gone("b"), gone("c"), gone("d")) // once only
		b.quiet(0, time.Hour)
	})
}

func TestFullRunCountsDeletionsFirst(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = few(10) }, func(b *bench) {
		b.expect(0, "full [] max 0").end(Result{Class: DeleteLimit, Skipped: 9, Stats: Stats{Files: 50}})
		b.expect(0, "full [] max 10").end(Result{Class: Transient, Message: "reset"})
		b.expect(0, "full [] max 0").end(Result{Class: DeleteLimit, Skipped: 11, Stats: Stats{Files: 50}})
		b.quiet(0, time.Hour)
		if err := b.s.ConfirmDeletes("r0"); err != nil {
			t.Error(err)
		}
		b.expect(0, "full []").end(Result{Stats: Stats{Files: 50}})
		if st := b.status(0); st.State != Live || st.Files != 50 {
			t.Errorf("status: %+v", st)
		}
		b.s.Resume(true, "test")
		b.expect(0, "full [] max 0").end(Result{Class: DeleteLimit, Skipped: 5, Stats: Stats{Files: 1}})
		b.quiet(0, time.Hour) // the source is empty
	})
}

// The confirmation of an operator who was told of an emptied root does not let
// another directory in.
func TestConfirmationDoesNotTrustTheRoot(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		b.source.set(errors.New("replaced"))
		b.s.Resume(true, "test")
		b.quiet(0, time.Minute)
		if err := b.s.ConfirmDeletes("r0"); err != nil {
			t.Error(err)
		}
		b.quiet(0, time.Hour)
		b.source.set(nil)
		b.next(0).ok()
	})
}

func TestGhosts(t *testing.T) {
	ghost := coalesce.Entry{Path: "d/t", Flags: coalesce.Name | coalesce.Content | coalesce.Born | coalesce.Ghost | coalesce.Gone, Deletes: 1}
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("d/f", "d/g")
		b.send(ghost)
		b.expect(0, "flat [d]").ok() // its time of change only
		b.write("d/t")
		b.send(ghost) // it is there again
		b.expect(0, "flat [d/t]").ok()
		b.remove("d/t")
		time.Sleep(time.Minute)
		b.send(coalesce.Entry{Path: "d", Flags: coalesce.Children | coalesce.Attr | coalesce.Dir})
		c := b.expect(0, "flat [d/]") // may take it along
		b.send(ghost)
		c.ok()
		b.expect(0, "flat [-d/t]").ok()
	})
}

// A run that makes the directories above its paths makes those too that were
// said to be unknown to the remote.
func TestBornDirectoryAboveAFlight(t *testing.T) {
	const born = coalesce.Name | coalesce.Dir | coalesce.Born
	for _, x := range []struct {
		b    Batch
		want string // those that stay unknown
	}{
		{Batch{Items: []Item{{Path: "d/e/f"}}}, "c d/c d/e/c"},
		{Batch{Items: []Item{{Path: "d", Children: true}}}, "c d/e/c"},
		{Batch{Form: Deep, Items: []Item{{Path: "d/e"}}}, "c d/c"},
		{Batch{Form: Full}, ""},
	} {
		r := newRemote(Config{Now: clock}.withDefaults(), RemoteConfig{MaxDirty: 100}, nil)
		for _, p := range []string{"c", "d", "d/c", "d/e", "d/e/c"} {
			if !slices.ContainsFunc(x.b.Items, func(it Item) bool { return it.Path == p }) {
				r.dirty.Add(coalesce.Entry{Path: p, Flags: born, Since: 1, Seq: 1})
			}
		}
		r.unborn(&flight{batch: x.b})
		var got []string
		r.dirty.Ascend(func(e coalesce.Entry) bool {
			if e.Has(coalesce.Born) {
				got = append(got, e.Path)
			}
			return true
		})
		if strings.Join(got, " ") != x.want {
			t.Errorf("%v leaves %q, want %s", x.b, got, x.want)
		}
	}
}

// half allows to delete half of the tree.
type half struct{}

func (half) Allow(deletes, known int64) error {
	if 2*deletes > known {
		return fmt.Errorf("%d of %d files would be deleted", deletes, known)
	}
	return nil
}

func (half) MaxDelete(known int64) int64 { return known / 2 }

// TestLateDeletionsAreOfTheTreeBefore: what was deleted a moment ago counts as
// part of the tree that it was deleted from.
func TestLateDeletionsAreOfTheTreeBefore(t *testing.T) {
	inBubble(t, 1, func(c *Config) { c.Limits = half{} }, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		remove := func(paths int) {
			e := gone("d")
			e.Deletes = uint32(paths)
			b.send(e)
		}
		remove(40)
		b.expect(0, "flat [-d] max 50").ok()
		remove(10)
		b.expect(0, "flat [-d] max 30").ok()
		remove(1)
		b.quiet(0, 10*time.Second)
		if st := b.status(0); st.State != Halted || !strings.HasPrefix(st.Reason, "51 of 100 files would be deleted") {
			t.Errorf("status: %+v", st)
		}
	})
}

// TestCreatedFilesAreKnown: rsync tells how many entries it made, whatever the
// events said of them.
func TestCreatedFilesAreKnown(t *testing.T) {
	inBubble(t, 1, nil, func(b *bench) {
		b.live()
		time.Sleep(time.Minute)
		b.write("f", "g")
		b.send(changed("f"), changed("g"))
		b.next(0).end(Result{Stats: Stats{Created: 2}})
		if n := b.status(0).Files; n != 102 {
			t.Errorf("%d files are known, want 102", n)
		}
	})
}
