package watcher

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// take pops one slot as text, "" if the ring is empty.
func take(r *ring) string {
	s := r.peek()
	if s == nil {
		return ""
	}
	defer r.pop()
	switch s.kind {
	case slotRecord:
		p := r.payload(s)
		return fmt.Sprintf("record %d %q", s.mask, p)
	case slotBarrier:
		return fmt.Sprintf("barrier %d", s.at)
	}
	return fmt.Sprintf("message %d", s.kind)
}

// next is take after the reader has put what it owes, as it does at intervals.
func next(r *ring) string {
	r.settle(1)
	r.publish()
	return take(r)
}

// ringModel is the slow twin of ring: a list, with the rule about losses.
type ringModel struct {
	queue []string
	size  int
}

// step runs the operations that ops encode on a ring and on the model, and
// reports where they differ.
func step(r *ring, m *ringModel, ops []byte) error {
	var seq uint64
	for i, op := range ops {
		switch op % 4 {
		case 0, 1:
			seq++
			p := payload{partDir: []byte(strings.Repeat("h", int(op)/8)), partName: []byte(fmt.Sprint("n", seq))}
			if op%4 == 1 {
				p[partNewName] = []byte(strings.Repeat("m", int(op)))
			}
			fits := r.push(&slot{mask: seq}, &p)
			text := fmt.Sprintf("record %d %q", seq, p)
			lost := fmt.Sprintf("message %d", slotLost)
			switch {
			case fits:
				m.queue = append(m.queue, text)
			case !slices.Contains(m.queue, lost):
				m.queue = append(m.queue, lost)
			}
			if fits && len(m.queue)+int(reserve) > m.size {
				return fmt.Errorf("op %d: a record took the reserve: %d of %d", i, len(m.queue), m.size)
			}
		case 2:
			if len(m.queue) < m.size {
				seq++
				r.control(slotBarrier, 1, seq)
				m.queue = append(m.queue, fmt.Sprint("barrier ", seq))
			}
		case 3:
			for range op / 16 {
				got, want := next(r), ""
				if len(m.queue) > 0 {
					want, m.queue = m.queue[0], m.queue[1:]
				}
				if got != want {
					return fmt.Errorf("op %d: got %s, want %s", i, got, want)
				}
			}
		}
	}
	for _, want := range m.queue {
		if got := next(r); got != want {
			return fmt.Errorf("at the end: got %s, want %s", got, want)
		}
	}
	if got := next(r); got != "" {
		return fmt.Errorf("at the end: %s too much", got)
	}
	return nil
}

func TestRingBehavesAsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := 1 << rapid.IntRange(4, 7).Draw(t, "log2")
		ops := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "ops")
		if err := step(newRing(size), &ringModel{size: size}, ops); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRing(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte(strings.Repeat("\x01", 100) + "\xff"))
	f.Add([]byte("00000000002222220")) // full to the last slot
	f.Fuzz(func(t *testing.T, ops []byte) {
		if err := step(newRing(minSlots), &ringModel{size: minSlots}, ops); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRingKeepsTheLargestPayloadWhole(t *testing.T) {
	r := newRing(minSlots)
	big := []byte(strings.Repeat("x", maxPayload/parts))
	p := payload{big, big, big, big, big}
	for range 1000 {
		if !r.push(&slot{}, &p) {
			t.Fatal("an empty ring refused a record")
		}
		r.publish()
		if got := r.payload(r.peek()); string(got[parts-1]) != string(big) {
			t.Fatal("payload torn")
		}
		r.pop()
	}
}

func TestRingOwesMessagesWhenFullToTheLastSlot(t *testing.T) {
	r := newRing(minSlots)
	for i := range uint64(100) {
		r.control(slotBarrier, 1, i+1)
	}
	r.control(slotOverflow, 1, 0)
	if r.settle(1) {
		t.Fatal("nothing owed in a full ring")
	}
	if r.push(&slot{}, &payload{}) {
		t.Fatal("a record passed a message")
	}
	r.publish()
	for i := range minSlots {
		if got, want := take(r), fmt.Sprint("barrier ", i+1); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if !r.settle(1) {
		t.Fatal("still owing in an empty ring")
	}
	r.publish()
	for _, want := range []string{fmt.Sprint("message ", slotLost), fmt.Sprint("message ", slotOverflow), "barrier 100", ""} {
		if got := take(r); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// TestRingStress runs producer and consumer against each other: no bytes are
// mixed up, the order is kept, and a slotLost is taken after the last loss.
func TestRingStress(t *testing.T) {
	const n = 300_000
	r := newRing(64)
	var clock atomic.Uint64 // grows with every loss and every slotLost taken
	var lastLoss uint64
	go func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		var name [200]byte
		for i := range uint64(n) {
			k := 9 + rnd.IntN(100)
			binary.LittleEndian.PutUint64(name[:], i)
			for j := 8; j < k; j++ {
				name[j] = byte(i)
			}
			p := payload{partName: name[:k]}
			if now := clock.Add(1); !r.push(&slot{mask: i}, &p) {
				lastLoss = now
			}
			if rnd.IntN(16) == 0 {
				r.publish()
			}
			if rnd.IntN(64) == 0 {
				runtime.Gosched()
			}
		}
		for r.control(slotBarrier, 1, n); !r.settle(1); runtime.Gosched() {
		}
		r.publish()
	}()
	var next, lastTold uint64
	for {
		s := r.peek()
		switch {
		case s == nil:
			<-r.wake
			continue
		case s.kind == slotBarrier:
			if lastLoss > lastTold {
				t.Fatalf("lost at %d, last told at %d", lastLoss, lastTold)
			}
			if r.dropped == 0 {
				t.Log("nothing was dropped")
			}
			return
		case s.kind == slotLost:
			lastTold = clock.Add(1)
		default:
			name := r.payload(s)[partName]
			if got := binary.LittleEndian.Uint64(name); got != s.mask || name[len(name)-1] != byte(got) {
				t.Fatalf("payload of %d in slot %d", got, s.mask)
			}
			if s.mask < next {
				t.Fatalf("%d after %d", s.mask, next)
			}
			next = s.mask + 1
		}
		r.pop()
	}
}
