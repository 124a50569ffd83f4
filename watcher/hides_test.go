package watcher

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hide is one way to change the file "X" under a name that goes, step by step,
// and what must be told of it. Paths that begin with ../out are outside.
type hide struct {
	setup func(h *hiding)
	steps []func(h *hiding)
	// want are the paths told as Hidden; those of may may be told too.
	want, may []string
	// unknown: it is told that there is some file. mayUnknown: it may be.
	unknown, mayUnknown bool
	// some: a path of may is told, or that there is some file.
	some bool
	// soon: if it is looked at too soon, the file may still have the name that
	// goes. Then it is enough to tell that there is some file.
	soon bool
}

// tooSoon is what must be told then.
func (w hide) tooSoon() hide {
	return hide{setup: w.setup, steps: w.steps, may: append(w.may, w.want...), mayUnknown: true, some: true}
}

// hiding is a running hide.
type hiding struct {
	t    *testing.T
	root string
	fd   *os.File
	mem  []byte
}

func (h *hiding) at(path string) string { return filepath.Join(h.root, path) }

func (h *hiding) must(err error) { h.t.Helper(); ok(h.t, err) }

// do is a step made of shell-like lines.
func do(lines ...string) func(h *hiding) {
	return func(h *hiding) {
		h.t.Helper()
		for _, line := range lines {
			f := strings.Fields(line)
			a, b := h.at(f[1]), ""
			if len(f) > 2 {
				b = h.at(f[2])
			}
			switch f[0] {
			case "ln":
				h.must(os.Link(a, b))
			case "write":
				h.must(appendTo(a, "more"))
			case "new":
				write(h.t, a, "new")
			case "rm":
				h.must(os.Remove(a))
			case "rmrf":
				remove(h.t, a)
			case "mv":
				h.must(unix.Rename(a, b))
			case "exchange":
				h.must(unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE))
			case "mkdir":
				mkdir(h.t, a)
			case "chmod":
				h.must(os.Chmod(a, 0o751))
			case "open":
				var err error
				h.fd, err = os.OpenFile(a, os.O_RDWR, 0)
				h.must(err)
			default:
				h.t.Fatal(line)
			}
		}
	}
}

func (h *hiding) put() {
	_, err := h.fd.WriteString("by descriptor")
	h.must(err)
}

func (h *hiding) shut() { h.must(h.fd.Close()) }

func (h *hiding) mmap() {
	h.must(h.fd.Truncate(4096))
	var err error
	h.mem, err = unix.Mmap(int(h.fd.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	h.must(err)
	h.shut()
	h.mem[0]++
}

func (h *hiding) munmap() { h.must(unix.Munmap(h.mem)) }

var hides = map[string]hide{
	"root":   {steps: []func(*hiding){do("ln X L"), do("write L"), do("rm L")}, want: []string{"X"}},
	"subdir": {setup: do("mkdir d/e"), steps: []func(*hiding){do("ln X d/e/L"), do("write d/e/L"), do("rm d/e/L")}, want: []string{"X"}},
	"both in subdirs": {setup: do("mkdir d", "mkdir e/f", "new e/f/Y"),
		steps: []func(*hiding){do("ln e/f/Y d/L"), do("write d/L"), do("rm d/L")}, want: []string{"e/f/Y"}},
	"rm -rf": {steps: []func(*hiding){do("mkdir d/e"), do("ln X d/e/L"), do("write d/e/L"), do("rmrf d")}, want: []string{"X"}},
	"rm -rf of what was there": {setup: do("mkdir d/e", "ln X d/e/L"),
		steps: []func(*hiding){do("write d/e/L"), do("rmrf d")}, want: []string{"X"}},
	"chmod": {steps: []func(*hiding){do("ln X L"), do("chmod L"), do("rm L")}, want: []string{"X"}},
	"three names": {setup: do("ln X Y"), steps: []func(*hiding){do("ln X L"), do("write L"), do("rm L")},
		may: []string{"X", "Y"}, some: true},
	"mmap": {steps: []func(*hiding){do("ln X L"), do("open L"), (*hiding).mmap, (*hiding).munmap, do("rm L")}, want: []string{"X"}},
	"mmap of a removed name": {steps: []func(*hiding){do("ln X L"), do("open L"), (*hiding).mmap, do("rm L"), (*hiding).munmap},
		want: []string{"X"}, soon: true},
	"descriptor of a removed name": {setup: do("ln X L"),
		steps: []func(*hiding){do("open L"), do("rm L"), (*hiding).put, (*hiding).shut}, want: []string{"X"}, soon: true},
	"descriptor of an overwritten name": {setup: do("ln X L", "new N"),
		steps: []func(*hiding){do("open L"), do("mv N L"), (*hiding).put, (*hiding).shut}, want: []string{"X"}, soon: true},
	"renamed, then removed": {steps: []func(*hiding){do("ln X L"), do("write L"), do("mv L M"), do("rm M")}, want: []string{"X"}},
	"overwritten":           {steps: []func(*hiding){do("ln X L"), do("write L"), do("new N"), do("mv N L")}, want: []string{"X"}, soon: true},
	"renamed, overwritten":  {steps: []func(*hiding){do("ln X L"), do("write L"), do("mv L M"), do("new N"), do("mv N M")}, want: []string{"X"}, soon: true},
	"overwritten from outside": {setup: do("new ../out/N"),
		steps: []func(*hiding){do("ln X L"), do("write L"), do("mv ../out/N L")}, want: []string{"X"}, soon: true},
	"one after the other": {setup: do("ln X Y"), steps: []func(*hiding){do("ln X L"), do("write L"), do("rm L"), do("rm Y")},
		want: []string{"X"}, may: []string{"Y"}},
	"moved out": {setup: do("mkdir d"), steps: []func(*hiding){do("ln X d/L"), do("write d/L"), do("mv d/L ../out/L")}, unknown: true},
	"moved out, then removed": {setup: do("mkdir d"),
		steps: []func(*hiding){do("ln X d/L"), do("write d/L"), do("mv d/L ../out/L", "rm ../out/L")}, want: []string{"X"}, soon: true},
	"directory moved out":     {setup: do("mkdir d/e"), steps: []func(*hiding){do("ln X d/e/L"), do("write d/e/L"), do("mv d ../out/d")}, unknown: true},
	"new directory moved out": {steps: []func(*hiding){do("mkdir d/e"), do("ln X d/e/L"), do("write d/e/L"), do("mv d ../out/d")}, unknown: true},
	"directory moved out of a removed one": {setup: do("mkdir p/q/d"),
		steps: []func(*hiding){do("ln X p/q/d/L"), do("write p/q/d/L"), do("mv p/q/d ../out/d"), do("rmrf p")}, unknown: true},
	"directory moved out and removed": {setup: do("mkdir d/e"),
		steps: []func(*hiding){do("ln X d/e/L"), do("write d/e/L"), do("mv d ../out/d"), do("rmrf ../out/d")}, want: []string{"X"}, soon: true},
	"renamed to an ignored name":           {steps: []func(*hiding){do("ln X L"), do("write L"), do("mv L L.ign")}, unknown: true},
	"directory renamed to an ignored name": {setup: do("mkdir d"), steps: []func(*hiding){do("ln X d/L"), do("write d/L"), do("mv d d.ign")}, unknown: true},
	"left outside with others":             {setup: do("new L", "ln L ../out/M", "ln L ../out/N"), steps: []func(*hiding){do("write L"), do("rm L")}, unknown: true},

	"left outside with others, rm -rf": {setup: do("mkdir d/e", "new d/e/L", "ln d/e/L ../out/M", "ln d/e/L ../out/N"),
		steps: []func(*hiding){do("write d/e/L"), do("rmrf d")}, unknown: true},
	"left outside with others, new in old, rm -rf": {setup: do("mkdir d", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("mkdir d/e"), do("ln ../out/M d/e/L"), do("write d/e/L"), do("rmrf d")}, unknown: true},
	"left outside with others, new, rm -rf": {setup: do("new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("mkdir d/e"), do("ln ../out/M d/e/L"), do("write d/e/L"), do("rmrf d")}, unknown: true},
	"left outside with others, moved out and removed": {setup: do("mkdir d/e", "new d/e/L", "ln d/e/L ../out/M", "ln d/e/L ../out/N"),
		steps: []func(*hiding){do("write d/e/L"), do("mv d ../out/d"), do("rmrf ../out/d")}, unknown: true},

	"left outside with others, moved from a removed one": {setup: do("mkdir p", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M p/L"), do("write p/L"), do("mv p/L ../out/K"), do("rmrf p")}, unknown: true},
	"left outside with others, overwritten, rm -rf": {setup: do("mkdir p", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M p/L"), do("write p/L"), do("new p/T"), do("mv p/T p/L"), do("rmrf p")}, unknown: true},
	"left outside with others, directory moved from a removed one and removed": {setup: do("mkdir p/d", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M p/d/L"), do("write p/d/L"), do("mv p/d ../out/d"), do("rmrf p"), do("rmrf ../out/d")}, unknown: true},
	"all outside, moved from a removed one": {setup: do("mkdir ../out/p", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M ../out/p/L"), do("write ../out/p/L"), do("mv ../out/p/L ../out/K"), do("rmrf ../out/p")}},
	"all outside, overwritten, rm -rf": {setup: do("mkdir ../out/p", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M ../out/p/L"), do("write ../out/p/L"), do("new ../out/p/T"), do("mv ../out/p/T ../out/p/L"), do("rmrf ../out/p")}},
	"all outside, directory moved from a removed one and removed": {setup: do("mkdir ../out/p/d", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M ../out/p/d/L"), do("write ../out/p/d/L"), do("mv ../out/p/d ../out/d"), do("rmrf ../out/p"), do("rmrf ../out/d")}},
	"all outside": {setup: do("mkdir ../out/d/e", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M ../out/d/e/L"), do("write ../out/d/e/L"), do("rmrf ../out/d")}},
	"all outside and new": {setup: do("new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("mkdir ../out/d/e"), do("ln ../out/M ../out/d/e/L"), do("write ../out/d/e/L"), do("rmrf ../out/d")}},
	"all outside, new in old": {setup: do("mkdir ../out/d", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("mkdir ../out/d/e"), do("ln ../out/M ../out/d/e/L"), do("write ../out/d/e/L"), do("rmrf ../out/d")}},
	"all ignored": {setup: do("mkdir d.ign/e", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M d.ign/e/L"), do("write d.ign/e/L"), do("rmrf d.ign")}},
	"directory moved outside from a removed one": {setup: do("mkdir ../out/p/d", "new ../out/M", "ln ../out/M ../out/N"),
		steps: []func(*hiding){do("ln ../out/M ../out/p/d/L"), do("write ../out/p/d/L"), do("mv ../out/p/d ../out/d"), do("rmrf ../out/p")}},
	"left outside":           {setup: do("new L", "ln L ../out/M"), steps: []func(*hiding){do("write L"), do("rm L")}},
	"left ignored":           {setup: do("new L", "mkdir d.ign", "ln L d.ign/M"), steps: []func(*hiding){do("write L"), do("rm L")}},
	"temporary":              {steps: []func(*hiding){do("new T"), do("write T"), do("rm T")}},
	"temporary, held open":   {steps: []func(*hiding){do("new T"), do("open T"), do("rm T"), (*hiding).put, (*hiding).shut}},
	"temporary, moved out":   {steps: []func(*hiding){do("new T"), do("mv T ../out/T")}},
	"temporary in a dir":     {steps: []func(*hiding){do("mkdir d/e"), do("new d/e/T"), do("rmrf d")}},
	"atomic saves":           {steps: []func(*hiding){do("new T"), do("mv T F"), do("new T"), do("mv T F"), do("rm F")}},
	"saved, a link removed":  {steps: []func(*hiding){do("new T"), do("mv T F"), do("ln F G"), do("rm G")}},
	"link not written":       {steps: []func(*hiding){do("ln X L"), do("rm L")}},
	"told under its name":    {steps: []func(*hiding){do("write X"), do("ln X L"), do("rm L")}},
	"told under a name left": {setup: do("ln X Y"), steps: []func(*hiding){do("write Y"), do("rm X")}},
	"renamed inside":         {setup: do("new Y"), steps: []func(*hiding){do("ln X L"), do("write L"), do("mv L Y")}},
	"link made anew":         {steps: []func(*hiding){do("ln X L"), do("write L", "rm L", "ln X L")}, mayUnknown: true, may: []string{"X", "L"}},
	"exchanged":              {setup: do("new Y"), steps: []func(*hiding){do("write X", "write Y"), do("exchange X Y")}, may: []string{"X", "Y"}},
}
