package watcher

import "hash/maphash"

// burials tell of the directories removed last whether they were to be seen,
// which cannot be looked up any more. The record of a removal may come before
// those of what was below, for the kernel merges records. Directories stand by
// the hash of their handle, each in the one place that its hash gives, until
// another takes it.
type burials struct {
	seed maphash.Seed
	all  [1 << 12]burial
	// hidden are the directories, by hash, in or below which some file may have
	// been changed, while it is not known whether they were to be seen.
	hidden map[uint64]struct{}
}

// burial is a directory that was removed. up is the one that held it, by hash,
// or visible or elsewhere.
type burial struct{ dir, up uint64 }

const (
	// visible: below the root and not ignored. Hashes are odd.
	visible   uint64 = 2
	elsewhere uint64 = 4
	// maxHidden bounds burials.hidden.
	maxHidden = 1 << 12
	// maxUp bounds the way up, which hashes that are equal could make endless.
	maxUp = 1 << 12
)

func newBurials() *burials {
	return &burials{seed: maphash.MakeSeed(), hidden: map[uint64]struct{}{}}
}

// hash is that of a directory's handle.
func (b *burials) hash(key []byte) uint64 { return maphash.Bytes(b.seed, key) | 1 }

func (b *burials) place(dir uint64) *burial { return &b.all[dir>>1%uint64(len(b.all))] }

// bury notes where a directory was. That it was to be seen once outweighs that
// it was not in the end.
func (b *burials) bury(dir, up uint64) {
	if p := b.place(dir); p.dir != dir || p.up != visible && up != elsewhere {
		*p = burial{dir, up}
	}
}

// top is visible, elsewhere, or the topmost directory above dir, or dir itself,
// of which nothing is known.
func (b *burials) top(dir uint64) uint64 {
	for range maxUp {
		p := b.place(dir)
		if p.dir != dir {
			break
		}
		if dir = p.up; dir&1 == 0 {
			break
		}
	}
	return dir
}

// hide notes that some file may have been changed in dir, and reports whether
// that must be told now.
func (b *burials) hide(dir uint64) bool {
	switch top := b.top(dir); top {
	case visible:
		return true
	case elsewhere:
		return false
	default:
		b.hidden[top] = struct{}{}
	}
	if len(b.hidden) < maxHidden {
		return false
	}
	clear(b.hidden)
	return true
}

// removed notes that dir was removed, and where it was, and reports whether a
// change in it must be told now.
func (b *burials) removed(dir, up uint64) bool {
	b.bury(dir, up)
	if _, is := b.hidden[dir]; !is {
		return false
	}
	delete(b.hidden, dir)
	return b.hide(dir)
}
