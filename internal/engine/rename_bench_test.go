package engine

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/scheduler"
)

const (
	// renameFiles is how many files of 10 KB the renamed directory has, and
	// renameBytes the size of the renamed file, unless filesEnv and bytesEnv say.
	renameFiles, filesEnv = 10_000, "FANSYNC_RENAME_FILES"
	renameBytes, bytesEnv = 100 << 20, "FANSYNC_RENAME_BYTES"
)

// BenchmarkRename renames a directory, or a file, and measures until a real
// daemon has it under the new name alone: as the ratio to what the ideal takes,
// one rsync that is told the two names, by a link without a limit and by one of
// 100 Mbit/s; and as the part of the bytes that goes over the wire and that is file
// data.
func BenchmarkRename(b *testing.B) {
	for _, what := range []string{"directory", "file"} {
		for _, limit := range []string{"", "--bwlimit=12207"} {
			name := what + "/unlimited"
			if limit != "" {
				name = what + "/100Mbit"
			}
			b.Run(name, func(b *testing.B) {
				var live, ideal time.Duration
				var sent scheduler.Stats
				var size int64
				for b.Loop() {
					m := newMirror(b, "auto")
					m.src = b.TempDir()
					m.conf.Roots[0].Path = m.src
					if what == "directory" {
						size = plant(b, filepath.Join(m.src, "old"), envInt(b, filesEnv, renameFiles))
					} else {
						size = int64(envInt(b, bytesEnv, renameBytes))
						noise(b, filepath.Join(m.src, "old"), int(size))
					}
					fill := exec.Command("rsync", "-a", m.src+"/", m.dst)
					if out, err := fill.CombinedOutput(); err != nil {
						b.Fatalf("rsync: %v: %s", err, out)
					}
					if limit != "" {
						m.conf.Roots[0].Remotes[0].RsyncOptions = []string{limit}
					}
					e := m.start(b)
					e.flush(b)
					<-time.After(time.Second) // nothing counts as met by the first run
					before, _ := e.trace.total()
					begin := time.Now()
					m.rename(b, "old", "new")
					e.flush(b)
					live += time.Since(begin)
					after, _ := e.trace.total()
					sent.Wire += after.Wire - before.Wire
					sent.Literal += after.Literal - before.Literal
					if n := countFiles(b, m.dst); n != countFiles(b, m.src) {
						b.Fatalf("%d files are at the remote", n)
					}
					e.stop(b)
					ideal += m.resend(b, limit)
				}
				b.ReportMetric(ideal.Seconds()/live.Seconds(), "times-as-fast-as-resend")
				b.ReportMetric(100*float64(sent.Wire)/float64(b.N)/float64(size), "%wire")
				b.ReportMetric(float64(sent.Wire)/float64(b.N), "wire-B/op")
				b.ReportMetric(float64(sent.Literal)/float64(b.N), "literal-B/op")
				b.ReportMetric(live.Seconds()/float64(b.N), "s/rename")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// resend is how long the ideal takes for the same rename back.
func (m *mirror) resend(b *testing.B, limit string) time.Duration {
	b.Helper()
	m.rename(b, "new", "old")
	args := []string{"-a", "-r", "--files-from=-", "--from0", "--delete-missing-args", "--force", "--modify-window=-1"}
	if limit != "" {
		args = append(args, limit)
	}
	cmd := exec.Command("rsync", append(args, m.src+"/", m.daemon.URL("m", "")+"/")...)
	cmd.Stdin = strings.NewReader("./old\x00./new\x00")
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("rsync: %v: %s", err, out)
	}
	took := time.Since(begin)
	m.equal(b)
	return took
}
