package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
)

// small is a deepMin that tests can write files for.
const small = 12

func shallow(c *Config) { c.deepMin = small }

// rows writes n files in directories of four below dir and returns what a tree
// copied there gives.
func rows(b *bench, dir string, n int) []coalesce.Entry {
	const born = coalesce.Name | coalesce.Born
	es := []coalesce.Entry{{Path: dir, Flags: born | coalesce.Dir}}
	for i := range n {
		sub := fmt.Sprintf("%s/%02d", dir, i/4)
		p := fmt.Sprintf("%s/%d", sub, i%4)
		b.write(p)
		if i%4 == 0 {
			es = append(es, coalesce.Entry{Path: sub, Flags: born | coalesce.Dir})
		}
		es = append(es, coalesce.Entry{Path: p, Flags: born | coalesce.Content})
	}
	return es
}

// pile lets changes come while nothing is sent, and then rest.
func (b *bench) pile(es ...coalesce.Entry) {
	b.t.Helper()
	b.s.Pause("test")
	b.send(es...)
	pass(deepQuiet + time.Millisecond)
	b.s.Resume(false, "")
}

// brief is a call without the items below dirs, which it counts.
func brief(c call, dirs ...string) string {
	n := 0
	c.batch.Items = slices.DeleteFunc(slices.Clone(c.batch.Items), func(it Item) bool {
		below := slices.ContainsFunc(dirs, func(dir string) bool { return coalesce.Under(it.Path, dir) })
		if below {
			n++
		}
		return below
	})
	return fmt.Sprintf("%v and %d", c, n)
}

func TestDeepen(t *testing.T) {
	const lines = 9 + 3 // of rows(b, dir, 9), below dir
	for _, x := range []struct {
		name string
		make func(b *bench) []coalesce.Entry
		want []string
	}{
		{"a whole tree", func(b *bench) []coalesce.Entry { return rows(b, "d", 9) }, []string{"deep [d]"}},
		{"a tree in a tree", func(b *bench) []coalesce.Entry { return rows(b, "d/e/f", 9) }, []string{"deep [d]"}},
		{"too few lines", func(b *bench) []coalesce.Entry { return rows(b, "d", 8) }, []string{"flat [d] and 10"}},
		{"just dense enough", func(b *bench) []coalesce.Entry {
			es := rows(b, "d", 9)
			for i := range lines / 2 {
				b.write(fmt.Sprint("d/00/same", i))
			}
			return es
		}, []string{"deep [d]"}},
		{"too thin", func(b *bench) []coalesce.Entry {
			es := rows(b, "d", 9)
			for i := range lines/2 + 1 {
				b.write(fmt.Sprint("d/00/same", i))
			}
			return es
		}, []string{"flat [d] and 12"}},
		{"dense within a thin one", func(b *bench) []coalesce.Entry {
			for i := range 99 {
				b.write(fmt.Sprint("d/same", i))
			}
			return append(rows(b, "d/e", 9), changed("d/same7"))
		}, []string{"deep [d/e]", "flat [d/same7]"}},
		{"two of them and another path", func(b *bench) []coalesce.Entry {
			b.write("z")
			return append(append(rows(b, "d", 9), rows(b, "d-", 9)...), changed("z"))
		}, []string{"deep [d d-]", "flat [z]"}},
		{"a path that failed", func(b *bench) []coalesce.Entry {
			es := rows(b, "d", 9)
			es[5].Flags |= coalesce.Exact
			return es
		}, []string{"flat [d] and 12"}},
		{"a path that failed and goes by itself", func(b *bench) []coalesce.Entry {
			es := rows(b, "d", 12)
			es[5].Flags |= coalesce.Exact | coalesce.Racy
			return es
		}, []string{"flat [d] and 14", "racy [d/00/3]"}},
		{"a removal that was counted", func(b *bench) []coalesce.Entry {
			return append(rows(b, "d", 9), gone("d/00/x"))
		}, []string{"deep [d]"}},
		{"a removal without a count", func(b *bench) []coalesce.Entry {
			e := gone("d/00/x")
			e.Flags |= coalesce.Dir | coalesce.Uncounted
			return append(rows(b, "d", 9), e)
		}, []string{"flat [-d/00/x] max 0", "deep [d]"}},
		{"what moved away has not arrived", func(b *bench) []coalesce.Entry {
			b.write("z")
			z := coalesce.Entry{Path: "z", From: "d/00/x", Flags: coalesce.Name | coalesce.Content | coalesce.Moved}
			return append(rows(b, "d", 9), gone("d/00/x"), z)
		}, []string{"flat [d z] and 12", "flat [-d/00/x]"}},
		{"a name that came and went", func(b *bench) []coalesce.Entry {
			e := gone("d/00/x")
			e.Flags |= coalesce.Born | coalesce.Ghost
			return append(rows(b, "d", 9), e)
		}, []string{"deep [d]"}},
		{"crowded directories", func(b *bench) []coalesce.Entry {
			var es []coalesce.Entry
			for i := range 2 * crowdMin {
				p := fmt.Sprintf("d/%d/%d", i%2, i)
				b.write(p)
				es = append(es, changed(p))
			}
			return es
		}, []string{"flat [d/0/ d/1/]"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			inBubble(t, 1, shallow, func(b *bench) {
				b.live()
				pass(time.Minute)
				b.pile(x.make(b)...)
				for _, want := range x.want {
					c := b.next(0)
					if got := brief(c, "d"); got != want && c.String() != want {
						t.Errorf("sent %v, %s, want %s", c, got, want)
					}
					c.ok()
				}
				b.quiet(0, time.Hour)
				if st := b.status(0); st.Backlog != 0 || st.Failing != 0 {
					t.Errorf("status: %+v", st)
				}
			})
		})
	}
}

// A tree that is still being filled goes by lists: what comes meanwhile would
// be Racy.
func TestDeepenWaitsForQuiet(t *testing.T) {
	inBubble(t, 1, shallow, func(b *bench) {
		b.live()
		pass(time.Minute)
		es := rows(b, "d", 12)
		b.send(es...)
		c := b.next(0)
		if got := brief(c, "d"); got != "flat [d] and 15" {
			t.Errorf("sent %v", c)
		}
		c.ok()
		// What goes by itself counts too.
		for flags, want := range map[coalesce.Flags]string{0: "flat [d] and 15", coalesce.Racy: "flat [d] and 14"} {
			pass(time.Minute)
			last := len(es) - 1
			b.s.Pause("test")
			b.send(es[:last]...)
			pass(deepQuiet)
			e := es[last]
			e.Flags |= flags
			b.send(e)
			b.s.Resume(false, "")
			c = b.next(0)
			if got := brief(c, "d"); got != want {
				t.Errorf("sent %v, want %s", c, want)
			}
			c.ok()
			if flags != 0 {
				b.next(0).ok()
			}
		}
	})
}

// Of the recursive part and the rest that goes which has waited longer.
func TestDeepenDoesNotOvertake(t *testing.T) {
	one := func(c *Config) { shallow(c); c.Remotes[0].Parallel = 1 }
	inBubble(t, 1, one, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("z")
		es := rows(b, "d", 9)
		b.s.Pause("test")
		b.send(changed("z"))
		pass(time.Second)
		b.pile(es...)
		b.expect(0, "flat [z]").ok()
		b.expect(0, "deep [d]").ok()
		b.quiet(0, time.Hour)
	})
}

// Nothing recursive goes where a flight is, where a path has failed, or where
// one is sought.
func TestDeepenKeepsClear(t *testing.T) {
	inBubble(t, 1, shallow, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.write("d/02/0")
		b.send(changed("d/02/0"))
		first := b.expect(0, "flat [d/02/0]")
		b.s.Pause("test")
		es := rows(b, "d", 20)
		b.send(append(rows(b, "e", 9), es...)...)
		pass(time.Second)
		b.s.Resume(false, "")
		second := b.expect(0, "deep [e]")
		pass(time.Second)
		first.end(Result{Class: Partial, Failed: []PathError{{Path: "d/02/0", Message: "denied"}}})
		third := b.next(0)
		if got := brief(third, "d"); got != "flat [d] and 24" {
			t.Errorf("sent %v beside a failed path", third)
		}
		second.ok()
		third.ok()
	})
	inBubble(t, 1, shallow, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.pile(rows(b, "d", 60)...)
		b.expect(0, "deep [d]").end(Result{Class: Partial, Message: "some files could not be transferred"})
		for range 20 {
			select {
			case c := <-b.senders[0].calls:
				if c.batch.Form.Deep() {
					t.Errorf("sent %v while the poisoned path is sought", c)
				}
				res := Result{}
				if slices.ContainsFunc(c.batch.Items, func(it Item) bool { return it.Path == "d/03/1" }) {
					res = Result{Class: Partial, Message: "some files could not be transferred"}
				}
				c.end(res)
			case <-time.After(100 * time.Millisecond):
			}
		}
		if st := b.status(0); st.Failing != 1 || st.Failures[0].Path != "d/03/1" {
			t.Errorf("status: %+v", st)
		}
	})
}

// When a run leaves deletions undone, what asked for some is tried again, and
// not all that went with it.
func TestSkippedDeletionsBlameFew(t *testing.T) {
	inBubble(t, 1, shallow, func(b *bench) {
		b.live()
		pass(time.Minute)
		b.pile(append(rows(b, "d", 9), gone("d/00/x"), coalesce.Entry{Path: "d/01", Flags: coalesce.Children | coalesce.Dir})...)
		b.expect(0, "deep [d]").end(Result{Class: Partial, DeletesSkipped: true, Failed: []PathError{{Path: "d/00/1", Message: "denied"}}})
		var failing []string
		for _, f := range b.status(0).Failures {
			failing = append(failing, f.Path)
		}
		if got := strings.Join(failing, " "); got != "d/00/1 d/00/x d/01" {
			t.Errorf("held: %s", got)
		}
		b.expect(0, "flat [d/00/1 -d/00/x d/01/]").ok()
		b.quiet(0, time.Hour)
	})
}

// What a recursive run may delete is judged as if it were listed.
func TestDeepenIsGuarded(t *testing.T) {
	limited := func(c *Config) { shallow(c); c.Limits = few(2) }
	for _, x := range []struct {
		gone int
		want string
	}{{2, "deep [d] max 2"}, {3, ""}} {
		inBubble(t, 1, limited, func(b *bench) {
			b.live()
			pass(time.Minute)
			es := rows(b, "d", 9)
			for i := range x.gone {
				es = append(es, gone(fmt.Sprint("d/00/x", i)))
			}
			b.pile(es...)
			if x.want != "" {
				b.expect(0, x.want).ok()
			}
			b.quiet(0, time.Hour)
			if st := b.status(0); (st.State == Halted) != (x.want == "") {
				t.Errorf("status: %+v", st)
			}
		})
	}
}
