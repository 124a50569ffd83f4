package watcher

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFollow is what a record costs beyond the Event it makes: of a file
// that has traces, of one that has none yet, and of one deleted that was not
// changed. handle is all that the resolver does with the first.
func BenchmarkFollow(b *testing.B) {
	f := newFeed(b)
	dir := f.dir([]byte(f.nodes.key))
	key := make([]byte, 20)
	p := payload{partDir: []byte(f.nodes.key), partName: []byte("some-file-name"), partChild: key}
	s := &slot{mask: unix.FAN_MODIFY, time: 1}
	next := func(i int) { key[9], key[10], key[11] = byte(i), byte(i>>8), byte(i>>16) }
	fill := func() {
		for i := range 4 * maxTraces {
			next(i)
			f.follow(s, p, dir)
		}
	}
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		fill()
		for b.Loop() {
			f.follow(s, p, dir)
		}
	})
	b.Run("known of many", func(b *testing.B) {
		b.ReportAllocs()
		fill()
		for i := 0; b.Loop(); i++ {
			next(4*maxTraces - 1 - i*7919%(maxTraces/2))
			f.follow(s, p, dir)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		fill()
		for i := 0; b.Loop(); i++ {
			next(4*maxTraces + i)
			f.follow(s, p, dir)
		}
	})
	b.Run("deleted", func(b *testing.B) {
		b.ReportAllocs()
		f.traces = newTraces()
		d := &slot{mask: unix.FAN_DELETE, time: 1}
		for i := 0; b.Loop(); i++ {
			next(i)
			f.follow(d, p, dir)
		}
	})
	b.Run("handle", func(b *testing.B) {
		b.ReportAllocs()
		next(0)
		for b.Loop() {
			f.handle(s, p)
			f.r.out.events = f.r.out.events[:0]
		}
	})
}

// BenchmarkReveal is the look for a changed file that has lost a name: one that
// was deleted, and one that has another name.
func BenchmarkReveal(b *testing.B) {
	f := newFeed(b)
	for _, name := range []string{"T", "X"} {
		write(b, f.root+"/"+name, "")
	}
	dead, alive := f.keyOf("T"), f.keyOf("X")
	remove(b, f.root+"/T")
	for name, key := range map[string][]byte{"dead": dead, "alive": alive} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f.record(unix.FAN_MODIFY, "L", key, 1)
			for b.Loop() {
				f.record(unix.FAN_DELETE, "L", key, 2)
				f.r.out.events = f.r.out.events[:0]
			}
		})
	}
	f.settle(3)
}
