package transport

import (
	"testing"

	"github.com/fansync/fansync/scheduler"
)

func (p *pair) limited(limit int, form scheduler.Form, names ...string) scheduler.Result {
	p.t.Helper()
	return p.Send(p.t.Context(), scheduler.Batch{Form: form, Items: items(names...), MaxDelete: limit}, nil)
}

// checkMaxDelete: with a limit of 0 nothing is deleted and all else is done,
// and the count has nested files in it; not counted is only a directory at
// the top of what is missing that is not empty.
func checkMaxDelete(t *testing.T, p *pair) {
	for _, tc := range []struct {
		name    string
		form    scheduler.Form
		list    []string
		skipped int
	}{
		{"full", scheduler.Full, nil, 8},
		{"missing file", scheduler.Flat, []string{"!n", "new"}, 1},
		{"missing directory", scheduler.Flat, []string{"!dd", "new"}, 7},
		{"both", scheduler.Flat, []string{"!dd", "!n", "new"}, 8},
		{"one level", scheduler.Flat, []string{"/"}, 8},
		{"deep", scheduler.Deep, []string{"!dd", "new"}, 7},
	} {
		remove(t, p.src, "new", "keep")
		remove(t, p.dst, "new", "keep", "n", "dd")
		write(t, p.src, "new", "keep")
		write(t, p.dst, "keep", "n", "dd/1", "dd/2", "dd/3", "dd/e/1", "dd/e/2", "dd/e/3")
		res := p.limited(0, tc.form, tc.list...)
		if res.Class != scheduler.DeleteLimit || res.Skipped != tc.skipped || len(res.Failed) > 0 || res.Stats.Deleted != 0 {
			t.Errorf("%s: %+v, want %d skipped", tc.name, res, tc.skipped)
		}
		exists(t, p.dst, true, "new", "keep", "n", "dd/1", "dd/2", "dd/3", "dd/e/1", "dd/e/2", "dd/e/3")
		before := len(tree(t, p.dst))
		res = p.limited(2, tc.form, tc.list...)
		// How many were deleted is seen in the tree: old daemons do not say it.
		if deleted := before - len(tree(t, p.dst)); tc.skipped > 2 && (res.Class != scheduler.DeleteLimit || res.Skipped != tc.skipped-2 || deleted != 2) {
			t.Errorf("%s, two allowed, %d deleted: %+v", tc.name, deleted, res)
		}
		if res = p.limited(100, tc.form, tc.list...); res.Class != scheduler.OK {
			t.Errorf("%s, all allowed: %+v", tc.name, res)
		}
	}
	remove(t, p.src, "dd")
	remove(t, p.dst, "dd")
	write(t, p.src, "dd")
	write(t, p.dst, "dd/1", "dd/2")
	// What is in the way of a file counts too.
	res := p.limited(0, scheduler.Flat, "dd")
	if res.Class != scheduler.DeleteLimit || res.Skipped != 2 || len(res.Failed) != 1 || res.Failed[0].Path != "dd" {
		t.Errorf("directory in a file's way: %+v", res)
	}
	exists(t, p.dst, true, "dd/1", "dd/2")
}

func TestMaxDeleteLocal(t *testing.T) { checkMaxDelete(t, newPair(t, Config{}, "")) }

func TestMaxDeleteByRules(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byRules.Store(true)
	checkMaxDelete(t, p)
}

// Against a daemon rsync ends with 0 when it has hit the limit.
func TestMaxDeleteDaemon(t *testing.T) {
	d := newDaemon(t)
	checkMaxDelete(t, newPair(t, Config{Dest: d.dest(t, "open")}, d.dir))
}
