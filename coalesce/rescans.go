package coalesce

import (
	"cmp"
	"slices"
)

// rescans collects requests without repeating one.
type rescans map[Rescan]struct{}

func (r rescans) add(q Rescan) { r[q] = struct{}{} }

// take empties r: in order of path, then reason, without those that a rescan
// of a directory above takes in, whatever its reason.
func (r rescans) take() []Rescan {
	if len(r) == 0 {
		return nil
	}
	paths := make(map[string]struct{}, len(r))
	for q := range r {
		paths[q.Path] = struct{}{}
	}
	var out []Rescan
	for q := range r {
		if !coveredBy(paths, q.Path) {
			out = append(out, q)
		}
	}
	clear(r)
	slices.SortFunc(out, func(a, b Rescan) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// coveredBy reports whether a directory strictly above path is in paths.
func coveredBy(paths map[string]struct{}, path string) bool {
	for path != "" {
		path = Parent(path)
		if _, ok := paths[path]; ok {
			return true
		}
	}
	return false
}
