package measure

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The ways to account for CPU time, as record.Host names them.
const (
	// Cgroup2 and Cgroup1 are counters of the kernel for a cgroup: complete
	// and exact.
	Cgroup2 = "cgroup2"
	Cgroup1 = "cgroup1"
	// Rusage adds up what /proc tells of the living processes, with that of
	// the children they waited for, in steps of 10 ms. What an orphan used is
	// lost when it ends.
	Rusage = "rusage"
)

// Group is a cgroup of our own, or none where there is none to be had.
type Group struct {
	kind string
	path string   // "" with Rusage
	dir  *os.File // with Cgroup2
}

var groups atomic.Int64

// NewGroup makes the best kind of Group that works here. The caller must Close
// it.
func NewGroup() (*Group, error) {
	for _, kind := range []string{Cgroup2, Cgroup1} {
		parent, err := cgroupDir(kind)
		if err != nil {
			return nil, err
		}
		if parent == "" {
			continue
		}
		if g, err := newGroup(kind, parent); err == nil {
			return g, nil
		}
		// Not ours to change: a container, or another user's slice.
	}
	return &Group{kind: Rusage}, nil
}

// newGroup makes a cgroup and tries it with a program.
func newGroup(kind, parent string) (*Group, error) {
	g := &Group{kind: kind, path: filepath.Join(parent, fmt.Sprintf("fansync-bench-%d-%d", os.Getpid(), groups.Add(1)))}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if err := g.try(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func (g *Group) try() error {
	cmd := exec.Command("true")
	if g.kind == Cgroup2 {
		var err error
		if g.dir, err = os.Open(g.path); err != nil {
			return fmt.Errorf("open the cgroup: %w", err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.dir.Fd())}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start a program in a cgroup: %w", err)
	}
	_, err := g.CPUSeconds()
	return err
}

// Accounting is the kind of Group that NewGroup makes here.
func Accounting() (string, error) {
	g, err := NewGroup()
	if err != nil {
		return "", err
	}
	return g.Kind(), g.Close()
}

// Kind is Cgroup2, Cgroup1 or Rusage.
func (g *Group) Kind() string { return g.kind }

// FD is the open directory of a Cgroup2 to start programs in, good until Close;
// -1 for the others.
func (g *Group) FD() int {
	if g.dir == nil {
		return -1
	}
	return int(g.dir.Fd())
}

// add moves processes into the cgroup.
func (g *Group) add(pids []int) error {
	for _, pid := range pids {
		err := os.WriteFile(filepath.Join(g.path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("move process %d into the cgroup: %w", pid, err)
		}
	}
	return nil
}

// CPUSeconds is what all that ever ran in the Group has used; 0 with Rusage.
func (g *Group) CPUSeconds() (float64, error) {
	switch g.kind {
	case Cgroup2:
		text, err := os.ReadFile(filepath.Join(g.path, "cpu.stat"))
		if err != nil {
			return 0, fmt.Errorf("read the cgroup's CPU time: %w", err)
		}
		for line := range bytes.Lines(text) {
			if v, ok := bytes.CutPrefix(line, []byte("usage_usec ")); ok {
				return scaled(v, 1e-6)
			}
		}
		return 0, fmt.Errorf("%s/cpu.stat does not tell usage_usec", g.path)
	case Cgroup1:
		text, err := os.ReadFile(filepath.Join(g.path, "cpuacct.usage"))
		if err != nil {
			return 0, fmt.Errorf("read the cgroup's CPU time: %w", err)
		}
		return scaled(text, 1e-9)
	default:
		return 0, nil
	}
}

func scaled(number []byte, unit float64) (float64, error) {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the cgroup's CPU time: %w", err)
	}
	return float64(n) * unit, nil
}

// pids lists who is in the cgroup now.
func (g *Group) pids() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("list the cgroup's processes: %w", err)
	}
	var pids []int
	for f := range bytes.FieldsSeq(text) {
		pid, err := strconv.Atoi(string(f))
		if err != nil {
			return nil, fmt.Errorf("list the cgroup's processes: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Close kills who is still in a Cgroup2 and removes the cgroup.
func (g *Group) Close() error {
	if g.path == "" {
		return nil
	}
	if g.kind == Cgroup2 {
		// Kernels before 5.14 have no such file; the loop waits there.
		err := os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EACCES) {
			return fmt.Errorf("empty the cgroup: %w", err)
		}
	}
	var err error
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		// A process that was killed leaves its cgroup when it is gone.
		if err = os.Remove(g.path); !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			break
		}
	}
	g.path = ""
	if g.dir != nil {
		err = errors.Join(err, g.dir.Close())
		g.dir = nil
	}
	if err != nil {
		return fmt.Errorf("remove the cgroup: %w", err)
	}
	return nil
}

// cgroupDir is the directory of the cgroup that we are in ourselves, "" where
// that kind is not mounted.
func cgroupDir(kind string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("look for cgroups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("look for cgroups: %w", err)
	}
	return findCgroup(kind, string(mounts), string(own)), nil
}

// findCgroup reads the two files of /proc. A line of mountinfo is "id parent dev
// root mountpoint options [fields] - type source superoptions", one of cgroup
// "id:controllers:path"; version 2 has no controllers there.
func findCgroup(kind, mounts, own string) string {
	path, found := "", false
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 && (kind == Cgroup2 && f[1] == "" || kind == Cgroup1 && hasWord(f[1], "cpuacct")) {
			path, found = f[2], true
		}
	}
	if !found {
		return ""
	}
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		m, fsys := strings.Fields(before), strings.Fields(after)
		if !ok || len(m) < 5 || len(fsys) < 3 {
			continue
		}
		if kind == Cgroup2 && fsys[0] == "cgroup2" || kind == Cgroup1 && fsys[0] == "cgroup" && hasWord(fsys[2], "cpuacct") {
			// The mount may show a part of the hierarchy only.
			if rel, err := filepath.Rel(m[3], path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				return filepath.Join(m[4], rel)
			}
		}
	}
	return ""
}

func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}
