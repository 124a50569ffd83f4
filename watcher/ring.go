package watcher

import "sync/atomic"

// slotKind tells a record from the messages the reader itself puts between
// records. The order is the order in which owed messages are put.
type slotKind uint8

const (
	// slotRecord is a kernel record.
	slotRecord slotKind = iota
	// slotLost: records were dropped because the ring was full.
	slotLost
	// slotOverflow: the kernel dropped records because its queue was full.
	slotOverflow
	// slotBad: a record could not be decoded.
	slotBad
	// slotMounts: the mount table changed.
	slotMounts
	// slotBarrier: all changes made before request number at are in front.
	slotBarrier
	slotKinds
)

// The parts of a record's payload.
const (
	partDir     = iota // handle of the directory (of a rename: the old one)
	partName           // name in it (fanotify, inotify)
	partNewDir         // rename: handle of the new directory
	partNewName        // rename: name in it
	partChild          // handle of the object itself
	parts
)

// payload is the variable part of a record.
type payload [parts][]byte

// slot is one place in the ring.
type slot struct {
	// mask is the kernel's event mask.
	mask uint64
	// time is when the record was read.
	time int64
	// at is where the payload begins in the byte ring, counted from the start
	// of the program; for slotBarrier it is the request's number.
	at uint64
	// wd and cookie are inotify's.
	wd     int32
	cookie uint32
	// n are the lengths of the payload's parts, which lie one after another.
	n    [parts]uint16
	kind slotKind
}

func (s *slot) size() uint64 {
	var n uint64
	for _, k := range s.n {
		n += uint64(k)
	}
	return n
}

const (
	// reserve is the number of slots that records leave free for messages.
	reserve = uint64(slotKinds)
	// minSlots keeps the ring larger than its reserve.
	minSlots = 16
	// maxPayload bounds one record's payload: three handles, two names.
	maxPayload = 3*(8+maxHandle) + 2*256
	// slotBytes is the share of the byte ring per slot.
	slotBytes = 64
)

// ring is a single-producer, single-consumer queue of decoded records. Their
// fixed parts stand in slots, their handles and names in a second ring of
// bytes, each payload in one piece (it skips the end of the array if it does
// not fit there). Both arrays have a size of a power of two; all positions
// count up for ever and are masked to index.
//
//	head:  next slot to fill, known to the reader only.
//	pub:   end of the filled slots that the resolver may see; written by the
//	       reader only.
//	tail:  oldest filled slot; written by the resolver only.
//	btail: oldest byte in use; written by the resolver only.
//
// The resolver owns the slots in [tail, pub) and the bytes of their payloads;
// the reader owns all others, those in [pub, head) being filled but not yet
// handed over. Ownership passes to the resolver at publish and back at pop.
//
// A full ring never blocks the reader: the record is dropped and a slotLost is
// put, in the reserve, behind the last record kept. One slotLost still in the
// ring stands for all records dropped while it is there: whatever they told
// of had happened before it is popped. A message that finds even the reserve
// full is owed, and no record passes it.
type ring struct {
	slots []slot
	bytes []byte
	wake  chan struct{}
	_     [64]byte

	// The reader's.
	head, bhead         uint64
	tailSeen, btailSeen uint64
	lostAt              uint64 // position after the newest slotLost
	owed                [slotKinds]bool
	barrier             uint64
	dropped             uint64
	high                uint64
	_                   [64]byte

	pub atomic.Uint64
	_   [64]byte

	tail, btail atomic.Uint64
	_           [64]byte

	// The resolver's.
	rtail, pubSeen uint64
}

// newRing makes a ring; slots is a power of two, at least minSlots.
func newRing(slots int) *ring {
	return &ring{
		slots: make([]slot, slots),
		bytes: make([]byte, max(slots*slotBytes, 4096)),
		wake:  make(chan struct{}, 1),
	}
}

// fits reports whether n more slots and the bytes up to bend are free, as far
// as the reader has seen.
func (r *ring) fits(n, bend uint64) bool {
	return r.head+n-r.tailSeen <= uint64(len(r.slots)) && bend-r.btailSeen <= uint64(len(r.bytes))
}

// room is fits with a second look at what the resolver has given back.
func (r *ring) room(n, bend uint64) bool {
	if r.fits(n, bend) {
		return true
	}
	r.publish()
	r.tailSeen, r.btailSeen = r.tail.Load(), r.btail.Load()
	return r.fits(n, bend)
}

// push appends a record, or drops it and sees to it that the loss is told.
// Reader only.
func (r *ring) push(s *slot, p *payload) bool {
	var n uint64
	for i := range p {
		s.n[i] = uint16(len(p[i]))
		n += uint64(len(p[i]))
	}
	at := r.bhead
	if off := at & uint64(len(r.bytes)-1); off+n > uint64(len(r.bytes)) {
		at += uint64(len(r.bytes)) - off
	}
	if !r.settle(s.time) || !r.room(1+reserve, at+n) {
		r.drop(s.time)
		return false
	}
	// Here the reader owns the slot and the bytes.
	s.at, s.kind = at, slotRecord
	off := at & uint64(len(r.bytes)-1)
	for i := range p {
		off += uint64(copy(r.bytes[off:], p[i]))
	}
	r.slots[r.head&uint64(len(r.slots)-1)] = *s
	r.head++
	r.bhead = at + n
	return true
}

// drop counts a lost record and puts a slotLost unless one stands for it.
func (r *ring) drop(now int64) {
	r.dropped++
	r.tailSeen, r.btailSeen = r.tail.Load(), r.btail.Load()
	if r.lostAt <= r.tailSeen {
		r.control(slotLost, now, 0)
	}
}

// control puts a message, or owes it. Reader only.
func (r *ring) control(k slotKind, now int64, v uint64) {
	r.owed[k] = true
	if k == slotBarrier {
		r.barrier = v
	}
	r.settle(now)
}

// settle puts the messages owed and reports whether none is left. Reader only.
func (r *ring) settle(now int64) bool {
	for k := range r.owed {
		if !r.owed[k] {
			continue
		}
		if !r.room(1, r.bhead) {
			return false
		}
		s := &r.slots[r.head&uint64(len(r.slots)-1)]
		*s = slot{kind: slotKind(k), time: now}
		if s.kind == slotBarrier {
			s.at = r.barrier
		}
		r.head++
		if s.kind == slotLost {
			r.lostAt = r.head
		}
		r.owed[k] = false
	}
	return true
}

// publish hands all filled slots to the resolver and wakes it. Reader only.
func (r *ring) publish() {
	if r.pub.Load() == r.head {
		return
	}
	// From here on the resolver owns the slots before head.
	r.pub.Store(r.head)
	if n := r.head - r.tail.Load(); n > r.high {
		r.high = n
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// peek returns the oldest filled slot, or nil. Resolver only.
func (r *ring) peek() *slot {
	if r.rtail == r.pubSeen {
		if r.pubSeen = r.pub.Load(); r.rtail == r.pubSeen {
			return nil
		}
	}
	return &r.slots[r.rtail&uint64(len(r.slots)-1)]
}

// payload returns the parts of the record s, which peek gave. They are valid
// until pop. Resolver only.
func (r *ring) payload(s *slot) (p payload) {
	off := s.at & uint64(len(r.bytes)-1)
	for i, n := range s.n {
		p[i] = r.bytes[off : off+uint64(n) : off+uint64(n)]
		off += uint64(n)
	}
	return p
}

// pop gives the slot that peek returned back to the reader. Resolver only.
func (r *ring) pop() {
	s := &r.slots[r.rtail&uint64(len(r.slots)-1)]
	if s.kind == slotRecord {
		// From here on the reader owns the payload's bytes,
		r.btail.Store(s.at + s.size())
	}
	r.rtail++
	// and the slot.
	r.tail.Store(r.rtail)
}
