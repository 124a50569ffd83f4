package watcher

import (
	"hash/maphash"
	"math/bits"
	"time"
)

const (
	// maxTraces bounds the traces of one generation, some 160 bytes each.
	maxTraces = 1 << 14
	// traceTime is how long a trace is kept at least, nanoseconds. By then its
	// name was looked at by whoever the change was told to.
	traceTime = int64(time.Minute)
	// noTrace ends the list of a file's traces.
	noTrace = ^uint32(0)
)

// trace is a name under which changes of a file were told.
type trace struct {
	// file and at are the hashes of the file's handle and of the name with
	// its directory's handle. file is 0 if the trace is void.
	file, at uint64
	// dir holds the name; nil once it is known to be out of sight.
	dir *fanNode
	// older is the file's next older trace in this generation, or noTrace.
	older uint32
	// The handle, n bytes, and the name, len bytes, lie in the generation's
	// text one after the other, from off on.
	off    uint32
	n, len uint16
}

// generation is a number of traces that are forgotten together.
type generation struct {
	all []trace
	// by has the newest trace of every file and of every name, both by hash.
	// Two things with one hash only cost a needless look.
	by   map[uint64]uint32
	text []byte
	// first and last are when its first and its newest change were noted.
	first, last int64
}

// traces remember the names under which changes of files were told of late.
// They allocate nothing but for the growth of two generations, which are used
// in turns: a trace is kept for traceTime, and some twice that at most. If
// there are more of them than fit, the older generation is forgotten before
// its time, and until that has passed any file may have been changed.
type traces struct {
	seed       maphash.Seed
	max        int
	young, old generation
	// doubt is until when traces may be missing.
	doubt int64
}

func newTraces() *traces { return &traces{seed: maphash.MakeSeed(), max: maxTraces} }

// file hashes the handle of a file. The result is odd.
func (t *traces) file(key []byte) uint64 { return maphash.Bytes(t.seed, key) | 1 }

// name hashes a name in the directory of a handle.
func (t *traces) name(dir, name []byte) uint64 {
	return bits.RotateLeft64(maphash.Bytes(t.seed, dir), 32) ^ maphash.Bytes(t.seed, name)
}

// note remembers a change told under a name in dir; at is the hash of both,
// key the file's handle.
func (t *traces) note(file, at uint64, dir *fanNode, name, key []byte, now int64) {
	if now-t.young.first > traceTime {
		t.turn(now)
	}
	if i, ok := t.young.by[at]; ok {
		if tr := &t.young.all[i]; tr.file == file && tr.at == at && tr.dir != nil {
			t.young.last = now
			return
		}
	}
	if len(t.young.all) >= t.max {
		t.turn(now)
	}
	t.young.add(trace{file: file, at: at, dir: dir}, name, key, now)
}

func (g *generation) add(tr trace, name, key []byte, now int64) {
	if g.by == nil {
		g.by = make(map[uint64]uint32)
	}
	i := uint32(len(g.all))
	tr.older = noTrace
	if old, ok := g.by[tr.file]; ok {
		tr.older = old
	}
	tr.off, tr.n, tr.len = uint32(len(g.text)), uint16(len(key)), uint16(len(name))
	g.text = append(append(g.text, key...), name...)
	g.by[tr.file], g.by[tr.at] = i, i
	g.all = append(g.all, tr)
	g.last = now
}

func (g *generation) key(tr *trace) []byte { return g.text[tr.off:][:tr.n] }

func (g *generation) name(tr *trace) []byte { return g.text[tr.off:][tr.n:][:tr.len] }

// turn forgets the old generation and begins a new one.
func (t *traces) turn(now int64) {
	if t.old.counts(now) {
		t.doubt = max(t.doubt, t.old.last+traceTime)
	}
	t.old, t.young = t.young, t.old
	clear(t.young.by)
	clear(t.young.all)
	t.young.all, t.young.text = t.young.all[:0], t.young.text[:0]
	t.young.first, t.young.last = now, now
}

// counts reports whether the generation has anything to say.
func (g *generation) counts(now int64) bool {
	return len(g.all) > 0 && now-g.last <= traceTime
}

// doubtful reports whether traces of the last traceTime may be missing.
func (t *traces) doubtful(now int64) bool { return now < t.doubt }

// changed reports whether the file has traces, or may have had some.
func (t *traces) changed(file uint64, now int64) bool {
	return t.doubtful(now) || t.of(file, now, func(*generation, *trace) bool { return false })
}

// of calls f for the traces of a file, the newest first, until f reports
// false; it reports whether there were any.
func (t *traces) of(file uint64, now int64, f func(*generation, *trace) bool) (any bool) {
	for _, g := range [...]*generation{&t.young, &t.old} {
		i, ok := g.by[file]
		if !ok || !g.counts(now) {
			continue
		}
		for ; i != noTrace; i = g.all[i].older {
			if tr := &g.all[i]; tr.file == file {
				any = true
				if !f(g, tr) {
					return true
				}
			}
		}
	}
	return any
}

// under returns the newest trace of a name, or nil.
func (t *traces) under(at uint64, now int64) (*generation, *trace) {
	for _, g := range [...]*generation{&t.young, &t.old} {
		if i, ok := g.by[at]; ok && g.counts(now) && g.all[i].at == at && g.all[i].file != 0 {
			return g, &g.all[i]
		}
	}
	return nil, nil
}

// move notes that a file with traces has gone from one name to another, under
// which it is told anew.
func (t *traces) move(file, from, to uint64, dir *fanNode, name, key []byte, now int64) {
	known := t.of(file, now, func(_ *generation, tr *trace) bool {
		if tr.at == from {
			tr.file = 0
		}
		return true
	})
	if known {
		t.note(file, to, dir, name, key, now)
	}
}

// holders know of the names that came or went last whether the file that was
// told of has them: a change of a file under a name that it has not is one
// through a descriptor. They stand by hash, each in the one place that its
// hash gives, until another takes it.
type holders [1 << 13]holder

// holder is the file that has a name, or, with the last bit inverted, the one
// that lost it.
type holder struct{ at, file uint64 }

func (h *holders) place(at uint64) *holder { return &h[at%uint64(len(h))] }

// hold notes that a file has a name.
func (h *holders) hold(file, at uint64) { *h.place(at) = holder{at, file} }

// renew does the same with a name that is worth no place of its own.
func (h *holders) renew(file, at uint64) {
	if p := h.place(at); p.at == at {
		p.file = file
	}
}

// lose notes that a file lost a name.
func (h *holders) lose(file, at uint64) { *h.place(at) = holder{at, file ^ 1} }

// lost reports whether it is known that the file has not got the name.
func (h *holders) lost(file, at uint64) bool {
	p := h.place(at)
	return p.at == at && (p.file == file^1 || p.file&1 == 1 && p.file != file)
}
