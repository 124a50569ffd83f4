package watcher

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyDirs makes a tree of n directories below root, 20 in each of those that
// are full, with the given number of empty files in every one, and returns how
// many bytes their names have.
func manyDirs(tb testing.TB, root string, n, files int) (names int) {
	tb.Helper()
	paths := []string{root}
	for i := range n {
		name := fmt.Sprintf("directory-%05d", i)
		dir := paths[i/benchWidth] + "/" + name
		ok(tb, os.Mkdir(dir, 0o755))
		for k := range files {
			fd, err := unix.Open(dir+"/file-"+strconv.Itoa(k), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
			ok(tb, err)
			unix.Close(fd)
		}
		paths = append(paths, dir)
		names += len(name)
	}
	return names
}

// envNumber is a number from the environment, or what is usual.
func envNumber(tb testing.TB, name string, usual int) int {
	tb.Helper()
	s := os.Getenv(name)
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	ok(tb, err)
	return n
}

// BenchmarkArm watches all directories of a tree in memory, 20,000 unless
// WATCHER_DIRS says otherwise, with 10 files in each, once as it is done here
// until Ready and once with nothing but the system calls, by as many workers.
// The rounds alternate, so that other load weighs on both; compare the processor
// time.
func BenchmarkArm(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "watch")
	if err != nil {
		b.Skip("no /dev/shm:", err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	n := envNumber(b, "WATCHER_DIRS", 20_000)
	if limit := readLimit(); limit < uint64(n)+1 {
		b.Skip("the limit of inotify watches is", limit)
	}
	manyDirs(b, dir, n, 10)
	var bare, ours spent
	for b.Loop() {
		bare.add(func() func() { return bareArm(b, dir, n+1) })
		ours.add(func() func() {
			p := watch(b, Config{Root: dir, Backend: BackendInotify})
			return func() {
				p.sync()
				if got := p.w.Stats().Watches; got != uint64(n+1) {
					b.Fatal("watches:", got)
				}
				p.close()
			}
		})
	}
	b.ReportMetric(float64(bare.wall.Microseconds())/float64(b.N)/float64(n), "bare-µs/dir")
	b.ReportMetric(float64(ours.wall.Microseconds())/float64(b.N)/float64(n), "µs/dir")
	b.ReportMetric(float64(bare.cpu.Microseconds())/float64(b.N)/float64(n), "bare-cpu-µs/dir")
	b.ReportMetric(float64(ours.cpu.Microseconds())/float64(b.N)/float64(n), "cpu-µs/dir")
	b.ReportMetric(float64(ours.wall)/float64(bare.wall), "wall-ratio")
	b.ReportMetric(float64(ours.cpu)/float64(bare.cpu), "cpu-ratio")
}

// spent sums up the time of something.
type spent struct{ wall, cpu time.Duration }

// add counts the time of f, but not that of the clearing up f returns.
func (s *spent) add(f func() func()) {
	runtime.GC()
	wall, cpu := time.Now(), cpuTime()
	done := f()
	s.cpu += cpuTime() - cpu
	s.wall += time.Since(wall)
	done()
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// bareArm lists the tree at root and watches each directory, which must be want,
// and returns what gives the watches back.
func bareArm(tb testing.TB, root string, want int) func() {
	group, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	ok(tb, err)
	var mu sync.Mutex
	more := sync.NewCond(&mu)
	dirs, active, met := []string{root}, 0, 0
	var workers sync.WaitGroup
	for range min(max(2*runtime.GOMAXPROCS(0), 2), 8) {
		workers.Go(func() {
			buf := make([]byte, direntBuffer)
			var kids []dirent
			mu.Lock()
			defer mu.Unlock()
			for {
				for len(dirs) == 0 && active > 0 {
					more.Wait()
				}
				if len(dirs) == 0 {
					more.Broadcast()
					return
				}
				dir := dirs[len(dirs)-1]
				dirs = dirs[:len(dirs)-1]
				active++
				met++
				mu.Unlock()
				kids = bareVisit(tb, group, dir, buf, kids[:0])
				mu.Lock()
				for _, k := range kids {
					dirs = append(dirs, dir+"/"+k.name)
				}
				if active--; len(kids) > 0 || active == 0 {
					more.Broadcast()
				}
			}
		})
	}
	workers.Wait()
	if met != want {
		tb.Fatal("the bare walk met", met, "directories, not", want)
	}
	return func() { unix.Close(group) }
}

func bareVisit(tb testing.TB, group int, dir string, buf []byte, kids []dirent) []dirent {
	fd, err := openDir(dir)
	if err == nil {
		_, err = unix.InotifyAddWatch(group, dir, inoMask)
	}
	if err == nil {
		kids, err = list(fd, buf, true, kids)
		unix.Close(fd)
	}
	if err != nil {
		tb.Error("bare walk:", err)
	}
	return kids
}
