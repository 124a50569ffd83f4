package sorted

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pair has a key by which it is ordered, and a value.
type pair struct{ key, value int }

func byKey(a, b pair) bool { return a.key < b.key }

// A Tree does what a map and a sort do.
func TestAgainstMap(t *testing.T) {
	pool := NewPool[pair]()
	rapid.Check(t, func(t *rapid.T) {
		tree, model := New(byKey, pool), map[int]int{}
		key := rapid.IntRange(0, 200)
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			p := pair{key.Draw(t, "key"), rapid.Int().Draw(t, "value")}
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				tree.Clear()
				clear(model)
			case 1, 2, 3:
				got, ok := tree.Delete(pair{key: p.key})
				want, known := model[p.key]
				if delete(model, p.key); ok != known || got.value != want {
					t.Fatalf("Delete(%d) = %v, %v; want %v, %v", p.key, got, ok, want, known)
				}
			default:
				tree.Set(p)
				model[p.key] = p.value
			}
		}
		var want []pair
		for _, k := range slices.Sorted(maps.Keys(model)) {
			want = append(want, pair{k, model[k]})
		}
		from, to := key.Draw(t, "from"), key.Draw(t, "to")
		check(t, "Ascend", tree.Ascend, want)
		check(t, "AscendFrom", func(f func(pair) bool) { tree.AscendFrom(pair{key: from}, f) }, want[below(want, from):])
		if from <= to {
			check(t, "AscendRange", func(f func(pair) bool) { tree.AscendRange(pair{key: from}, pair{key: to}, f) }, want[below(want, from):below(want, to)])
		}
		got, ok := tree.Get(pair{key: from})
		if v, known := model[from]; ok != known || got.value != v || tree.Len() != len(model) {
			t.Fatalf("Get(%d) = %v, %v, Len %d; want %v, %v, %d", from, got, ok, tree.Len(), v, known, len(model))
		}
	})
}

func below(all []pair, key int) int {
	i, _ := slices.BinarySearchFunc(all, key, func(p pair, k int) int { return cmp.Compare(p.key, k) })
	return i
}

func check(t *rapid.T, what string, ascend func(func(pair) bool), want []pair) {
	var got []pair
	ascend(func(p pair) bool {
		got = append(got, p)
		return true
	})
	if !slices.Equal(got, want) {
		t.Fatalf("%s gives %v, want %v", what, got, want)
	}
	n := 0
	ascend(func(pair) bool { n++; return false })
	if n != min(1, len(want)) {
		t.Fatalf("%s went on after false", what)
	}
}
