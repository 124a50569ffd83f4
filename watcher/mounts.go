package watcher

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountsBelow reads the mount table and returns the mount points strictly
// below root, relative to it, each with a number that changes when what is
// mounted there does.
func mountsBelow(root string) (map[string]int, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return parseMounts(b, root), nil
}

// parseMounts takes the mount table apart: of each line
// "id parent major:minor root mountpoint options… - type…" it needs id,
// mountpoint and type: numbers are used again soon.
func parseMounts(table []byte, root string) map[string]int {
	below := map[string]int{}
	prefix := strings.TrimSuffix(root, "/") + "/"
	for line := range bytes.Lines(table) {
		f := mountFields(line)
		if len(f) < 5 {
			continue
		}
		id, err := strconv.Atoi(string(f[0]))
		if err != nil {
			continue
		}
		at := unescapeMount(string(f[4]))
		if rel, ok := strings.CutPrefix(at, prefix); ok && rel != "" {
			for _, c := range lineType(f) {
				id = id*31 + int(c)
			}
			below[rel] = below[rel]*31 + id
		}
	}
	return below
}

// mountFields divides a line of the mount table. Only the blank divides: other
// white space may stand in names.
func mountFields(line []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
}

// filesystemAt names the type of what was mounted last at path, or "" if it is
// not a mount point. It does not touch the filesystem.
func filesystemAt(path string) (string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("read mount table: %w", err)
	}
	return parseType(b, path), nil
}

// parseType takes the mount table apart: the type follows a field "-".
func parseType(table []byte, path string) (fs string) {
	for line := range bytes.Lines(table) {
		f := mountFields(line)
		if len(f) < 5 || unescapeMount(string(f[4])) != path {
			continue
		}
		fs = string(lineType(f))
	}
	return fs
}

// lineType is the type of filesystem in a line's fields, if it tells.
func lineType(fields [][]byte) []byte {
	i := slices.IndexFunc(fields, func(b []byte) bool { return string(b) == "-" })
	if i < 0 || i+1 >= len(fields) {
		return nil
	}
	return fields[i+1]
}

// parseDevice takes the device number, as "major:minor", of the mount with
// that id from the mount table.
func parseDevice(table []byte, id uint64) string {
	want := strconv.FormatUint(id, 10)
	for line := range bytes.Lines(table) {
		if f := mountFields(line); len(f) > 2 && string(f[0]) == want {
			return string(f[2])
		}
	}
	return ""
}

// synthetic reports whether the files of a type of filesystem are the kernel's
// or a mounter's doing: watching them tells nothing, and may set things off.
func synthetic(fs string) bool {
	switch fs {
	case "proc", "sysfs", "devpts", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs", "bpf", "pstore",
		"efivarfs", "mqueue", "configfs", "selinuxfs", "smackfs", "binfmt_misc", "autofs", "rpc_pipefs", "nfsd",
		"nsfs", "fusectl", "functionfs", "resctrl":
		return true
	}
	return false
}

// unescapeMount undoes the octal escapes of blank, tab, newline and backslash.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// changedMounts lists, sorted, the mount points at which a and b differ.
func changedMounts(a, b map[string]int) []string {
	var diff []string
	for p, id := range a {
		if b[p] != id {
			diff = append(diff, p)
		}
	}
	for p := range b {
		if _, ok := a[p]; !ok {
			diff = append(diff, p)
		}
	}
	slices.Sort(diff)
	return diff
}

func sortedKeys(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fsName names the filesystem that holds path, for messages.
func fsName(path string) (name string, remote bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "unknown", false
	}
	switch uint32(st.Type) {
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", false
	case unix.FUSE_SUPER_MAGIC:
		return "fuse", true
	case unix.NFS_SUPER_MAGIC:
		return "nfs", true
	case unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC:
		return "cifs", true
	case unix.V9FS_MAGIC:
		return "9p", true
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", false
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", false
	case unix.XFS_SUPER_MAGIC:
		return "xfs", false
	case unix.TMPFS_MAGIC:
		return "tmpfs", false
	case unix.PROC_SUPER_MAGIC:
		return "proc", false
	case unix.SYSFS_MAGIC:
		return "sysfs", false
	}
	return fmt.Sprintf("type 0x%x", uint32(st.Type)), false
}
