package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/scheduler"
)

// shared is a full run in two shards, for a source with the directories a/x,
// a/y, b and c.
func shared(maxDelete int) scheduler.Batch {
	return scheduler.Batch{
		Form: scheduler.Full, MaxDelete: maxDelete, Border: items("/", "a/"),
		Shards: []scheduler.Shard{{Items: items("a/x", "c"), Weight: 1}, {Items: items("a/y", "b"), Weight: 1}},
	}
}

func newShared(t *testing.T) *pair {
	t.Helper()
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "open"), Filters: []string{"- /a/x/no", "- b/skip/", "- *.tmp"}}, d.dir)
	write(t, p.src, "f", "a/f", "a/x/f", "a/x/d/e/f", "a/y/f", "b/f", "b/d/", "c/l@../f", "a/x/no", "a/y/no", "b/skip/f", "c/f.tmp")
	for _, dir := range []string{"a/x/d/e", "a/x/d", "a/x", "a", "c"} {
		age(t, filepath.Join(p.src, dir))
	}
	return p
}

// sameButExcluded compares, but for what the filters leave out.
func (p *pair) sameButExcluded() {
	p.t.Helper()
	want := tree(p.t, p.src)
	for _, name := range []string{"a/x/no", "b/skip", "b/skip/f", "c/f.tmp"} {
		delete(want, name)
	}
	if diff := cmp.Diff(want, tree(p.t, p.dst)); diff != "" {
		p.t.Errorf("(-source +remote):\n%s", diff)
	}
}

func TestSharedFullRun(t *testing.T) {
	p := newShared(t)
	var last scheduler.Progress
	res := p.Send(t.Context(), shared(0), func(pr scheduler.Progress) { last = pr })
	if res.Class != scheduler.OK || last.Rsyncs != 2 || last.Files == 0 {
		t.Fatalf("%+v, progress %+v", res, last)
	}
	p.sameButExcluded()
	alone := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Full, MaxDelete: 0}, nil)
	if alone.Stats.Files != res.Stats.Files || alone.Stats.Transferred != 0 {
		t.Errorf("shared: %+v\nalone: %+v", res.Stats, alone.Stats)
	}
}

// Deletions on both sides of the border are counted, and made, as by one run.
func TestSharedDeletions(t *testing.T) {
	p := newShared(t)
	if res := p.Send(t.Context(), shared(0), nil); res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	extra := []string{"g", "d/e/f", "a/g", "a/z/f", "a/z/g", "a/x/g", "a/x/d/h/i", "a/y/g", "b/g/h", "c/g"}
	write(t, p.dst, extra...)
	write(t, p.dst, "b/skip/kept", "c/kept.tmp") // excluded ones stay
	before := tree(t, p.dst)
	one := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Full, MaxDelete: 0}, nil)
	two := p.Send(t.Context(), shared(0), nil)
	if one.Class != scheduler.DeleteLimit || two.Class != scheduler.DeleteLimit || one.Skipped != two.Skipped || one.Skipped < len(extra) {
		t.Errorf("alone: %+v\nshared: %+v", one, two)
	}
	for name := range before {
		exists(t, p.dst, true, name)
	}
	res := p.Send(t.Context(), shared(-1), nil)
	if res.Class != scheduler.OK || res.Stats.Deleted < int64(len(extra)) {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "b/skip/kept", "c/kept.tmp")
	remove(t, p.dst, "b/skip", "c/kept.tmp")
	p.Send(t.Context(), scheduler.Batch{Items: items("b", "c"), MaxDelete: -1}, nil)
	p.sameButExcluded()
}

// What stands in a shard's way gives way at the border.
func TestSharedRunAndOtherTypes(t *testing.T) {
	p := newShared(t)
	write(t, p.dst, "a", "b@nowhere", "c/f/not/empty", "f/not/empty")
	if res := p.Send(t.Context(), shared(-1), nil); res.Class != scheduler.OK {
		t.Errorf("%+v", res)
	}
	p.sameButExcluded()
	remove(t, p.dst, "a/x")
	write(t, p.dst, "a/x@../../b")
	if res := p.Send(t.Context(), shared(-1), nil); res.Class != scheduler.OK {
		t.Errorf("%+v", res)
	}
	p.sameButExcluded()
}

// A shard's directory that has gone meanwhile is not deleted by a run that only
// counts.
func TestSharedRunWithoutADirectory(t *testing.T) {
	p := newShared(t)
	if res := p.Send(t.Context(), shared(0), nil); res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	remove(t, p.src, "a/x")
	if res := p.Send(t.Context(), shared(0), nil); res.Class != scheduler.DeleteLimit {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "a/x/f", "a/x/d/e/f")
	if res := p.Send(t.Context(), shared(-1), nil); res.Class != scheduler.OK && res.Class != scheduler.Partial {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, false, "a/x")
}

func TestSharedRunThatFails(t *testing.T) {
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "full")}, d.dir)
	write(t, p.src, "a/x/f", "a/y/f", "b/f", "c/f")
	if res := p.Send(t.Context(), shared(0), nil); res.Class != scheduler.Transient || !strings.Contains(res.Message, "connections") {
		t.Errorf("%+v", res)
	}
	p = newPair(t, Config{}, "")
	write(t, p.src, "a/x/f", "a/y/f", "b/f", "c/f", "out/f")
	if err := os.Chmod(filepath.Join(p.src, "b"), 0o750); err != nil {
		t.Fatal(err)
	}
	b := shared(0)
	b.Shards[1].Items = items("a/y", "b", "../out")
	res := p.Send(t.Context(), b, nil)
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "../out" {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "a/x/f", "a/y/f", "b/f", "c/f")
}

func TestTogether(t *testing.T) {
	bad := scheduler.PathError{Path: "bad", Message: "denied"}
	one := func(c scheduler.Class) scheduler.Result { return scheduler.Result{Class: c, Message: c.String()} }
	for _, c := range []struct {
		in   []scheduler.Result
		want scheduler.Result
	}{
		{[]scheduler.Result{{Stats: scheduler.Stats{Files: 3, Wire: 1}}, {Stats: scheduler.Stats{Files: 4, Wire: 2}}}, scheduler.Result{Stats: scheduler.Stats{Files: 7, Wire: 3}}},
		{[]scheduler.Result{one(scheduler.OK), {Class: scheduler.Partial, Failed: []scheduler.PathError{bad}}}, scheduler.Result{Class: scheduler.Partial, Failed: []scheduler.PathError{bad}}},
		{
			[]scheduler.Result{{Class: scheduler.Partial, Failed: []scheduler.PathError{bad}}, one(scheduler.Partial)},
			scheduler.Result{Class: scheduler.Partial, Failed: []scheduler.PathError{bad, {Message: "partial"}}},
		},
		{[]scheduler.Result{{Class: scheduler.DeleteLimit, Skipped: 2}, {Class: scheduler.DeleteLimit, Skipped: 3}, {Class: scheduler.Partial, Failed: []scheduler.PathError{bad}}}, scheduler.Result{Class: scheduler.DeleteLimit, Skipped: 5, Failed: []scheduler.PathError{bad}}},
		{[]scheduler.Result{one(scheduler.Canceled), one(scheduler.Transient), one(scheduler.DeleteLimit)}, one(scheduler.Transient)},
		{[]scheduler.Result{one(scheduler.Transient), one(scheduler.Permanent)}, one(scheduler.Permanent)},
	} {
		if diff := cmp.Diff(c.want, together(c.in)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestMeter(t *testing.T) {
	var got scheduler.Progress
	report := func(p scheduler.Progress) { got = p }
	m := newMeter([]scheduler.Shard{{Weight: 3, Entries: 100}, {Weight: 1, Entries: 50}}, report)
	m.of(0)(scheduler.Progress{Bytes: 10, Percent: 40, Rate: 5, Files: 1, Checked: 20, Total: 60})
	m.of(1)(scheduler.Progress{Bytes: 1, Percent: 0, Rate: 2, Files: 2, Checked: 40, Total: 50})
	// 3 parts by bytes, 1 part by what was looked at: (3×0.4 + 0.8) / 4.
	if got.ETA <= 0 {
		t.Errorf("no time: %+v", got)
	}
	got.ETA = 0
	if want := (scheduler.Progress{Bytes: 11, Percent: 50, Rate: 7, Files: 3, Checked: 60, Total: 110, Rsyncs: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if eta := m.sum(10 * time.Second).ETA.Round(time.Second); eta != 10*time.Second {
		t.Errorf("halfway after 10s: %v", eta)
	}
	m.of(0)(scheduler.Progress{Percent: 100})
	m.of(1)(scheduler.Progress{Percent: 100})
	if got.Percent != 100 || got.ETA != 0 {
		t.Errorf("at the end: %+v", got)
	}
	if newMeter(nil, nil).of(0) != nil {
		t.Error("progress that nobody asked for")
	}
	whole(scheduler.Batch{Entries: 1000}, report)(scheduler.Progress{Checked: 100, Total: 200})
	if fmt.Sprint(got.Percent, got.Rsyncs) != "10 1" {
		t.Errorf("alone: %+v", got)
	}
}
