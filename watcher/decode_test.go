package watcher

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// unhex reads golden bytes; blanks and | only divide.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "", "\n", "", "\t", "").Replace(s))
	ok(t, err)
	return b
}

// drainText lists what a decoder pushed.
func drainText(r *ring) (out []string) {
	r.settle(1)
	r.publish()
	for s := r.peek(); s != nil; s = r.peek() {
		if s.kind != slotRecord {
			out = append(out, fmt.Sprint("message ", s.kind))
		} else {
			p := r.payload(s)
			line := fmt.Sprintf("mask=%x", s.mask)
			if s.wd != 0 || s.cookie != 0 {
				line += fmt.Sprintf(" wd=%d cookie=%d", s.wd, s.cookie)
			}
			for i, name := range []string{"dir", "name", "newdir", "newname", "child"} {
				switch {
				case len(p[i]) == 0:
				case strings.HasSuffix(name, "name"):
					line += fmt.Sprintf(" %s=%s", name, p[i])
				default:
					line += fmt.Sprintf(" %s=%x", name, p[i])
				}
			}
			out = append(out, line)
		}
		r.pop()
	}
	return out
}

const (
	goldenMeta   = "03 00 1800" // version, reserved, metadata_len
	goldenFsid   = "1111111122222222"
	goldenDir    = goldenFsid + "08000000 01000000 0a000000 0b000000"
	goldenNewDir = goldenFsid + "08000000 01000000 0c000000 0d000000"
	goldenChild  = goldenFsid + "08000000 01000000 0e000000 0f000000"
	// "f" and padding.
	goldenDfidName = "02 00 2000 " + goldenDir + "66000000"
	goldenFid      = "01 00 1c00 " + goldenChild
	goldenTail     = "ffffffff 07000000" // fd, pid
	dirText        = "08000000010000000a0000000b000000"
	newDirText     = "08000000010000000c0000000d000000"
	childText      = "08000000010000000e0000000f000000"
)

var fanGolden = map[string]struct{ in, out string }{
	"create": {"54000000" + goldenMeta + "0001000000000000" + goldenTail + goldenDfidName + goldenFid,
		"mask=100 dir=" + dirText + " name=f child=" + childText},
	"create without child": {"38000000" + goldenMeta + "0001000000000000" + goldenTail + goldenDfidName,
		"mask=100 dir=" + dirText + " name=f"},
	"rename": {"74000000" + goldenMeta + "0000001000000000" + goldenTail + "0a 00 2000" + goldenDir + "66000000" +
		"0c 00 2000" + goldenNewDir + "67676700" + goldenFid,
		"mask=10000000 dir=" + dirText + " name=f newdir=" + newDirText + " newname=ggg child=" + childText},
	"directory without name": {"34000000" + goldenMeta + "0400004000000000" + goldenTail + "03 00 1c00" + goldenDir,
		"mask=40000004 dir=" + dirText},
	"child only":                  {"34000000" + goldenMeta + "0400000000000000" + goldenTail + goldenFid, ""},
	"overflow":                    {"18000000" + goldenMeta + "0040000000000000" + goldenTail, fmt.Sprint("message ", slotOverflow)},
	"unknown info is skipped":     {"3c000000" + goldenMeta + "0001000000000000" + goldenTail + "63 00 0400" + goldenDfidName, "mask=100 dir=" + dirText + " name=f"},
	"other version":               {"18000000 02 00 1800 0001000000000000" + goldenTail, fmt.Sprint("message ", slotBad)},
	"record longer than buffer":   {"40000000" + goldenMeta + "0001000000000000" + goldenTail + goldenDfidName, fmt.Sprint("message ", slotBad)},
	"record shorter than header":  {"10000000" + goldenMeta + "0001000000000000" + goldenTail, fmt.Sprint("message ", slotBad)},
	"info longer than record":     {"38000000" + goldenMeta + "0001000000000000" + goldenTail + "02 00 2400" + goldenDir + "66000000", fmt.Sprint("message ", slotBad)},
	"info of no length":           {"38000000" + goldenMeta + "0001000000000000" + goldenTail + "02 00 0000" + goldenDir + "66000000", fmt.Sprint("message ", slotBad)},
	"handle longer than info":     {"38000000" + goldenMeta + "0001000000000000" + goldenTail + "02 00 2000" + goldenFsid + "80000000 01000000 0a000000 0b000000 66000000", fmt.Sprint("message ", slotBad)},
	"name without end":            {"38000000" + goldenMeta + "0001000000000000" + goldenTail + "02 00 2000" + goldenDir + "66666666", fmt.Sprint("message ", slotBad)},
	"name of no length":           {"38000000" + goldenMeta + "0001000000000000" + goldenTail + "02 00 2000" + goldenDir + "00000000", fmt.Sprint("message ", slotBad)},
	"half a header":               {"18000000", fmt.Sprint("message ", slotBad)},
	"nothing":                     {"", ""},
	"metadata longer than record": {"18000000 03 00 1900 0001000000000000" + goldenTail, fmt.Sprint("message ", slotBad)},
}

func TestFanotifyDecoderGolden(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("golden bytes are little-endian")
	}
	for name, g := range fanGolden {
		t.Run(name, func(t *testing.T) {
			var c counters
			d := fanDecoder{ring: newRing(minSlots), count: &c}
			d.decode(unhex(t, g.in), 1)
			if got := strings.Join(drainText(d.ring), "\n"); got != g.out {
				t.Errorf("got  %s\nwant %s", got, g.out)
			}
		})
	}
}

var inoGolden = map[string]struct{ in, out string }{
	"create":             {"05000000 00010000 00000000 10000000 66000000000000000000000000000000", "mask=100 wd=5 cookie=0 name=f"},
	"directory itself":   {"05000000 04000040 00000000 00000000", "mask=40000004 wd=5 cookie=0"},
	"moved":              {"05000000 40000000 2a000000 04000000 67676700", "mask=40 wd=5 cookie=42 name=ggg"},
	"overflow":           {"ffffffff 00400000 00000000 00000000", fmt.Sprint("message ", slotOverflow)},
	"name without end":   {"05000000 00010000 00000000 04000000 66666666", "mask=100 wd=5 cookie=0 name=ffff"},
	"longer than buffer": {"05000000 00010000 00000000 10000000 66000000", fmt.Sprint("message ", slotBad)},
	"half a header":      {"05000000 00010000", fmt.Sprint("message ", slotBad)},
	"slash in name":      {"05000000 00010000 00000000 04000000 662f6600", fmt.Sprint("message ", slotBad)},
	"two records in a row": {"05000000 00010000 00000000 04000000 66000000" + "06000000 00020000 00000000 04000000 67000000",
		"mask=100 wd=5 cookie=0 name=f\nmask=200 wd=6 cookie=0 name=g"},
}

func TestInotifyDecoderGolden(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("golden bytes are little-endian")
	}
	for name, g := range inoGolden {
		t.Run(name, func(t *testing.T) {
			var c counters
			d := inoDecoder{ring: newRing(minSlots), count: &c}
			d.decode(unhex(t, g.in), 1)
			if got := strings.Join(drainText(d.ring), "\n"); got != g.out {
				t.Errorf("got  %s\nwant %s", got, g.out)
			}
		})
	}
}

// Any bytes: no panic, names are names, and nothing is dropped in silence.
func FuzzFanotifyDecoder(f *testing.F) {
	for _, g := range fanGolden {
		f.Add(unhex(f, g.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c counters
		d := fanDecoder{ring: newRing(1 << 12), count: &c}
		d.decode(b, 1)
		checkDecoded(t, d.ring, b, c.nameless.Load())
	})
}

func FuzzInotifyDecoder(f *testing.F) {
	for _, g := range inoGolden {
		f.Add(unhex(f, g.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c counters
		d := inoDecoder{ring: newRing(1 << 12), count: &c}
		d.decode(b, 1)
		checkDecoded(t, d.ring, b, 0)
	})
}

func checkDecoded(t *testing.T, r *ring, in []byte, nameless uint64) {
	r.settle(1)
	r.publish()
	n := uint64(0)
	for s := r.peek(); s != nil; s = r.peek() {
		n++
		if s.kind == slotRecord {
			p := r.payload(s)
			for _, i := range []int{partName, partNewName} {
				if len(p[i]) > 255 || strings.ContainsAny(string(p[i]), "/\x00") {
					t.Fatalf("name %q", p[i])
				}
			}
		}
		r.pop()
	}
	if len(in) > 0 && n+nameless == 0 {
		t.Fatal("nothing came of something")
	}
}

// TestReadingAllocatesNothing holds for decode and push of both backends.
func TestReadingAllocatesNothing(t *testing.T) {
	var c counters
	r := newRing(1 << 10)
	fan, ino := fanDecoder{ring: r, count: &c}, inoDecoder{ring: r, count: &c}
	for name, f := range map[string]func(){
		"fanotify": func() func() {
			b := unhex(t, strings.Repeat(fanGolden["create"].in+fanGolden["rename"].in, 50))
			return func() { fan.decode(b, 1) }
		}(),
		"inotify": func() func() {
			b := unhex(t, strings.Repeat(inoGolden["create"].in, 100))
			return func() { ino.decode(b, 1) }
		}(),
	} {
		n := testing.AllocsPerRun(100, func() {
			f()
			r.publish()
			for r.peek() != nil {
				r.pop()
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if r.dropped != 0 {
		t.Error("records dropped:", r.dropped)
	}
}

func TestAnonymousNames(t *testing.T) {
	for name, is := range map[string]bool{"#1": true, "#9994402": true, "#": false, "1": false, "#1a": false, "#a": false, "##1": false, "#18446744073709551615": true, "#184467440737095516150": false} {
		if anonymous([]byte(name)) != is {
			t.Errorf("%q: want %v", name, is)
		}
	}
}

func TestKindsOfMasks(t *testing.T) {
	if k := fanKind(unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_ONDIR); k != Created|Removed|Dir {
		t.Error(k)
	}
	if k := inoKind(unix.IN_MOVED_TO | unix.IN_ISDIR); k != Created|Moved|Dir {
		t.Error(k)
	}
	if k := inoKind(unix.IN_MOVED_FROM); k != Removed|Moved {
		t.Error(k)
	}
}
