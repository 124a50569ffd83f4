package links

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// BenchmarkWalk finds the names of files with several links among 4,000 files
// in 80 directories, all in the kernel's caches: ours with getdents and statx
// on all cores, walkdir with filepath.WalkDir.
func BenchmarkWalk(b *testing.B) {
	const dirs, files, linked = 80, 50, 160
	root := b.TempDir()
	for d := range dirs {
		dir := filepath.Join(root, fmt.Sprintf("dir-%02d/sub-%02d", d/20, d%20))
		fine(b, os.MkdirAll(dir, 0o755))
		for f := range files {
			fine(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%02d", f)), nil, 0o644))
		}
		fine(b, os.Rename(filepath.Join(dir, "file-00"), filepath.Join(dir, "a")))
		fine(b, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	}
	perFile := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(dirs*(files+1)), "ns/file")
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		t, err := openTree(root)
		fine(b, err)
		defer t.close()
		for b.Loop() {
			w := &walker{tree: t, skip: func(string, bool) bool { return false }, most: 1 << 20}
			w.run("")
			fine(b, w.err)
			if len(w.found) != linked {
				b.Fatalf("%d names, want %d", len(w.found), linked)
			}
		}
		perFile(b)
	})
	b.Run("walkdir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			fine(b, filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				if info.Sys().(*syscall.Stat_t).Nlink > 1 {
					n++
				}
				return nil
			}))
			if n != linked {
				b.Fatalf("%d names, want %d", n, linked)
			}
		}
		perFile(b)
	})
}

func fine(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
