package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// A full run that several rsyncs share makes the remote equal, at the start and
// after a time in which nobody watched, while the source changes.
func TestSharedFullRuns(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := newMirror(t, "auto")
			local := t.TempDir()
			m.conf.Roots[0].Exclude = []string{"/extra/no", "*.skip"}
			m.conf.Roots[0].Remotes = append(m.conf.Roots[0].Remotes, config.Remote{Name: "local", Dest: local})
			h := mirrortest.NewHistory(seed, m.src, mirrortest.HistoryOptions{InnerLinks: true})
			defer h.Close()
			write(t, filepath.Join(m.src, ".keep"), "")
			for d := range 12 {
				dir := filepath.Join(m.src, "extra", fmt.Sprintf("d%d", d%4), fmt.Sprint(d))
				mkdir(t, dir)
				for f := range 10 {
					write(t, filepath.Join(dir, fmt.Sprint(f)), fmt.Sprint(seed, d, f))
				}
			}
			steps := func(n int) {
				t.Helper()
				if err := h.Run(n); err != nil {
					t.Fatal(err)
				}
			}
			for round := range 3 {
				steps(60) // nobody watches
				e := startTuned(t, m.conf, &trace{}, Options{Tune: func(c *scheduler.Config) {
					c.ShardMin = 128 << 10
					for i := range c.Remotes {
						c.Remotes[i].Shards = 3
					}
				}})
				steps(10) // the full run is under way
				e.flush(t)
				for _, dst := range []string{m.dst, local} {
					mirrortest.RequireEqual(t, m.src, dst, mirrortest.DiffOptions{})
				}
				if log := e.trace.String(); !strings.Contains(log, "was shared by 3") {
					t.Errorf("round %d: no run was shared:\n%s", round, log)
				}
				e.stop(t)
				// What a full run has to put right at the remote.
				for _, dst := range []string{m.dst, local} {
					write(t, filepath.Join(dst, "stray"), "x")
					mkdir(t, filepath.Join(dst, "extra", "d1", "stray", "deep"))
					write(t, filepath.Join(dst, "extra", "d1", "stray", "deep", "f"), "x")
					if err := os.RemoveAll(filepath.Join(dst, "extra", "d2")); err != nil {
						t.Fatal(err)
					}
					write(t, filepath.Join(dst, "extra", "d2"), "a file now")
				}
			}
		})
	}
}
