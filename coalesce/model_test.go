package coalesce

import (
	"math"
	"slices"
	"strings"
)

// modelSet is Set without a tree and without merging: it keeps all that was
// ever added to a path, and works out the entry when it is asked for.
type modelSet map[string]*history

// history is what was added to a path, the oldest first, and what was folded
// into it from below.
type history struct{ own, below []Entry }

// view replays the history.
func (h *history) view() Entry {
	r := h.own[0]
	born := r.Any(Born | Ghost)
	isGone, isDir, isNamed := r.Any(Gone|Ghost), r.Has(Dir), r.Any(Name|Gone|Ghost)
	deletes := uint64(r.Deletes)
	for _, e := range h.own[1:] {
		r.Flags |= flagIf(r.Any(Subtree|Children) && e.Any(Subtree|Children), Jumbled)
		r.Flags |= e.Flags
		if e.Any(Name | Gone | Ghost) {
			other := isGone || isNamed && !isDir
			isNamed = true
			born = born && !e.Has(Moved)
			isGone, isDir = e.Any(Gone|Ghost), e.Has(Dir)
			if other && !isGone && isDir {
				r.Flags |= Subtree | Moved
			}
			if !isGone || e.Any(Content|Subtree) {
				r.From = ""
			}
		}
		isDir = isDir || e.Has(Dir)
		if e.From != "" {
			r.From = e.From
		}
		r.Flags &^= Born | Ghost | Gone | Dir
		r.Flags |= flagIf(born, Born) | flagIf(born && isGone, Ghost) | flagIf(isGone, Gone) | flagIf(isDir, Dir)
	}
	for _, e := range h.below {
		r.Flags |= e.Flags & (Uncounted | Moved | Racy | Content | Attr | Wrote | Jumbled)
		r.Flags |= flagIf(e.Any(Moved|Subtree|Children), Jumbled)
	}
	for _, e := range slices.Concat(h.own[1:], h.below) {
		r.Since, r.Last = min(r.Since, e.Since), max(r.Last, e.Last)
		if r.Seq == 0 || e.Seq != 0 {
			r.Seq = min(r.Seq-1, e.Seq-1) + 1 // 0 wraps to the largest
		}
		deletes += uint64(e.Deletes)
	}
	r.Deletes = uint32(min(deletes, math.MaxUint32))
	return r
}

func flagIf(on bool, f Flags) Flags {
	if on {
		return f
	}
	return 0
}

func (m modelSet) add(e Entry, older bool) {
	for p, h := range m {
		if Under(e.Path, p) && h.view().Has(Subtree) {
			h.below = append(h.below, e)
			return
		}
	}
	h := m[e.Path]
	if h != nil && e.Since < h.view().Since {
		older = true
	}
	news := e
	if older {
		e = modelUnborn(e)
	}
	switch {
	case h == nil:
		h = &history{own: []Entry{e}}
		m[e.Path] = h
	case older:
		h.own, h.below = []Entry{e, modelUnborn(h.view())}, nil
	default:
		h.own = append(h.own, e)
	}
	if h.view().Has(Subtree) || !older && news.Has(Dir) && news.Any(Gone|Ghost) {
		for p, b := range m {
			if strings.HasPrefix(p, e.Path+"/") || e.Path == "" && p != "" {
				h.below = append(h.below, b.view())
				delete(m, p)
			}
		}
	}
}

func modelUnborn(e Entry) Entry {
	e.Flags |= flagIf(e.Has(Ghost), Gone)
	e.Flags &^= Born | Ghost
	return e
}

func (m modelSet) remove(path string) (Entry, bool) {
	h := m[path]
	if h == nil {
		return Entry{}, false
	}
	delete(m, path)
	return h.view(), true
}

func (m modelSet) covered(path string) bool {
	for p, h := range m {
		if (p == path || Under(path, p)) && h.view().Has(Subtree) {
			return true
		}
	}
	return false
}

// under lists what is strictly below dir, in order.
func (m modelSet) under(dir string) []Entry {
	var all []Entry
	for _, e := range m.all() {
		if Under(e.Path, dir) {
			all = append(all, e)
		}
	}
	return all
}

func (m modelSet) all() []Entry {
	var all []Entry
	for _, h := range m {
		all = append(all, h.view())
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return all
}
