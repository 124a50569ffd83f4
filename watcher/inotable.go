package watcher

import "math/bits"

// minTable is the least number of slots.
const minTable = 64

// inoTable is a set of nodes found by a hash of what they hold: open
// addressing with linear probing, a quarter to three quarters full. What is
// hashed must not change while a node is in it.
type inoTable struct {
	// slots are 0 where there is no node; their number is a power of two.
	slots []inoID
	n     int
	shift uint8
	hash  func(inoID) uint64
}

// first is the slot at which the search for a hash begins. It goes on at the
// next ones, circling, until a slot is 0.
func (x *inoTable) first(hash uint64) int {
	return int(hash * 0x9e3779b97f4a7c15 >> x.shift)
}

func (x *inoTable) after(i int) int { return (i + 1) & (len(x.slots) - 1) }

// insert adds a node that is not in the table.
func (x *inoTable) insert(id inoID) {
	if (x.n+1)*4 > len(x.slots)*3 {
		x.resize(max(2*len(x.slots), minTable))
	}
	x.place(id)
	x.n++
}

func (x *inoTable) place(id inoID) {
	i := x.first(x.hash(id))
	for x.slots[i] != 0 {
		i = x.after(i)
	}
	x.slots[i] = id
}

// remove takes out a node that is in the table, and closes the gap: no node may
// stand behind an empty slot on the way from its first one.
func (x *inoTable) remove(id inoID) {
	gap := x.first(x.hash(id))
	for x.slots[gap] != id {
		gap = x.after(gap)
	}
	for i := x.after(gap); x.slots[i] != 0; i = x.after(i) {
		way := (i - x.first(x.hash(x.slots[i]))) & (len(x.slots) - 1)
		if way >= (i-gap)&(len(x.slots)-1) {
			x.slots[gap] = x.slots[i]
			gap = i
		}
	}
	x.slots[gap] = 0
	x.n--
	if len(x.slots) > minTable && x.n*8 < len(x.slots) {
		x.resize(len(x.slots) / 2)
	}
}

func (x *inoTable) resize(slots int) {
	old := x.slots
	x.slots = make([]inoID, slots)
	x.shift = uint8(64 - bits.Len(uint(slots-1)))
	for _, id := range old {
		if id != 0 {
			x.place(id)
		}
	}
}
