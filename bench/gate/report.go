package gate

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"
)

// Write tells all: a table, the notes, and lines of PASS or FAIL that say what,
// by how much, and what to do.
func (r *Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Findings) > 0 {
		fmt.Fprintln(t, "measure\tbase\thead\tchange\t")
	}
	compared := 0
	for _, f := range r.Findings {
		if f.Judgement == Equal {
			fmt.Fprintf(t, "%s\t\t\t\t%s\n", f.Name, f.Judgement)
			continue
		}
		if len(f.Base) > 0 && len(f.Head) > 0 {
			compared++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Name, f.format(f.Old), f.format(f.New), f.change(), f.Judgement)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "NOTE  %s\n", n)
	}
	for _, f := range r.Findings {
		switch f.Judgement {
		case Allowed:
			fmt.Fprintf(&b, "NOTE  %s, allowed: %s\n", f.tell(), f.Reason)
		case Worse:
			fmt.Fprintf(&b, "FAIL  %s: mend it, or if it is worth it add to %s the line\n      %s<tab>the reason\n", f.tell(), AllowFile, f.Name)
		}
	}
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "FAIL  %s\n", e)
	}
	switch {
	case !r.Passed():
	case r.Base == "":
		fmt.Fprintln(&b, "PASS  without a comparison")
	case compared == 0:
		fmt.Fprintf(&b, "PASS  no figure can differ from %.12s: all was built equal, or is new\n", r.Base)
	default:
		fmt.Fprintf(&b, "PASS  %d figures are no worse than at %.12s\n", compared, r.Base)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tell says what rose and by how much.
func (f *Finding) tell() string {
	s := fmt.Sprintf("%s rose from %s to %s (%s", f.Name, f.format(f.Old), f.format(f.New), f.change())
	if !f.Counted {
		return s + fmt.Sprintf("; more than +%.0f %% for certain, twice)", 100*(maxSlower-1))
	}
	if up := f.Tolerance.limit(f.Old) - f.Old; up > 0 {
		return s + fmt.Sprintf("; tolerated: +%.3g)", up)
	}
	return s + "; none is tolerated)"
}

// format shows one figure; counts are whole numbers.
func (f *Finding) format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case f.Counted:
		return fmt.Sprintf("%.0f", v)
	}
	d := time.Duration(v * 1e9)
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%.3gns", v*1e9)
	case d < time.Millisecond:
		return fmt.Sprintf("%.4gµs", v*1e6)
	}
	return fmt.Sprintf("%.4gms", v*1e3)
}

func (f *Finding) change() string {
	switch {
	case math.IsNaN(f.Old) || math.IsNaN(f.New):
		return ""
	case f.Old == f.New:
		return "0"
	case f.Old == 0 || f.Counted && f.Old <= f.Tolerance.Exact:
		return fmt.Sprintf("%+.0f", f.New-f.Old)
	}
	return fmt.Sprintf("%+.1f %%", 100*(f.New/f.Old-1))
}
