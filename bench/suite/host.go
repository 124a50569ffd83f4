package suite

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/bench/record"
)

// DescribeHost tells what a reader must know of this machine, but not which it
// is.
func DescribeHost(srcDir, dstDir, accounting string) (record.Host, error) {
	h := record.Host{Cores: runtime.NumCPU(), Accounting: accounting}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return h, fmt.Errorf("uname: %w", err)
	}
	h.Kernel = string(bytes.TrimRight(u.Release[:], "\x00"))
	// A suffix of the kernel's name may name a machine; the version is enough.
	if v, _, ok := strings.Cut(h.Kernel, "-"); ok {
		h.Kernel = v
	}
	h.CPU = field("/proc/cpuinfo", "model name")
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		h.MemMB = kb / 1024
	}
	h.OS = strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`)
	var err error
	if h.SrcFS, err = fsType(srcDir); err != nil {
		return h, err
	}
	if h.DstFS, err = fsType(dstDir); err != nil {
		return h, err
	}
	h.Kind = fmt.Sprintf("%s-%dcpu-%dg", virtual(), h.Cores, (h.MemMB+512)/1024)
	return h, nil
}

// field is the value of the first "key : value" or "key=value" line of a file;
// "" if there is none, for a description can do without.
func field(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
		if k, v, ok := strings.Cut(sc.Text(), "="); ok && k == key {
			return v
		}
	}
	return ""
}

// virtual is the kind of machine: what it runs under, or "metal".
func virtual() string {
	out, err := exec.Command("systemd-detect-virt").Output()
	if v := strings.TrimSpace(string(out)); err == nil && v != "" && v != "none" {
		return v
	}
	if strings.Contains(" "+field("/proc/cpuinfo", "flags")+" ", " hypervisor ") {
		return "vm"
	}
	return "metal"
}

// fsType is the name of a directory's filesystem as the mount table has it.
func fsType(dir string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	dev := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != dev {
			continue
		}
		if _, rest, ok := strings.Cut(line, " - "); ok {
			if kind := strings.Fields(rest); len(kind) > 0 {
				return kind[0], nil
			}
		}
	}
	// btrfs subvolumes have devices that the table does not name.
	return "unknown", nil
}
