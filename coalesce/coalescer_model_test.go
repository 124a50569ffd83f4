package coalesce

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/fansync/fansync/watcher"
)

// modelCoalescer is Coalescer by plain search: one slow set for what is ready,
// one for what waits for its writer, every time worked out when asked for.
type modelCoalescer struct {
	cfg           Config
	ready, held   modelSet
	rescans       []Rescan
	barriers      []uint64
	gone          bool
	hidden        []int64
	urgent        int64 // -1: not
	first, oldest int64
}

func newModelCoalescer(cfg Config) *modelCoalescer {
	return &modelCoalescer{cfg: cfg.withDefaults(), ready: modelSet{}, held: modelSet{}, urgent: -1}
}

func (m *modelCoalescer) waiting() bool { return len(m.ready)+len(m.rescans)+len(m.hidden) > 0 }

func (m *modelCoalescer) wait(since, t int64) {
	if !m.waiting() {
		m.first, m.oldest = t, since
	}
	m.first, m.oldest = min(m.first, t), min(m.oldest, since)
}

func (m *modelCoalescer) release(path string, t int64) {
	if e, ok := m.held.remove(path); ok {
		m.wait(e.Since, t)
		m.ready.add(e, false)
	}
}

func (m *modelCoalescer) add(ev watcher.Event) {
	k, t := ev.Kind, ev.Time
	has := func(b watcher.Kind) bool { return k&b != 0 }
	if has(watcher.Rescan) {
		m.wait(t, t)
		m.rescans = append(m.rescans, Rescan{ev.Path, string(ev.Reason)})
	}
	if has(watcher.Barrier) {
		m.barriers = append(m.barriers, ev.Barrier)
	}
	m.gone = m.gone || has(watcher.Gone)
	if has(watcher.Barrier|watcher.Gone) && m.urgent < 0 {
		m.urgent = t
	}
	only := k &^ (watcher.Rescan | watcher.Barrier | watcher.Gone)
	if has(watcher.Hidden) && (has(watcher.Dir) || ev.Path == "") {
		m.wait(t, t)
		m.hidden = append(m.hidden, max(t, 1))
		only &^= watcher.Hidden
		ev.Kind &^= watcher.Hidden
	}
	if only != k && only&^watcher.Dir == 0 {
		return
	}
	e := newEntry(ev, t)
	if e.From != "" {
		x := Entry{}
		for _, s := range []modelSet{m.held, m.ready} {
			if h := s[e.From]; h != nil {
				x = h.view()
			}
		}
		switch {
		case x.Has(Born), x.From == "" && (x.Has(Moved) || m.ready.covered(e.From)):
			e.From = ""
		case x.From != "":
			e.From = x.From
		}
		if e.From == e.Path {
			e.From = ""
		}
	}
	fresh := true
	for _, s := range []modelSet{m.held, m.ready} {
		if h := s[e.Path]; h != nil {
			fresh = false
			if h.view().Has(Born) {
				e.Flags &^= Racy
			}
		}
	}
	if fresh && ev.Kind&^watcher.Dir == watcher.Created {
		e.Flags |= Born
	}
	if e.Has(Subtree) || e.Has(Name|Dir) {
		for _, b := range m.held.under(e.Path) {
			m.release(b.Path, t)
		}
	}
	unlinked := m.ready[e.Path] != nil && m.ready[e.Path].view().Any(Gone|Ghost) && !e.Has(Name)
	plain := !has(watcher.Closed | watcher.Removed | watcher.Dir | watcher.Subtree | watcher.Children)
	open := plain && (has(watcher.Modified) || has(watcher.Created) && !has(watcher.Moved))
	switch {
	case open && m.cfg.Quiet > 0 && !unlinked && !m.ready.covered(e.Path):
		if x, ok := m.ready.remove(e.Path); ok {
			m.held.add(x, false)
		}
		m.held.add(e, false)
	case m.held[e.Path] != nil && only&^watcher.Attrib == 0:
		m.held.add(e, false)
	default:
		m.release(e.Path, t)
		m.wait(t, t)
		m.ready.add(e, false)
	}
}

func (m *modelCoalescer) due(e Entry) int64 {
	return min(e.Last+int64(m.cfg.Quiet), e.Since+int64(m.cfg.MaxDelay))
}

func (m *modelCoalescer) readyAt() int64 {
	return min(m.first+int64(m.cfg.Window), m.oldest+int64(m.cfg.MaxDelay))
}

func (m *modelCoalescer) next() (int64, bool) {
	if m.urgent >= 0 {
		return m.urgent, true
	}
	var all []int64
	for _, e := range m.held.all() {
		all = append(all, m.due(e))
	}
	if m.waiting() {
		all = append(all, m.readyAt())
	}
	if len(all) == 0 {
		return 0, false
	}
	return slices.Min(all), true
}

func (m *modelCoalescer) flush(now int64, force bool) Change {
	force = force || m.urgent >= 0
	all := force || m.waiting() && m.readyAt() <= now
	out := modelSet{}
	if all {
		out = m.ready
		m.ready = modelSet{}
	}
	for _, e := range m.held.all() {
		if force || m.due(e) <= now {
			delete(m.held, e.Path)
			out.add(e, false)
		}
	}
	ch := Change{Entries: out.all()}
	if all {
		r := make(rescans)
		for _, q := range m.rescans {
			r.add(q)
		}
		ch.Rescans, m.rescans = r.take(), nil
		if len(m.hidden) > 0 {
			ch.Hidden, m.hidden = slices.Min(m.hidden), nil
		}
	}
	if force {
		ch.Barriers, ch.Gone = m.barriers, m.gone
		m.barriers, m.gone, m.urgent = nil, false, -1
	}
	return ch
}

func someEvent(pick chooser, now int64) watcher.Event {
	usual := []watcher.Kind{
		watcher.Created, watcher.Modified, watcher.Closed, watcher.Attrib, watcher.Removed,
		watcher.Created | watcher.Dir, watcher.Removed | watcher.Dir, watcher.Modified | watcher.Closed,
		watcher.Removed | watcher.Moved, watcher.Created | watcher.Moved, watcher.Attrib | watcher.Dir,
		watcher.Removed | watcher.Moved | watcher.Dir, watcher.Created | watcher.Moved | watcher.Dir,
		watcher.Subtree | watcher.Dir, watcher.Children | watcher.Dir, watcher.Created | watcher.Removed,
		watcher.Hidden | watcher.Modified,
	}
	ev := watcher.Event{Path: somePath(pick), Kind: usual[pick(len(usual))], Time: now}
	switch pick(24) {
	case 0:
		ev.Kind |= 1 << pick(13)
	case 1:
		ev.Kind, ev.Reason = watcher.Rescan, watcher.RingFull
	case 2:
		ev.Kind, ev.Barrier = watcher.Barrier, uint64(now)
	case 3:
		ev.Path, ev.Kind = "", watcher.Hidden|watcher.Dir
	}
	if ev.Has(watcher.Created|watcher.Moved) && pick(3) > 0 {
		ev.From = somePath(pick)
	}
	return ev
}

// moreJumbled gives want the Jumbled that got has besides: entries that were held
// are merged in another order than in the model, and then more may be in doubt,
// which costs trust in a move and is right. Less would be wrong.
func moreJumbled(want, got []Entry) {
	if len(want) != len(got) {
		return
	}
	for i := range want {
		if want[i].Path == got[i].Path {
			want[i].Flags |= got[i].Flags & Jumbled
		}
	}
}

// stepCoalescer does one random thing to a Coalescer and its model.
func stepCoalescer(t failer, pick chooser, c *Coalescer, m *modelCoalescer, now *int64) {
	t.Helper()
	if pick(3) == 0 {
		*now += int64(pick(40)) * int64(ms) / 4
	}
	if pick(4) > 0 {
		ev := someEvent(pick, *now)
		c.Add(ev, *now)
		m.add(ev)
	} else {
		force := pick(10) == 0
		at, ok := c.Next()
		ch := c.Flush(*now, force)
		want := m.flush(*now, force)
		moreJumbled(want.Entries, ch.Entries)
		if d := cmp.Diff(want, ch, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("flush at %d: -want +got\n%s", *now, d)
		}
		if due := ok && at <= *now; !force && due == ch.Empty() {
			t.Fatalf("due %v at %d, but flushed %v at %d", ok, at, ch, *now)
		}
	}
	at, ok := c.Next()
	if wantAt, want := m.next(); at != wantAt || ok != want {
		t.Fatalf("Next() = %d %v at %d, want %d %v", at, ok, *now, wantAt, want)
	}
}

func TestCoalescerAgainstModel(t *testing.T) {
	check(t, func(t *rapid.T, pick chooser) {
		one := func(of ...time.Duration) time.Duration { return of[pick(len(of))] * ms }
		cfg := Config{Window: one(0, -1, 20), Quiet: one(0, -1, 3), MaxDelay: one(0, 60)}
		c, m, now := NewCoalescer(cfg), newModelCoalescer(cfg), int64(0)
		for range pick(100) {
			stepCoalescer(t, pick, c, m, &now)
		}
	})
}

func FuzzCoalescer(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		pick, more := bytesChooser(data)
		c, m, now := NewCoalescer(Config{}), newModelCoalescer(Config{}), int64(0)
		for more() {
			stepCoalescer(t, pick, c, m, &now)
		}
	})
}
