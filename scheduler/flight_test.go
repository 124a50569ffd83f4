package scheduler

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
)

func anyPath(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a-", "a0"}), 0, most).Draw(t, "path"), "/")
	})
}

func TestFlightPredicatesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]Form{Flat, Racy, Deep, DeepRacy, Full}).Draw(t, "form")
		items := map[string]Item{}
		for _, p := range rapid.SliceOfN(anyPath(4), 0, 6).Draw(t, "items") {
			it := Item{Path: p, Children: p == ""}
			switch {
			case p == "" && form.Deep():
				continue
			case p != "" && !form.Deep():
				it.Children = rapid.Bool().Draw(t, "children")
				it.Missing = !it.Children && rapid.Bool().Draw(t, "missing")
			}
			items[p] = it
		}
		if form == Full {
			items = nil
		}
		f := &flight{batch: Batch{Form: form, Items: listOf(&bucket{kind: kind{form: form}, items: items})}}
		p := anyPath(5).Draw(t, "probe")
		var covers, conflicts, below bool
		for _, it := range f.batch.Items {
			covers = covers || it.Path == p || it.Children && p != "" && coalesce.Parent(p) == it.Path ||
				(form.Deep() || it.Missing) && coalesce.Under(p, it.Path)
			conflicts = conflicts || it.Path == p || coalesce.Under(p, it.Path) || coalesce.Under(it.Path, p)
			below = below || coalesce.Under(it.Path, p)
		}
		if got := f.covers(p); got != (covers || form == Full) {
			t.Errorf("covers(%q) = %v with %v", p, got, f.batch)
		}
		if got := f.conflicts(p); got != (conflicts || form == Full || p == "") {
			t.Errorf("conflicts(%q) = %v with %v", p, got, f.batch)
		}
		if p != "" && f.below(p) != below {
			t.Errorf("below(%q) = %v with %v", p, !below, f.batch)
		}
		if !slices.IsSortedFunc(f.batch.Items, func(a, b Item) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("not sorted: %v", f.batch)
		}
	})
}

func TestStarvedAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, paths := starved{}, rapid.SliceOfN(anyPath(3), 0, 4).Draw(t, "starved")
		for _, p := range paths {
			s.add(p)
		}
		p := anyPath(4).Draw(t, "probe")
		want := slices.ContainsFunc(paths, func(q string) bool {
			return p == q || coalesce.Under(p, q) || coalesce.Under(q, p)
		})
		if got := s.meets(coalesce.Entry{Path: p}); got != want {
			t.Errorf("%q with %q: %v", p, paths, got)
		}
	})
}

func TestFormOf(t *testing.T) {
	const day = 86400e9
	file := found{path: "p", mode: 0o100644, mtime: day, ctime: day}
	aged := found{path: "p", mode: 0o100644, mtime: day, ctime: 2 * day}
	dir := found{path: "p", mode: 0o040755, mtime: day, ctime: 2 * day}
	link := found{path: "p", mode: 0o120777, mtime: day, ctime: 2 * day}
	missing := found{path: "p", missing: true}
	const c, n, m, b = coalesce.Content, coalesce.Name, coalesce.Moved, coalesce.Born
	for _, x := range []struct {
		flags coalesce.Flags
		at    found
		want  string
	}{
		{c, file, "flat p"}, {c | coalesce.Racy, file, "racy p"}, {coalesce.Attr, aged, "flat p"},
		{c, aged, "racy p"}, {n, aged, "racy p"}, {n | m, aged, "racy p"}, {n | c | b, aged, "flat p"},
		{n | coalesce.Gone, aged, "racy p"}, {coalesce.Subtree, aged, "racy p"}, {c, link, "flat p"},
		{c, found{path: "p"}, "flat p"},
		{coalesce.Attr | coalesce.Racy, dir, "flat p"}, {n, dir, "flat p"},
		{n | coalesce.Racy, dir, "deep-racy p"}, {n | coalesce.Gone, dir, "deep-racy p"},
		{coalesce.Children | coalesce.Gone | n, dir, "deep-racy p"},
		{coalesce.Subtree, dir, "deep p"}, {coalesce.Subtree | m, dir, "deep-racy p"},
		{coalesce.Subtree | coalesce.Racy, dir, "deep-racy p"}, {coalesce.Subtree | coalesce.Children, dir, "deep p"},
		{coalesce.Children, dir, "flat p/"}, {coalesce.Children | coalesce.Racy, dir, "racy p/"},
		{n | coalesce.Gone, missing, "flat -p"}, {coalesce.Subtree | m, missing, "flat -p"},
	} {
		e := coalesce.Entry{Path: "p", Flags: x.flags}
		if got := formOf(e, x.at).String() + " " + itemOf(e, x.at).String(); got != x.want {
			t.Errorf("%v as %+v: %s, want %s", x.flags, x.at, got, x.want)
		}
	}
	e := coalesce.Entry{Path: "p/q", Flags: coalesce.Attr}
	if got := formOf(e, file); got != Racy {
		t.Errorf("below what became a file: %v", got)
	}
	if it := itemOf(coalesce.Entry{Flags: coalesce.Attr}, found{mode: 0o040755}); !it.Children {
		t.Errorf("the root: %v", it)
	}
}
