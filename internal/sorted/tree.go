// Package sorted keeps values in order.
//
// In: values and the order they have. Out: the values again, one by one or by
// range. It is the only place that knows google/btree, which is archived
// upstream: another implementation would replace it here. There is no
// goroutine, and none may change a Tree while another uses it.
package sorted

import "github.com/google/btree"

const (
	// degree 32 was the best of 16, 32 and 64 for a million paths.
	degree = 32
	// freeNodes bounds the nodes that emptied trees of one Pool keep.
	freeNodes = 4096
)

// Pool keeps nodes of emptied trees for the next fill. It is safe for
// concurrent use, so that what it holds does not grow with the number of trees.
type Pool[T any] struct{ free *btree.FreeListG[T] }

// NewPool makes a Pool; it keeps at most 4,096 nodes.
func NewPool[T any]() *Pool[T] { return &Pool[T]{btree.NewFreeListG[T](freeNodes)} }

// Tree holds values in the order of less; of equal values it holds one. It must
// not be changed by the functions that its Ascend methods call.
type Tree[T any] struct{ tree *btree.BTreeG[T] }

// New makes an empty Tree. A nil pool means one of its own.
func New[T any](less func(a, b T) bool, pool *Pool[T]) Tree[T] {
	if pool == nil {
		return Tree[T]{btree.NewG(degree, less)}
	}
	return Tree[T]{btree.NewWithFreeListG(degree, less, pool.free)}
}

// Len is the number of values.
func (t Tree[T]) Len() int { return t.tree.Len() }

// Get returns the value that equals key.
func (t Tree[T]) Get(key T) (T, bool) { return t.tree.Get(key) }

// Set adds v, in the place of the value that equals it.
func (t Tree[T]) Set(v T) { t.tree.ReplaceOrInsert(v) }

// Delete removes and returns the value that equals key.
func (t Tree[T]) Delete(key T) (T, bool) { return t.tree.Delete(key) }

// Clear removes all values.
func (t Tree[T]) Clear() { t.tree.Clear(true) }

// Ascend calls f for every value in order until it returns false.
func (t Tree[T]) Ascend(f func(T) bool) { t.tree.Ascend(f) }

// AscendFrom is Ascend beginning with the first value not before from.
func (t Tree[T]) AscendFrom(from T, f func(T) bool) { t.tree.AscendGreaterOrEqual(from, f) }

// AscendRange is Ascend over the values not before from and before to.
func (t Tree[T]) AscendRange(from, to T, f func(T) bool) { t.tree.AscendRange(from, to, f) }
