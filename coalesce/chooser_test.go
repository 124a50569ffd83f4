package coalesce

import (
	"testing"

	"pgregory.net/rapid"
)

// chooser picks a number in [0, n): the randomness of a test, whether it comes
// from rapid or from the bytes of a fuzzer.
type chooser func(n int) int

func rapidChooser(t *rapid.T) chooser {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }
}

// bytesChooser reads data; more reports whether any is left.
func bytesChooser(data []byte) (pick chooser, more func() bool) {
	pick = func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
	return pick, func() bool { return len(data) > 0 }
}

// check runs f under rapid.
func check(t *testing.T, f func(t *rapid.T, pick chooser)) {
	rapid.Check(t, func(t *rapid.T) { f(t, rapidChooser(t)) })
}

// fuzzSeeds gives the fuzzer something to start from.
func fuzzSeeds(f *testing.F) {
	for seed := range 8 {
		data := make([]byte, 400)
		x := uint32(seed)*2654435761 + 1
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
}

// somePath is a path over few names, so that paths meet; some sort between a
// directory and what is in it.
func somePath(pick chooser) string {
	names := []string{"a", "b", "a-", "a0", "\xff"}
	path := ""
	for range pick(4) {
		path = join(path, names[pick(len(names))])
	}
	return path
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

func someEntry(pick chooser) Entry {
	e := Entry{Path: somePath(pick), Since: int64(pick(6)), Deletes: uint32(pick(3)), Seq: uint64(pick(4))}
	e.Last = e.Since + int64(pick(4))
	usual := []Flags{
		Content, Attr, Name | Content | Born, Name | Dir | Born, Name | Gone, Name | Gone | Dir,
		Name | Gone | Dir | Uncounted, Name | Gone | Ghost | Born, Name | Dir, Dir | Subtree,
		Name | Dir | Subtree | Moved, Name | Content | Moved, Dir | Children, Ghost, Racy, Exact,
	}
	e.Flags = usual[pick(len(usual))]
	if pick(8) == 0 {
		e.Flags |= 1 << pick(13)
	}
	if e.Has(Moved) && pick(2) == 0 {
		e.From = somePath(pick)
	}
	return e
}
