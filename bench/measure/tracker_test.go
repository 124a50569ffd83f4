package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/fansync/fansync/bench/engine/session"
)

// syncBuffer is written to by one goroutine and read by another.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// groupOf makes a Group of a kind, or skips where it cannot be had.
func groupOf(t *testing.T, kind string) *Group {
	t.Helper()
	if kind == Rusage {
		return &Group{kind: Rusage}
	}
	parent, err := cgroupDir(kind)
	if err != nil {
		t.Fatal(err)
	}
	if parent == "" {
		t.Skipf("%s is not mounted here", kind)
	}
	g, err := newGroup(kind, parent)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		t.Skipf("%s cannot be changed here: %v", kind, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// residentByStatus reads a process's resident memory, in MB, where people read it.
func residentByStatus(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// TestTracker measures two processes, of which one is the other's child, in each
// way that works here.
func TestTracker(t *testing.T) {
	for _, kind := range []string{Cgroup2, Cgroup1, Rusage} {
		t.Run(kind, func(t *testing.T) {
			group := groupOf(t, kind)
			path := group.path
			var out syncBuffer
			in, tell, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			s, err := session.Start(session.Config{
				Argv: []string{"/proc/self/exe"}, Env: append(os.Environ(), hogVar+"=ab"),
				Stdin: in, Output: &out, Cgroup: group.FD(),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = s.Stop(0) })
			await(t, "two hogs", func() bool { return strings.Count(out.String(), "ready") == 2 })

			tracker, err := Track(s.PID(), group)
			if err != nil {
				t.Fatal(err)
			}
			before, err := tracker.Usage()
			if err != nil {
				t.Fatal(err)
			}
			pids, err := session.Members(s.PID())
			if err != nil || len(pids) != 2 {
				t.Fatalf("processes %v, %v, want two", pids, err)
			}
			one, both := 0.0, 0.0
			for _, pid := range pids {
				mb := residentByStatus(t, pid)
				both += mb
				if pid == s.PID() {
					one = mb
				}
			}
			// The counters that the kernel adds up are a little off at times.
			near := func(a, b float64) bool { return a > b-2 && a < b+2 }
			if one < hogMB || !near(before.DaemonRSSMB, one) || !near(before.PeakRSSMB, both) {
				t.Errorf("tracked %.1f MB and %.1f MB for both, they have %.1f MB and %.1f MB", before.DaemonRSSMB, before.PeakRSSMB, one, both)
			}
			if _, err := tell.Write([]byte("go")); err != nil {
				t.Fatal(err)
			}
			await(t, "both to work", func() bool { return strings.Count(out.String(), "burnt") == 2 })
			after, err := tracker.Usage()
			if err != nil {
				t.Fatal(err)
			}
			if after.CPUSeconds <= before.CPUSeconds {
				t.Errorf("CPU time %.3f s before the work, %.3f s after it", before.CPUSeconds, after.CPUSeconds)
			}
			if err := errors.Join(in.Close(), tell.Close()); err != nil {
				t.Fatal(err)
			}
			total, err := s.Stop(0)
			if err != nil {
				t.Fatal(err)
			}
			// Both counted the same two processes; a tick for each is what /proc
			// may be off.
			if after.CPUSeconds > total+0.05 {
				t.Errorf("%.3f s of CPU time tracked, wait tells %.3f s", after.CPUSeconds, total)
			}
			tracker.Stop()
			last, err := tracker.Usage()
			if err != nil {
				t.Fatal(err)
			}
			if last.PeakRSSMB < after.PeakRSSMB || last.CPUSeconds < after.CPUSeconds {
				t.Errorf("usage fell from %+v to %+v when the processes ended", after, last)
			}
			if err := group.Close(); err != nil {
				t.Fatal(err)
			}
			if path != "" {
				if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the cgroup is left: %v", err)
				}
			}
		})
	}
}

// TestCloseKills: a process that was left in the cgroup ends with it.
func TestCloseKills(t *testing.T) {
	g := groupOf(t, Cgroup2)
	if _, err := os.Stat(filepath.Join(g.path, "cgroup.kill")); err != nil {
		t.Skipf("this kernel cannot kill a cgroup: %v", err)
	}
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v, want a kill", err)
	}
	if g.FD() != -1 {
		t.Errorf("a closed Group has the descriptor %d", g.FD())
	}
	if err := g.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func TestTrackNothing(t *testing.T) {
	if _, err := Track(0, &Group{kind: Rusage}); err == nil {
		t.Error("no process and no cgroup is accepted")
	}
}

// TestTrackBeforeAnythingRuns: a cgroup can be tracked while it is empty.
func TestTrackBeforeAnythingRuns(t *testing.T) {
	g := groupOf(t, Cgroup2)
	tracker, err := Track(0, g)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Start(session.Config{Argv: []string{"/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"}, Cgroup: g.FD()})
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if _, err := s.Stop(0); err != nil {
		t.Fatal(err)
	}
	if u, err := tracker.Usage(); err != nil || u.CPUSeconds <= 0 || u.DaemonRSSMB != 0 {
		t.Errorf("usage %+v, %v, want CPU time and no daemon", u, err)
	}
	tracker.Stop()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAccounting(t *testing.T) {
	kind, err := Accounting()
	if err != nil || kind != Cgroup2 && kind != Cgroup1 && kind != Rusage {
		t.Errorf("accounting %q, %v", kind, err)
	}
}

func TestFindCgroup(t *testing.T) {
	const hybrid = "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n" +
		"31 30 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n" +
		"33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
	const unified = "35 24 0:30 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	const part = "35 24 0:30 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
	tests := []struct{ name, kind, mounts, own, want string }{
		{"hybrid, version 2", Cgroup2, hybrid, "4:cpu,cpuacct:/a\n0::/b/c\n", "/sys/fs/cgroup/unified/b/c"},
		{"hybrid, version 1", Cgroup1, hybrid, "4:cpu,cpuacct:/a\n0::/b/c\n", "/sys/fs/cgroup/cpu,cpuacct/a"},
		{"version 2 alone", Cgroup2, unified, "0::/user.slice/x:y\n", "/sys/fs/cgroup/user.slice/x:y"},
		{"version 1 is not there", Cgroup1, unified, "0::/\n", ""},
		{"a part is mounted", Cgroup2, part, "0::/docker/ab/c\n", "/sys/fs/cgroup/c"},
		{"another part is mounted", Cgroup2, part, "0::/\n", ""},
		{"nothing", Cgroup2, "", "", ""},
	}
	for _, tt := range tests {
		if got := findCgroup(tt.kind, tt.mounts, tt.own); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
