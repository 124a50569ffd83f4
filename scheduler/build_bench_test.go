package scheduler

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fansync/fansync/coalesce"
)

// benchSource is a root that nobody replaces.
type benchSource string

func (s benchSource) OpenDir(bool) (*os.File, error) { return os.Open(string(s)) }

// BenchmarkBuild makes one batch of 1,000 dirty paths in 20 directories, each
// path looked up in a real directory. dense: all files of a directory are dirty,
// which ours turns into one line for each directory; sparse: one file in five,
// which stay as they are. naive looks each path up by its whole name and sorts
// a map.
func BenchmarkBuild(b *testing.B) {
	for _, c := range []struct {
		name        string
		every, want int
	}{{"dense", 1, 20}, {"sparse", 5, 1000}} {
		root := b.TempDir()
		paths := benchFiles(b, root, c.every)
		entries := make([]coalesce.Entry, len(paths))
		for i, p := range paths {
			entries[i] = coalesce.Entry{Path: p, Flags: coalesce.Content | coalesce.Wrote, Since: 1, Last: 1, Seq: 1}
		}
		b.Run(c.name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			now := int64(1)
			cfg := Config{Source: benchSource(root), Now: func() int64 { return now }, Remotes: []RemoteConfig{{Name: "bench"}}}.withDefaults()
			r := newRemote(cfg, cfg.Remotes[0], func(uint64) {})
			for b.Loop() {
				for _, e := range entries {
					r.dirty.Add(e)
				}
				f := r.nextFlight(now)
				if f == nil {
					b.Fatal("no batch")
				}
				if items, sent := len(f.batch.Items), len(f.entries); items != c.want || sent != len(entries) {
					b.Fatalf("%d items for %d paths, want %d for %d", items, sent, c.want, len(entries))
				}
			}
			perPath(b, len(entries))
		})
		b.Run(c.name+"/naive", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				dirty := map[string]coalesce.Entry{}
				for _, e := range entries {
					dirty[e.Path] = e
				}
				var items []Item
				for _, path := range slices.Sorted(maps.Keys(dirty)) {
					_, err := os.Lstat(filepath.Join(root, path))
					if err != nil && !errors.Is(err, fs.ErrNotExist) {
						b.Fatal(err)
					}
					items = append(items, Item{Path: path, Missing: err != nil})
				}
				if len(items) != len(entries) {
					b.Fatalf("%d items, want %d", len(items), len(entries))
				}
			}
			perPath(b, len(entries))
		})
	}
}

// benchFiles makes 20 directories and returns 1,000 of their files, which are
// one in every of all.
func benchFiles(b *testing.B, root string, every int) (paths []string) {
	b.Helper()
	for d := range 20 {
		dir := fmt.Sprintf("top/dir-%02d", d)
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 50 * every {
			path := fmt.Sprintf("%s/file-%05d.dat", dir, f)
			if err := os.WriteFile(filepath.Join(root, path), nil, 0o644); err != nil {
				b.Fatal(err)
			}
			if f%every == 0 {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func perPath(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/path")
}
