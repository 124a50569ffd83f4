package micro

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// form is a way to tell rsync what has changed in directory d.
type form struct {
	name    string
	options []string
	// list is what stands in the list for the dirty files of d.
	list func(dirty []string) []string
}

// forms are those that the scheduler chooses from: the paths themselves, the
// directory one level deep, the directory with everything below, and all.
var forms = []form{
	{"list", []string{"--delete-missing-args", "--force"}, func(dirty []string) []string { return dirty }},
	{"one-level", []string{"--delete-missing-args", "--force", "--delete"}, func([]string) []string { return []string{"./d/"} }},
	{"recursive", []string{"--force", "--delete", "-r"}, func([]string) []string { return []string{"./d"} }},
	{"full", []string{"--force", "--delete", "-r"}, func([]string) []string { return []string{"./"} }},
}

// BenchmarkForms sends some dirty files of a directory by each form, to a local
// mirror, and measures the CPU time of both sides. Beside the directory there
// are as many files elsewhere, which only the full form looks at. The files do
// not differ in content, only in time: what is left is the price of telling.
func BenchmarkForms(b *testing.B) {
	if _, err := exec.LookPath("rsync"); err != nil {
		b.Skip("rsync is not installed")
	}
	for _, files := range []int{100, 1000, 10000} {
		for _, every := range []int{1, 2, 4, 8, 16, 32} {
			for _, f := range forms {
				b.Run(fmt.Sprintf("files=%d/dirty=1in%d/%s", files, every, f.name), func(b *testing.B) {
					src, dst := plantForms(b, files)
					var dirty []string
					for i := 0; i < files; i += every {
						dirty = append(dirty, fmt.Sprintf("./d/%05d", i))
					}
					input := []byte{}
					for _, line := range f.list(dirty) {
						input = append(append(input, line...), 0)
					}
					args := append([]string{"-a", "--files-from=-", "--from0", "--modify-window=-1"}, f.options...)
					var cpu time.Duration
					at := time.Unix(1e9, 0)
					for b.Loop() {
						at = at.Add(time.Second)
						for _, name := range dirty {
							if err := os.Chtimes(filepath.Join(src, name), at, at); err != nil {
								b.Fatal(err)
							}
						}
						begin := childrenCPU(b)
						cmd := exec.Command("rsync", append(args, ".", dst+"/")...)
						cmd.Dir, cmd.Stdin = src, bytes.NewReader(input)
						if out, err := cmd.CombinedOutput(); err != nil {
							b.Fatalf("rsync: %v: %s", err, out)
						}
						cpu += childrenCPU(b) - begin
					}
					b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
				})
			}
		}
	}
}

// plantForms makes a source and an equal mirror.
func plantForms(b *testing.B, files int) (src, dst string) {
	b.Helper()
	dir := b.TempDir()
	src, dst = filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	for _, d := range []string{"d", "other"} {
		if err := os.MkdirAll(filepath.Join(src, d), 0o755); err != nil {
			b.Fatal(err)
		}
		for i := range files {
			if err := os.WriteFile(filepath.Join(src, d, fmt.Sprintf("%05d", i)), []byte("0123456789"), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	if out, err := exec.Command("rsync", "-a", src+"/", dst+"/").CombinedOutput(); err != nil {
		b.Fatalf("rsync: %v: %s", err, out)
	}
	return src, dst
}

// childrenCPU is what all children that were waited for have taken.
func childrenCPU(b *testing.B) time.Duration {
	b.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &ru); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
