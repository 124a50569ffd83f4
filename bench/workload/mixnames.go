package workload

import (
	"fmt"
	"strings"
)

// plainNames collide often and differ in how they sort around '/'.
var plainNames = []string{"a", "b", "c", "d", "a-b", "a.b", "a0", "ab", "A", "dir", "file", "file.txt"}

// oddNames are what shells, patterns, list formats and decoders trip over. An
// engine that hands names to a shell runs them: every command in them only
// prints. None begins with a dot or ends in a tilde, which some engines leave
// out on purpose.
var oddNames = []string{
	" lead", "trail ", "  ", "it's", `say "x"`, "$(id)", "`id`", "$HOME", "new\nline", "\n", "tab\there",
	"-", "-n", "--exclude=zzz", "--delete", "# comment", "#123", "; id", ";", "[a]", "[!a]*", "*", "?", "**",
	"{a,b}", `back\slash`, `\#012`, `\n`, `end\`, "100%", "%s%n", "a&b|c", "~root", "!", "x (deleted)",
	"caf\u00e9", "cafe\u0301", "\u6587\u4ef6", "\u202eabc", "\xff\xfe", "\xc3(", "a\x80b", "\x01\x1b[31m", "\r",
	"a:b", "host::mod", "+ a", "- a", "a,b", "a=b",
}

// targets of symbolic links stay in the link's directory: rsync daemons store
// others in a changed form.
var targets = []string{"nowhere", "a", "b", "b/c", ".", "with blank", "new\nline", "\xff\xfe", "$(id)", "trail/"}

// modes keep the owner's access.
var (
	fileModes = []uint32{0o600, 0o640, 0o644, 0o664, 0o700, 0o755}
	dirModes  = []uint32{0o700, 0o711, 0o750, 0o755, 0o775}
)

// longestName is as long as a name may be; n tells two of them apart.
func longestName(n int) string {
	tag := fmt.Sprint("long", n)
	return tag + strings.Repeat("n", 255-len(tag))
}

// fresh is a name that is not yet in dir.
func (m *mixer) fresh(dir *node) string {
	m.serial++
	name := longestName(m.serial)
	switch n := m.rng.IntN(100); {
	case n < 50:
		name = pick(m, oddNames)
	case n < 95:
		name = pick(m, plainNames)
	}
	if dir.child(name) == nil {
		return name
	}
	return fmt.Sprint(name, m.serial)
}
