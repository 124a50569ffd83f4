package watcher

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"
)

// recorded are the scripts whose records are seeds of the decoders' fuzzing:
// one for each kind of record. Handles differ between filesystems.
var recorded = map[string][]string{
	"ext4": {"create-file", "create-others", "attrib", "exchange-files", "directory-move-over",
		"remove", "tmpfile", "hard-link", "names-odd", "move-out-in"},
	"xfs": {"create-file", "exchange-dirs"}, "btrfs": {"create-file", "exchange-dirs"},
	"tmpfs": {"create-file", "exchange-dirs"}, overlayExport: {"create-file", "exchange-dirs"},
}

const seedHeader = "go test fuzz v1\n"

// TestKernelRecordsAreSeeds: the decoders understand the records that the kernel
// makes, now and when they were recorded. With -update they are recorded anew.
func TestKernelRecordsAreSeeds(t *testing.T) {
	needRoot(t)
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the recorded bytes are little-endian")
	}
	for b, dir := range map[Backend]string{BackendFanotify: "FuzzFanotifyDecoder", BackendInotify: "FuzzInotifyDecoder"} {
		for fs, names := range recorded {
			if b == BackendInotify && fs != "ext4" {
				continue // its records are the same on all
			}
			for _, name := range names {
				t.Run(string(b)+"-"+fs+"-"+name, func(t *testing.T) {
					file := filepath.Join("testdata/fuzz", dir, fs+"-"+name)
					raw := record(t, fs, b, name)
					understood(t, b, raw)
					if *update {
						mkdir(t, filepath.Dir(file))
						write(t, file, fmt.Sprintf("%s[]byte(%q)\n", seedHeader, raw))
						return
					}
					understood(t, b, readSeed(t, file))
				})
			}
		}
	}
}

// record returns what the kernel tells while a script runs.
func record(t *testing.T, fs string, b Backend, script string) []byte {
	a, err := txtar.ParseFile("testdata/scripts/" + script + ".txt")
	ok(t, err)
	var all []byte
	tapScript(t, shared.root(t, fs), b, a, func(raw []byte) { all = append(all, raw...) })
	return all
}

func readSeed(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	ok(t, err)
	text, is := strings.CutPrefix(strings.TrimSpace(string(b)), seedHeader+"[]byte(")
	if !is {
		t.Fatal("not a seed:", file)
	}
	raw, err := strconv.Unquote(strings.TrimSuffix(text, ")"))
	ok(t, err)
	return []byte(raw)
}

// understood checks that there are records and that none is malformed.
func understood(t *testing.T, b Backend, raw []byte) {
	t.Helper()
	var c counters
	r := newRing(1 << 10)
	if b == BackendFanotify {
		(&fanDecoder{ring: r, count: &c}).decode(raw, 1)
	} else {
		(&inoDecoder{ring: r, count: &c}).decode(raw, 1)
	}
	records := drainText(r)
	if len(records) == 0 {
		t.Error("no records")
	}
	for _, line := range records {
		if strings.HasPrefix(line, "message") {
			t.Errorf("%s in %x", line, raw)
		}
	}
}

// Any bytes: no panic, and names are names.
func FuzzDirents(f *testing.F) {
	dir := f.TempDir()
	write(f, dir+"/file", "")
	mkdir(f, dir+"/directory")
	ok(f, os.Symlink("nowhere", dir+"/"+strings.Repeat("l", 255)))
	fd, err := openDir(dir)
	ok(f, err)
	buf := make([]byte, direntBuffer)
	n, err := unix.Getdents(fd, buf)
	ok(f, err)
	ok(f, unix.Close(fd))
	real := buf[:n]
	f.Add(real)
	f.Add(real[:n-1])
	f.Add([]byte{})
	unknown := bytes.Clone(real)
	unknown[18] = unix.DT_UNKNOWN
	f.Add(unknown)
	f.Fuzz(func(t *testing.T, b []byte) {
		all, dirs := 0, 0
		parseDirents(-1, b, func(name []byte, isDir bool) {
			if s := string(name); s == "" || s == "." || s == ".." || len(s) > 255 || strings.Contains(s, "\x00") {
				t.Fatalf("name %q", s)
			}
			all++
			if isDir {
				dirs++
			}
		})
		if bytes.Equal(b, real) && (all != 3 || dirs != 1) {
			t.Fatalf("of the real directory: %d entries, %d directories", all, dirs)
		}
	})
}

// Any bytes: no panic, and what the kernel writes of a mount point is read as
// that mount point, whatever its name.
func FuzzMounts(f *testing.F) {
	real, err := os.ReadFile("/proc/self/mountinfo")
	ok(f, err)
	f.Add(real, "a/b c")
	for _, name := range []string{"tab\tnew\nline", `back\slash\040`, "#hash", "\u3000wide\u00a0blanks\u2003", "\r\v\f", "\xff\xa0\x85", " "} {
		f.Add([]byte("broken\n1 2\n"), name)
	}
	f.Fuzz(func(t *testing.T, table []byte, name string) {
		for _, root := range []string{"/", "/r"} {
			below := parseMounts(table, root)
			if _, is := below[""]; is {
				t.Fatal("the root is below itself")
			}
			if diff := changedMounts(below, below); len(diff) > 0 {
				t.Fatal("differ from themselves:", diff)
			}
		}
		if name == "" || strings.ContainsAny(name, "\x00") {
			return
		}
		// As the kernel escapes it.
		escaped := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace(name)
		line := "30 1 8:1 / /r/" + escaped + " rw,relatime shared:1 - ext4 /dev/a rw\n"
		got := parseMounts([]byte(line), "/r")
		if _, is := got[name]; !is || len(got) != 1 {
			t.Fatalf("%q is read as %v", name, got)
		}
		again := parseMounts([]byte(strings.Replace(line, "30 ", "31 ", 1)), "/r")
		if diff := changedMounts(got, again); len(diff) != 1 || diff[0] != name {
			t.Fatalf("another mount at %q differs at %q", name, diff)
		}
	})
}
