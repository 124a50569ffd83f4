package watcher

const (
	// nameChunk is how many bytes of names are allocated at once.
	nameChunk = 32 << 10
	// nameUnit is what names begin at a multiple of.
	nameUnit = 4
)

// nameRef says where in an arena a name stands, in units; 0 is no name.
type nameRef uint32

// nameArena holds names of up to 255 bytes without a pointer to each: a byte
// for the length and then the name, none across the end of a chunk. There is
// room for 16 GiB, the names of 64 million directories at least, whose watches
// would take 80 GiB of the kernel's memory.
type nameArena struct {
	chunks [][]byte
	// used is how much of the last chunk is taken.
	used int
	// live and dead count the bytes of names in use and given up.
	live, dead int
}

// nameSize is the room a name of n bytes takes.
func nameSize(n int) int { return (1 + n + nameUnit - 1) &^ (nameUnit - 1) }

// put copies a name into the arena.
func (a *nameArena) put(name string) nameRef {
	size := nameSize(len(name))
	if len(a.chunks) == 0 || a.used+size > nameChunk {
		a.chunks = append(a.chunks, make([]byte, nameChunk))
		a.used = 0
		if len(a.chunks) == 1 {
			a.used = nameUnit
		}
	}
	at := a.chunks[len(a.chunks)-1][a.used:]
	at[0] = byte(len(name))
	copy(at[1:], name)
	ref := ((len(a.chunks)-1)*nameChunk + a.used) / nameUnit
	a.used += size
	a.live += size
	return nameRef(ref)
}

// get returns a name, which aliases the arena.
func (a *nameArena) get(r nameRef) []byte {
	at := int(r) * nameUnit
	b := a.chunks[at/nameChunk][at%nameChunk:]
	return b[1 : 1+int(b[0])]
}

// giveUp says that a name is no longer needed. Its room comes back when all
// names in use are put into a new arena.
func (a *nameArena) giveUp(r nameRef) {
	size := nameSize(len(a.get(r)))
	a.live -= size
	a.dead += size
}

// wasteful reports whether more than half of the names are given up, and so
// much that it matters.
func (a *nameArena) wasteful() bool { return a.dead > a.live && a.dead > nameChunk }
