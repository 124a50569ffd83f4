package watcher

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// noted is a change in the slow twin of traces, which forgets nothing.
type noted struct {
	file, at uint64
	time     int64
	void     bool
}

func TestTracesBehaveAsTheirModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(n int) uint64 { return uint64(rapid.IntRange(0, n-1).Draw(rt, "n")) }
		tr := newTraces()
		tr.max = 1 + int(pick(6))
		dir := &fanNode{}
		var all []noted
		now := int64(1)
		// Hashes of files are odd; names are like no file.
		file, at := func(i uint64) uint64 { return 2*i + 1 }, func(i uint64) uint64 { return 1000 + 2*i }
		for range 60 {
			now += int64(pick(20)) * int64(time.Second)
			f, a, b := file(pick(4)), at(pick(5)), at(pick(5))
			if pick(4) > 0 {
				tr.note(f, a, dir, []byte(fmt.Sprint("name", a)), []byte(fmt.Sprint("key", f)), now)
				all = append(all, noted{f, a, now, false})
			} else if a != b {
				known := tr.of(f, now, func(*generation, *trace) bool { return true })
				tr.move(f, a, b, dir, []byte(fmt.Sprint("name", b)), []byte(fmt.Sprint("key", f)), now)
				for i := range all {
					all[i].void = all[i].void || all[i].file == f && all[i].at == a
				}
				if known {
					all = append(all, noted{f, b, now, false})
				}
			}
			for i := range uint64(4) {
				compareTraces(rt, tr, all, file(i), now)
			}
		}
	})
}

// compareTraces checks that a file's traces are those of the model that are
// not too old, unless there is doubt, and no others.
func compareTraces(t *rapid.T, tr *traces, all []noted, file uint64, now int64) {
	var got []uint64
	tr.of(file, now, func(g *generation, x *trace) bool {
		got = append(got, x.at)
		if string(g.key(x)) != fmt.Sprint("key", file) || string(g.name(x)) != fmt.Sprint("name", x.at) {
			t.Fatalf("trace of %d at %d has %q, %q", file, x.at, g.key(x), g.name(x))
		}
		if !slices.ContainsFunc(all, func(n noted) bool {
			return n.file == file && n.at == x.at && !n.void && now-n.time <= 2*traceTime
		}) {
			t.Fatalf("trace of %d at %d, but nothing was noted", file, x.at)
		}
		return true
	})
	if tr.doubtful(now) {
		return
	}
	for _, n := range all {
		if n.file == file && !n.void && now-n.time < traceTime && !slices.Contains(got, n.at) {
			t.Fatalf("a change of %d at %d, %v ago, is forgotten", file, n.at, time.Duration(now-n.time))
		}
	}
}

func TestHolders(t *testing.T) {
	const name, a, b = 10, 1, 3
	for what, c := range map[string]struct {
		do           func(h *holders)
		aLost, bLost bool
	}{
		"nothing known":   {func(*holders) {}, false, false},
		"lost":            {func(h *holders) { h.lose(a, name) }, true, false},
		"lost, held":      {func(h *holders) { h.lose(a, name); h.hold(a, name) }, false, true},
		"held by another": {func(h *holders) { h.lose(a, name); h.hold(b, name) }, true, false},
		"lost, made anew": {func(h *holders) { h.lose(a, name); h.renew(a, name) }, false, true},
		"held, made anew": {func(h *holders) { h.hold(a, name); h.renew(b, name) }, true, false},
		"made":            {func(h *holders) { h.renew(a, name) }, false, false},
		"place taken":     {func(h *holders) { h.lose(a, name); h.lose(a, name+uint64(len(h))) }, false, false},
	} {
		h := new(holders)
		c.do(h)
		if h.lost(a, name) != c.aLost || h.lost(b, name) != c.bLost {
			t.Errorf("%s: lost %v, %v, want %v, %v", what, h.lost(a, name), h.lost(b, name), c.aLost, c.bLost)
		}
	}
}

func TestBurials(t *testing.T) {
	const top, mid, low = 11, 13, 15
	for what, c := range map[string]struct {
		do   func(b *burials)
		want uint64
	}{
		"nothing known":          {func(*burials) {}, low},
		"to be seen":             {func(b *burials) { b.bury(low, visible) }, visible},
		"not to be seen":         {func(b *burials) { b.bury(low, elsewhere) }, elsewhere},
		"by what is above":       {func(b *burials) { b.bury(low, mid); b.bury(mid, top); b.bury(top, visible) }, visible},
		"up to an unknown one":   {func(b *burials) { b.bury(low, mid); b.bury(mid, top) }, top},
		"seen, then moved":       {func(b *burials) { b.bury(low, visible); b.bury(low, elsewhere) }, visible},
		"moved, then seen":       {func(b *burials) { b.bury(low, elsewhere); b.bury(low, visible) }, visible},
		"in a gone one, moved":   {func(b *burials) { b.bury(low, top); b.bury(low, elsewhere) }, top},
		"place taken by another": {func(b *burials) { b.bury(low, visible); b.bury(low+2*uint64(len(b.all)), visible) }, low},
	} {
		b := newBurials()
		c.do(b)
		if got := b.top(low); got != c.want {
			t.Errorf("%s: got %d, want %d", what, got, c.want)
		}
	}
	b := newBurials()
	b.bury(low, mid)
	b.bury(mid, low)
	if b.hide(low) {
		t.Error("two directories in each other were to be seen")
	}
	b = newBurials()
	for i := range uint64(maxHidden) {
		if told := b.hide(2*i + 1); told != (i == maxHidden-1) {
			t.Fatalf("told after %d: %v", i+1, told)
		}
	}
	if len(b.hidden) != 0 {
		t.Error("kept after it was told:", len(b.hidden))
	}
}

// feed is a fan that is given records by the test.
type feed struct {
	*fan
	t    testing.TB
	root string
}

func newFeed(t testing.TB) *feed {
	t.Helper()
	root := tempRoot(t, "disk")
	need(t, BackendFanotify, root)
	w := newWatcher(t, Config{Root: root, Backend: BackendFanotify})
	t.Cleanup(w.Close)
	f := &feed{newResolver(w).back.(*fan), t, root}
	t.Cleanup(f.stop)
	return f
}

// record is the record of a file's name in the root.
func (f *feed) record(mask uint64, name string, key []byte, at time.Duration) {
	f.handle(&slot{mask: mask, time: int64(at)}, payload{partDir: []byte(f.nodes.key), partName: []byte(name), partChild: key})
}

func (f *feed) keyOf(name string) []byte {
	f.t.Helper()
	var buf handleBuf
	key, _, err := nameToHandle(unix.AT_FDCWD, f.root+"/"+name, 0, &buf)
	ok(f.t, err)
	return slices.Clone(key)
}

// taken are the Events since the last time.
func (f *feed) taken() []Event {
	return f.r.out.take(f.r.out.len())
}

// moveOut moves a new directory out of the root and returns the Events.
func (f *feed) moveOut(at time.Duration) []Event {
	f.t.Helper()
	mkdir(f.t, f.root+"/d")
	dir := f.keyOf("d")
	rename(f.t, f.root+"/d", f.root+"/../d")
	f.recordMove(dir, at)
	remove(f.t, f.root+"/../d")
	f.settle(int64(at))
	return f.taken()
}

// recordMove is the record of the root's directory d being moved out.
func (f *feed) recordMove(dir []byte, at time.Duration) {
	f.t.Helper()
	p := payload{partDir: []byte(f.nodes.key), partName: []byte("d"), partNewDir: f.keyOf(".."), partNewName: []byte("d"), partChild: dir}
	f.handle(&slot{mask: unix.FAN_RENAME | unix.FAN_ONDIR, time: int64(at)}, p)
}

// More files are changed within a minute than can be remembered: then any
// file is held to be changed, until the minute is over.
func TestTracesInDoubt(t *testing.T) {
	f := newFeed(t)
	f.traces.max = 8
	write(t, f.root+"/X", "")
	key := f.keyOf("X")
	lose := func(at time.Duration) []Event {
		t.Helper()
		ok(t, os.Link(f.root+"/X", f.root+"/L"))
		ok(t, os.Remove(f.root+"/L"))
		f.record(unix.FAN_DELETE, "L", key, at)
		return f.taken()
	}
	hide{}.check(t, lose(time.Second))
	f.record(unix.FAN_MODIFY, "L", key, time.Second)
	for i := range 2 * f.traces.max {
		f.record(unix.FAN_MODIFY, fmt.Sprint("f", i), []byte(fmt.Sprint("handle", i)), 2*time.Second)
	}
	f.taken()
	if f.traces.of(f.traces.file(key), int64(2*time.Second), func(*generation, *trace) bool { return true }) {
		t.Fatal("the trace is not forgotten; the test shows nothing")
	}
	hide{want: []string{"X"}}.check(t, lose(61*time.Second))
	hide{unknown: true}.check(t, f.moveOut(61*time.Second))
	hide{}.check(t, lose(63*time.Second))
	hide{}.check(t, f.moveOut(63*time.Second))
}

// A trace counts for at least a minute, and not for long after.
func TestTracesAge(t *testing.T) {
	f := newFeed(t)
	write(t, f.root+"/X", "")
	key := f.keyOf("X")
	for _, c := range []struct {
		after time.Duration
		want  []string
	}{{time.Minute, []string{"X"}}, {3 * time.Minute, nil}} {
		f.traces = newTraces()
		f.record(unix.FAN_MODIFY, "L", key, time.Second)
		// Others go on changing meanwhile.
		for at := time.Duration(0); at < c.after; at += 7 * time.Second {
			f.record(unix.FAN_MODIFY, fmt.Sprint(at), []byte(fmt.Sprint("handle", at)), time.Second+at)
		}
		f.taken()
		f.record(unix.FAN_DELETE, "L", key, time.Second+c.after)
		hide{want: c.want}.check(t, f.taken())
	}
}

// Some file is told with a time that is not after the change.
func TestHiddenTimeIsThatOfTheChange(t *testing.T) {
	f := newFeed(t)
	mkdir(t, f.root+"/d")
	write(t, f.root+"/X", "")
	ok(t, os.Link(f.root+"/X", f.root+"/d/L"))
	dir, key := f.keyOf("d"), f.keyOf("X")
	f.handle(&slot{mask: unix.FAN_MODIFY, time: int64(10 * time.Second)}, payload{partDir: dir, partName: []byte("L"), partChild: key})
	f.taken()
	rename(t, f.root+"/d", f.root+"/../d")
	f.recordMove(dir, 50*time.Second)
	f.settle(int64(200 * time.Second)) // late
	events := f.taken()
	hide{unknown: true}.check(t, events)
	if last := events[len(events)-1]; last.Time > int64(10*time.Second) {
		t.Errorf("the time of %v is %v, want 10s or less", last, time.Duration(last.Time))
	}
}

func TestHiddenIsNotFoldedIntoOtherNews(t *testing.T) {
	f := newFeed(t)
	for _, e := range []Event{
		{Path: "f", Kind: Created, Time: 5}, {Path: "f", Kind: Hidden | Modified, Time: 6},
		{Path: "f", Kind: Hidden | Modified, Time: 7}, {Path: "f", Kind: Closed, Time: 8},
		{Kind: Attrib | Dir, Time: 9}, {Kind: Hidden | Dir, Time: 9}, {Kind: Hidden | Dir, Time: 3},
	} {
		f.r.emit(e)
	}
	want := []Event{
		{Path: "f", Kind: Created, Time: 5}, {Path: "f", Kind: Hidden | Modified, Time: 6}, {Path: "f", Kind: Closed, Time: 8},
		{Kind: Attrib | Dir, Time: 9}, {Kind: Hidden | Dir, Time: 3},
	}
	if got := f.taken(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTracesAllocateNothing holds once both generations have grown.
func TestTracesAllocateNothing(t *testing.T) {
	tr := newTraces()
	dir := &fanNode{}
	key, name := make([]byte, 20), []byte("some-file-name")
	rnd := rand.New(rand.NewPCG(1, 2))
	next := func() {
		key[9], key[10], key[11], key[12] = byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())
	}
	one := func() {
		file, at := tr.file(key), tr.name(key, name)
		tr.note(file, at, dir, name, key, 1)
		tr.changed(file, 1)
		tr.under(at, 1)
	}
	for range 4 * maxTraces {
		next()
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n != 0 {
		t.Errorf("a known file: %v allocations", n)
	}
	if n := testing.AllocsPerRun(3*maxTraces, func() { next(); one() }); n != 0 {
		t.Errorf("a new file: %v allocations", n)
	}
}

// The memory of full generations is what maxTraces says.
func TestTracesMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tr := newTraces()
	dir := &fanNode{}
	for i := range 2 * maxTraces {
		key := fmt.Appendf(nil, "handle: %012d", i)
		name := fmt.Appendf(nil, "file-name-%08d", i)
		tr.note(tr.file(key), tr.name(key[:8], name), dir, name, key, 1)
	}
	used := (heap() - before) / (2 * maxTraces)
	t.Logf("%d bytes a trace with a handle of 20 and a name of 18", used)
	if used > 200 {
		t.Errorf("%d bytes a trace", used)
	}
	runtime.KeepAlive(tr)
}
