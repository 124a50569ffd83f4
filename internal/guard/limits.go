package guard

import (
	"fmt"
	"math"
)

// Limits say how much may be deleted at one remote at once. A number is too
// many when it is above both.
type Limits struct {
	// Share is the part of the known tree, 0.5 for half of it. Zero or less
	// means 0.5; 1 or more turns the guard off.
	Share float64
	// Files is a number of deletions that is always allowed. Zero means 1000;
	// negative means none, so that the share alone decides.
	Files int
}

func (l Limits) withDefaults() Limits {
	if !(l.Share > 0) {
		l.Share = 0.5
	}
	if l.Files == 0 {
		l.Files = 1000
	}
	l.Files = max(l.Files, 0)
	return l
}

// MaxDelete is the most deletions that are allowed in a tree of known entries
// (0 if that is not known), negative for no limit.
func (l Limits) MaxDelete(known int64) int64 {
	l = l.withDefaults()
	if l.Share >= 1 {
		return -1
	}
	part := math.Floor(l.Share * float64(max(known, 0)))
	return max(int64(l.Files), int64(part))
}

// Allow is nil if so many deletions are allowed, else a *TooMany.
func (l Limits) Allow(deletes, known int64) error {
	most := l.MaxDelete(known)
	if most < 0 || deletes <= most {
		return nil
	}
	return &TooMany{Deletes: deletes, Known: max(known, 0), Most: most}
}

// TooMany says that a flush would delete more than the limits allow.
type TooMany struct {
	// Deletes is what the flush would delete, Known the size of the tree (0 if
	// not known), Most what the limits allow.
	Deletes, Known, Most int64
}

// Error is one line that says what to do.
func (e *TooMany) Error() string {
	of := "of a tree of unknown size"
	if e.Known > 0 {
		of = fmt.Sprintf("of %d", e.Known)
	}
	return fmt.Sprintf("%d deletions %s are more than the %d allowed at once; confirm them if they are meant, or raise max_delete_files or max_delete_share", e.Deletes, of, e.Most)
}
