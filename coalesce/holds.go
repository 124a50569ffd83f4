package coalesce

import "container/heap"

// holds are the files that wait for their writer, and when each may go at
// last. An alarm is never later than its path's due time; it may be early, or
// left over from a path that is no longer held, and is put right when it comes
// to the top. So an event on a held path costs no heap operation.
type holds struct {
	set             *Set
	alarms          alarms
	quiet, maxDelay int64
}

type alarm struct {
	at   int64
	path string
}

// due is when a held entry goes without its writer's close.
func (h *holds) due(e Entry) int64 {
	return min(e.Last+h.quiet, e.Since+h.maxDelay)
}

// add merges e into the held entry of its path, or begins to hold it.
func (h *holds) add(e Entry) {
	x, held := h.set.Get(e.Path)
	h.set.Add(e)
	y, _ := h.set.Get(e.Path)
	if at := h.due(y); !held || at < h.due(x) {
		heap.Push(&h.alarms, alarm{at, y.Path})
	}
	if len(h.alarms) > 2*h.set.Len()+64 {
		h.rebuild()
	}
}

// rebuild drops the alarms that were left over.
func (h *holds) rebuild() {
	h.alarms = h.alarms[:0]
	h.set.Ascend(func(e Entry) bool {
		h.alarms = append(h.alarms, alarm{h.due(e), e.Path})
		return true
	})
	heap.Init(&h.alarms)
}

// next is when the first held entry is due.
func (h *holds) next() (int64, bool) {
	for len(h.alarms) > 0 {
		top := &h.alarms[0]
		e, held := h.set.Get(top.path)
		switch {
		case !held:
			heap.Pop(&h.alarms)
		case h.due(e) > top.at:
			top.at = h.due(e)
			heap.Fix(&h.alarms, 0)
		default:
			return top.at, true
		}
	}
	return 0, false
}

// take removes what is due and shows it to f.
func (h *holds) take(now int64, f func(Entry)) {
	for {
		at, ok := h.next()
		if !ok || at > now {
			return
		}
		e, _ := h.set.Remove(h.alarms[0].path)
		f(e)
	}
}

// takeAll removes everything and shows it to f.
func (h *holds) takeAll(f func(Entry)) {
	h.set.Ascend(func(e Entry) bool {
		f(e)
		return true
	})
	h.set.Clear()
	h.alarms = nil
}

// alarms is a heap, the earliest on top.
type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at < a[j].at }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = alarm{}
	*a = (*a)[:last]
	return x
}
