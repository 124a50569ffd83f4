package mirrortest

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// DiffOptions chooses what Diff compares. The zero value compares type,
// content, size, modification time to the nanosecond, mode, link target and
// device number of everything, the root included.
type DiffOptions struct {
	// Skip leaves paths out of the snapshots, as in Snapshot.
	Skip func(path string, isDir bool) bool
	// NoTimes and NoModes do not compare modification times and modes.
	NoTimes, NoModes bool
	// Owners compares user and group too.
	Owners bool
	// Links compares which names are hard links of one inode too.
	Links bool
}

// Difference is one thing in which two trees differ.
type Difference struct {
	// Path is relative to both roots; "" is the root itself.
	Path string
	// What is "missing" (the destination lacks it), "extra" (the source
	// lacks it), "type", "content", "size", "mtime", "mode", "owner",
	// "target", "device" or "links".
	What string
	// Src and Dst are the two values, readable.
	Src, Dst string
}

// String is one line with the path quoted.
func (d Difference) String() string {
	return fmt.Sprintf("%q: %s: source %s, destination %s", d.Path, d.What, d.Src, d.Dst)
}

var typeNames = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "symlink", unix.S_IFIFO: "fifo",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "character device", unix.S_IFBLK: "block device",
}

// Diff lists in what dst differs from src, in the order of the paths. A path
// whose type differs or that one side lacks has that one difference only.
func Diff(src, dst Tree, opts DiffOptions) []Difference {
	var out []Difference
	for path, a := range src {
		b, ok := dst[path]
		if !ok {
			out = append(out, Difference{path, "missing", typeNames[a.Type], "nothing"})
			continue
		}
		out = append(out, diffNode(path, a, b, opts)...)
	}
	for path, b := range dst {
		if _, ok := src[path]; !ok {
			out = append(out, Difference{path, "extra", "nothing", typeNames[b.Type]})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

func diffNode(path string, a, b Node, opts DiffOptions) []Difference {
	if a.Type != b.Type {
		return []Difference{{path, "type", typeNames[a.Type], typeNames[b.Type]}}
	}
	var out []Difference
	add := func(what string, differs bool, src, dst string) {
		if differs {
			out = append(out, Difference{path, what, src, dst})
		}
	}
	add("size", a.Size != b.Size, fmt.Sprint(a.Size), fmt.Sprint(b.Size))
	add("content", a.Sum != b.Sum, fmt.Sprintf("%x", a.Sum[:4]), fmt.Sprintf("%x", b.Sum[:4]))
	add("target", a.Target != b.Target, fmt.Sprintf("%q", a.Target), fmt.Sprintf("%q", b.Target))
	add("device", a.Rdev != b.Rdev, fmt.Sprintf("%#x", a.Rdev), fmt.Sprintf("%#x", b.Rdev))
	add("mtime", !opts.NoTimes && a.Mtime != b.Mtime, stamp(a.Mtime), stamp(b.Mtime))
	add("mode", !opts.NoModes && a.Mode != b.Mode, fmt.Sprintf("%#o", a.Mode), fmt.Sprintf("%#o", b.Mode))
	add("owner", opts.Owners && (a.UID != b.UID || a.GID != b.GID), owner(a), owner(b))
	add("links", opts.Links && a.Twin != b.Twin, fmt.Sprintf("to %q", a.Twin), fmt.Sprintf("to %q", b.Twin))
	return out
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func owner(n Node) string { return fmt.Sprintf("%d:%d", n.UID, n.GID) }

// compare takes both snapshots and their difference.
func compare(src, dst string, opts DiffOptions) ([]Difference, error) {
	a, err := Snapshot(src, opts.Skip)
	if err != nil {
		return nil, fmt.Errorf("snapshot of the source: %w", err)
	}
	b, err := Snapshot(dst, opts.Skip)
	if err != nil {
		return nil, fmt.Errorf("snapshot of the destination: %w", err)
	}
	return Diff(a, b, opts), nil
}

// RequireEqual ends the test with the list of differences unless the tree at
// dst is the exact copy of the one at src.
func RequireEqual(tb testing.TB, src, dst string, opts DiffOptions) {
	tb.Helper()
	WaitEqual(tb, src, dst, 0, opts)
}

// WaitEqual waits until the tree at dst is the exact copy of the one at src,
// and ends the test with the differences left when the time is over.
func WaitEqual(tb testing.TB, src, dst string, within time.Duration, opts DiffOptions) {
	tb.Helper()
	for end := time.Now().Add(within); ; time.Sleep(10 * pollEvery) {
		diffs, err := compare(src, dst, opts)
		if err == nil && len(diffs) == 0 {
			return
		}
		if time.Now().Before(end) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		tb.Fatal(report(diffs))
	}
}

// report lists the first differences, one a line.
func report(diffs []Difference) string {
	const most = 40
	var b strings.Builder
	fmt.Fprintf(&b, "the trees differ in %d places:", len(diffs))
	for i, d := range diffs {
		if i == most {
			b.WriteString("\n...")
			break
		}
		b.WriteString("\n" + d.String())
	}
	return b.String()
}
