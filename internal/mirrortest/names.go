package mirrortest

import "strings"

// plainNames collide often and differ in how they sort around '/'.
var plainNames = []string{
	"a", "b", "c", "d", "a-b", "a.b", "a0", "a b", "ab", "A", "B", "dir", "Dir", "file", "file.txt", ".hidden",
}

// oddNames are what shells, patterns, list formats and decoders trip over.
var oddNames = []string{
	" lead", "trail ", "  ", "it's", `say "x"`, "$(touch pwned)", "`touch pwned`", "$HOME", "new\nline", "\n",
	"tab\there", "-", "-rf", "--exclude=zzz", "--delete", "# comment", "#123", "; rm", ";", "[a]", "[!a]*", "*", "?", "**",
	"{a,b}", `back\slash`, `\#012`, `\n`, `end\`, "100%", "%s%n", "a&b|c>d<e", "~", "~root", "!", "x (deleted)",
	"caf\u00e9", "cafe\u0301", "\u6587\u4ef6", "\U0001f600", "\u202eabc", "\xff\xfe", "\xc3(", "a\x80b", "\x01\x1b[31m", "\x7f", "\r",
	"...", "..a", "a:b", "host::mod", "+ a", "- a", "a,b", "a=b",
}

// longName is as long as a name may be; tag tells two of them apart.
func longName(tag string) string { return tag + strings.Repeat("n", 255-len(tag)) }

// innerTargets are symbolic links that stay in their directory; many lead
// nowhere, one leads round.
var innerTargets = []string{
	"nowhere", "a", "b", "b/c", ".", "with blank", "new\nline", "\xff\xfe", "$(touch pwned)", "trail/",
}

// outerTargets climb or are absolute.
var outerTargets = []string{"..", "../nowhere", "../../a", "/", "/nonexistent/x", "/etc/hostname"}

// modes keep the owner's access, so that any user can go on working.
var (
	fileModes = []uint32{0o600, 0o644, 0o640, 0o664, 0o666, 0o700, 0o755, 0o777, 0o4755}
	dirModes  = []uint32{0o700, 0o711, 0o750, 0o755, 0o775, 0o777, 0o1755, 0o2755}
)

// owners are taken when a History may chown.
var owners = []int{0, 1000, 65534}

// sizes are few, so that different contents often have the same size.
var sizes = []int64{0, 1, 10, 10, 100, 100, 100, 4096, 5000}

// pastTimes (seconds, nanoseconds) are few, so that different contents of one
// size often have the same time; three of them lie in the same second.
var pastTimes = [][2]int64{
	{1e9, 0}, {1e9, 1}, {1e9, 5e8}, {1234567890, 123456789}, {946684800, 0}, {1577836800, 999999999},
}
