package micro

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// burst are files in directories, to be written and removed again and again.
type burst struct {
	root  string
	dirs  []string // relative
	files []string // absolute
}

// newBurst makes the directories of a burst.
func newBurst(tb testing.TB, root string, dirs, files int) burst {
	tb.Helper()
	b := nameBurst(root, dirs, files)
	for _, d := range b.dirs {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// nameBurst makes up the names of a burst.
func nameBurst(root string, dirs, files int) burst {
	b := burst{root: root}
	for d := range dirs {
		b.dirs = append(b.dirs, fmt.Sprintf("dir-%02d", d))
	}
	for f := range files {
		b.files = append(b.files, filepath.Join(root, b.dirs[f*dirs/files], fmt.Sprintf("file-%05d", f)))
	}
	return b
}

// write creates, writes and closes every file, and returns the CPU time,
// nanoseconds, that this took its thread.
func (b burst) write() (int64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := cpu(unix.RUSAGE_THREAD)
	content := []byte("0123456789abcdef")
	for _, name := range b.files {
		fd, err := unix.Open(name, unix.O_CREAT|unix.O_WRONLY|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return 0, fmt.Errorf("create %s: %w", name, err)
		}
		_, err = unix.Write(fd, content)
		unix.Close(fd)
		if err != nil {
			return 0, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return cpu(unix.RUSAGE_THREAD) - before, nil
}

func (b burst) remove(tb testing.TB) {
	tb.Helper()
	if err := b.removeAll(); err != nil {
		tb.Fatal(err)
	}
}

func (b burst) removeAll() error {
	for _, name := range b.files {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// cpu is the user and system time of this process or thread, nanoseconds.
func cpu(who int) int64 {
	var r unix.Rusage
	if err := unix.Getrusage(who, &r); err != nil {
		panic(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// TestContenders: each one tells of every file that the benchmark writes, so
// none is fast by doing less.
func TestContenders(t *testing.T) {
	for _, c := range slices.Concat(contenders, readers) {
		t.Run(c.name, func(t *testing.T) {
			b := newBurst(t, newRoot(t), 5, 500)
			m := newMarks(b.root)
			var mu sync.Mutex
			told := map[string]bool{}
			stop := c.start(t, b.root, b.dirs, func(path string) {
				mu.Lock()
				told[filepath.Join(b.root, path)] = true
				mu.Unlock()
				m.seen(path)
			})
			defer stop()
			if _, err := b.write(); err != nil {
				t.Fatal(err)
			}
			m.sync(t, "end")
			mu.Lock()
			defer mu.Unlock()
			for _, name := range b.files {
				if !told[name] {
					t.Errorf("nothing was told of %s", name)
				}
			}
		})
	}
}

// BenchmarkWatch creates, writes and closes 1,000 files in 20 directories and
// waits until all is told. watch-cpu-ns/file is the CPU time of the process
// without the writer's thread: what learning of a file costs. write-cpu-ns/file
// is the writer's own, in which the kernel's part of the telling is hidden.
// Removing the files again is not counted.
func BenchmarkWatch(b *testing.B) {
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			files := newBurst(b, newRoot(b), 20, 1000)
			m := newMarks(files.root)
			stop := c.start(b, files.root, files.dirs, m.seen)
			defer stop()
			b.ReportAllocs()
			var watching, writing int64
			for turn := 0; b.Loop(); turn++ {
				before := cpu(unix.RUSAGE_SELF)
				spent, err := files.write()
				if err != nil {
					b.Fatal(err)
				}
				m.sync(b, "written-"+strconv.Itoa(turn))
				writing += spent
				watching += cpu(unix.RUSAGE_SELF) - before - spent
				b.StopTimer()
				files.remove(b)
				m.sync(b, "removed-"+strconv.Itoa(turn))
				b.StartTimer()
			}
			n := float64(b.N) * float64(len(files.files))
			b.ReportMetric(float64(watching)/n, "watch-cpu-ns/file")
			b.ReportMetric(float64(writing)/n, "write-cpu-ns/file")
		})
	}
}

// BenchmarkReader measures what it costs a process to learn of files that another
// one creates, writes and closes, 1,000 in 20 directories: cpu-ns/op is the CPU
// time of the reading process for each, the kernel's part of reading with it. Ours
// merge the events in the dirty set, as `fansync watch` and the daemon do; those of
// fsnotify are counted and forgotten.
func BenchmarkReader(b *testing.B) {
	for _, c := range readers {
		b.Run(c.name, func(b *testing.B) {
			files := newBurst(b, newRoot(b), 20, 1000)
			m := newMarks(files.root)
			w := startWriter(b, files)
			stop := c.start(b, files.root, files.dirs, m.seen)
			defer stop()
			var reading int64
			for turn := 0; b.Loop(); turn++ {
				before := cpu(unix.RUSAGE_SELF)
				w.do(b, askWrite)
				m.sync(b, "written-"+strconv.Itoa(turn))
				reading += cpu(unix.RUSAGE_SELF) - before
				b.StopTimer()
				w.do(b, askRemove)
				m.sync(b, "removed-"+strconv.Itoa(turn))
				b.StartTimer()
			}
			b.ReportMetric(float64(reading)/(float64(b.N)*float64(len(files.files))), "cpu-ns/op")
		})
	}
}
