package links

// fifo is a map that forgets what came first when it is full.
type fifo[K comparable, V any] struct {
	max    int
	values map[K]V
	// order holds the keys in the order of their coming; next is the oldest
	// once it is full.
	order []K
	next  int
}

func newFIFO[K comparable, V any](most int) fifo[K, V] {
	return fifo[K, V]{max: most, values: make(map[K]V)}
}

// put sets the value of k. A key that is known keeps its age.
func (m *fifo[K, V]) put(k K, v V) {
	if _, known := m.values[k]; !known {
		if len(m.order) < m.max {
			m.order = append(m.order, k)
		} else {
			delete(m.values, m.order[m.next])
			m.order[m.next] = k
			m.next = (m.next + 1) % m.max
		}
	}
	m.values[k] = v
}

func (m *fifo[K, V]) get(k K) (V, bool) {
	v, ok := m.values[k]
	return v, ok
}
