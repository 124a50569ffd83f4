package watcher

import (
	"fmt"
	"testing"
)

// benchRecords is how many records one turn of these benchmarks has: about what
// one drain of the kernel's queue brings under load.
const benchRecords = 4096

// queued is a record as a program without the ring would pass it on: the read
// buffer is used again, so the names are copied.
type queued struct {
	mask      uint64
	time      int64
	dir, name string
}

// benchPayloads are records with handles of 16 bytes and names of 8 to 23.
func benchPayloads() []payload {
	all := make([]payload, 256)
	for i := range all {
		all[i] = payload{
			partDir:  fmt.Appendf(nil, "handle%010d", i%16),
			partName: fmt.Appendf(nil, "file-%03d%s", i, "-of-some-length"[:i%16]),
		}
	}
	return all
}

// BenchmarkQueue passes 4,096 records from a filler to an emptier in turns, on
// one goroutine: what passing them on costs by itself. ours is the ring, chan a
// channel of single records, chan256 one of slices of 256.
func BenchmarkQueue(b *testing.B) {
	payloads := benchPayloads()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		r := newRing(2 * benchRecords)
		for b.Loop() {
			fillRing(r, payloads)
			if n := emptyRing(r); n != benchRecords {
				b.Fatalf("%d of %d records", n, benchRecords)
			}
		}
		perRecord(b)
	})
	b.Run("chan", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan queued, 2*benchRecords)
		for b.Loop() {
			fillChan(c, payloads)
			if n := emptyChan(c); n != benchRecords {
				b.Fatalf("%d of %d records", n, benchRecords)
			}
		}
		perRecord(b)
	})
	b.Run("chan256", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan []queued, benchRecords)
		for b.Loop() {
			fillSlices(c, payloads)
			if n := emptySlices(c); n != benchRecords {
				b.Fatalf("%d of %d records", n, benchRecords)
			}
		}
		perRecord(b)
	})
}

// BenchmarkHandOver is BenchmarkQueue with filler and emptier on goroutines of
// their own, as the reader and the resolver are.
func BenchmarkHandOver(b *testing.B) {
	payloads := benchPayloads()
	b.Run("ours", func(b *testing.B) {
		r := newRing(2 * benchRecords)
		handOver(b, func() { fillRing(r, payloads) }, func() int {
			n := emptyRing(r)
			for n < benchRecords {
				<-r.wake
				n += emptyRing(r)
			}
			return n
		})
	})
	b.Run("chan", func(b *testing.B) {
		c := make(chan queued, 2*benchRecords)
		handOver(b, func() { fillChan(c, payloads) }, func() int { return emptyChan(c) })
	})
	b.Run("chan256", func(b *testing.B) {
		c := make(chan []queued, benchRecords)
		handOver(b, func() { fillSlices(c, payloads) }, func() int { return emptySlices(c) })
	})
}

// handOver lets fill run on another goroutine while empty takes what it gives.
func handOver(b *testing.B, fill func(), empty func() int) {
	b.ReportAllocs()
	turns, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for range turns {
			fill()
		}
	}()
	for b.Loop() {
		turns <- struct{}{}
		if n := empty(); n != benchRecords {
			b.Fatalf("%d of %d records", n, benchRecords)
		}
	}
	perRecord(b)
	close(turns)
	<-done
}

func fillRing(r *ring, payloads []payload) {
	var s slot
	for i := range benchRecords {
		s = slot{mask: 1, time: int64(i)}
		r.push(&s, &payloads[i%len(payloads)])
		if i%256 == 255 {
			r.publish()
		}
	}
}

// emptyRing counts the records at hand that have a name.
func emptyRing(r *ring) (n int) {
	for s := r.peek(); s != nil; s = r.peek() {
		if p := r.payload(s); len(p[partName]) > 0 {
			n++
		}
		r.pop()
	}
	return n
}

func asQueued(i int, p *payload) queued {
	return queued{mask: 1, time: int64(i), dir: string(p[partDir]), name: string(p[partName])}
}

func fillChan(c chan<- queued, payloads []payload) {
	for i := range benchRecords {
		c <- asQueued(i, &payloads[i%len(payloads)])
	}
}

func emptyChan(c <-chan queued) (n int) {
	for range benchRecords {
		if q := <-c; len(q.name) > 0 {
			n++
		}
	}
	return n
}

func fillSlices(c chan<- []queued, payloads []payload) {
	batch := make([]queued, 0, 256)
	for i := range benchRecords {
		batch = append(batch, asQueued(i, &payloads[i%len(payloads)]))
		if len(batch) == cap(batch) {
			c <- batch
			batch = make([]queued, 0, 256)
		}
	}
}

func emptySlices(c <-chan []queued) (n int) {
	for range benchRecords / 256 {
		for _, q := range <-c {
			if len(q.name) > 0 {
				n++
			}
		}
	}
	return n
}

// perRecord adds the time per record to the time per turn.
func perRecord(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}
