package scheduler

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkSurvey looks at 60,000 files in 600 directories.
func BenchmarkSurvey(b *testing.B) {
	root := b.TempDir()
	for d := range 600 {
		dir := filepath.Join(root, fmt.Sprintf("t%d", d%20), fmt.Sprintf("d%03d", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 100 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d", f)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	cfg := Config{Source: dirSource(root), ShardMin: shardMin, Skip: func(string, bool) bool { return false }}
	for b.Loop() {
		f := flight{batch: Batch{Form: Full}, search: []Item{{}}, bigSize: bigFile, shards: 2}
		f.survey(b.Context(), cfg)
		if len(f.batch.Shards) != 2 {
			b.Fatalf("%d shards", len(f.batch.Shards))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60_620, "ns/entry")
}
