package transport

import (
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxComplaints bounds what is kept of paths; beyond it the names count
	// as unknown.
	maxComplaints = 10_000
	// maxHead and maxTail bound the other lines that are kept.
	maxHead, maxTail = 20, 20
)

// complaint is one line of rsync about one path.
type complaint struct {
	// line is the whole of it, unescaped.
	line string
	// name is the path as rsync named it, unescaped.
	name string
	// temp says that name may be a temporary file's.
	temp bool
	// source says that name is of the sender's side, far that it is not;
	// neither: old rsyncs do not tell.
	source, far bool
	// relative says that name starts at the root of the transfer.
	relative bool
	vanished bool
	// blocks says that nothing below name was sent either.
	blocks bool
	// room says that a directory stood in the way and could not be removed.
	room bool
}

// transcript is what matters of one output stream. It belongs to the
// goroutine that reads the stream until that has ended.
type transcript struct {
	complaints []complaint
	// nameless counts errors without a path, and those beyond maxComplaints.
	nameless int
	// leftover are directories that were not empty when they were to be
	// deleted, which rsync does not count as an error.
	leftover []complaint
	invalid  bool // the far side refused a path of the list
	limited  bool // --max-delete stopped deletions
	skipped  int
	// deletesSkipped: rsync left out all deletions after a reading error.
	deletesSkipped bool
	full           bool // a disk or quota at the far side is full

	head, tail []string
}

var (
	quotedLine  = regexp.MustCompile(`^rsync: (?:\[(\w+)\] )?([^"]*)"(.*)"(.*)$`)
	deleteLine  = regexp.MustCompile(`^rsync: (?:\[\w+\] )?delete_file: (?:unlink|rmdir)\((.*)\) failed: `)
	aclLine     = regexp.MustCompile(`^rsync: (?:\[\w+\] )?\w+: sys_acl_\w+\((.*), \w+\)`)
	gossipLine  = regexp.MustCompile(`^(file has vanished|directory has vanished|symlink has no referent): "(.*)"(?: \(in [^"]*\))?$`)
	roomLine    = regexp.MustCompile(`^could not make way for \w+ [^:]*: (.*)$`)
	leftoverPfx = "cannot delete non-empty directory: "
	invalidPfx  = "ABORTING due to invalid path from sender: "
	parentPfx   = "WARNING: parent dir is absent in the file list: "
	refusedLine = regexp.MustCompile(`^ERROR: .*refused to receive [^"]*"(.*)"$`)
	verifyLine  = regexp.MustCompile(`^ERROR: (.*) failed verification -- update discarded\.$`)
	limitLine   = regexp.MustCompile(`^Deletions stopped due to --max-delete limit(?: \((\d+) skipped\))?`)
	octal       = regexp.MustCompile(`\\#[0-3][0-7][0-7]`)
)

// unescape undoes rsync's \#ooo.
func unescape(s string) string {
	if !strings.Contains(s, `\#`) {
		return s
	}
	return octal.ReplaceAllStringFunc(s, func(m string) string {
		n, err := strconv.ParseUint(m[2:], 8, 8)
		if err != nil {
			return m
		}
		return string([]byte{byte(n)})
	})
}

// line takes one line of either stream.
func (t *transcript) line(s string) {
	if s == "" {
		return
	}
	if t.special(s) {
		return
	}
	c, ok := parseComplaint(s)
	if ok {
		c.line = unescape(s)
		if isFull(s) && !c.source {
			t.full = true
		}
		if len(t.complaints) < maxComplaints {
			t.complaints = append(t.complaints, c)
		} else {
			t.nameless++
		}
	} else if strings.HasPrefix(s, "rsync: ") || strings.HasPrefix(s, "ERROR: ") || strings.HasPrefix(s, "ABORTING") {
		t.nameless++
	}
	t.keep(s)
}

// special handles the lines that are no path's complaint.
func (t *transcript) special(s string) bool {
	switch {
	case strings.HasPrefix(s, "*** Skipping any contents from this failed directory"):
		if n := len(t.complaints); n > 0 {
			t.complaints[n-1].blocks = true
		}
	case strings.Contains(s, "IO error encountered") && strings.Contains(s, "skipping file deletion"):
		t.deletesSkipped = true
	case strings.HasPrefix(s, invalidPfx):
		t.invalid = true
		return false // it is kept too
	case strings.HasPrefix(s, leftoverPfx):
		if len(t.leftover) < maxComplaints {
			t.leftover = append(t.leftover, complaint{line: unescape(s), name: unescape(s[len(leftoverPfx):]), relative: true})
		}
	default:
		m := limitLine.FindStringSubmatch(s)
		if m == nil {
			return false
		}
		t.limited = true
		if n, err := strconv.Atoi(m[1]); err == nil {
			t.skipped += n
		}
	}
	return true
}

func (t *transcript) keep(s string) {
	if len(t.head) < maxHead {
		t.head = append(t.head, s)
		return
	}
	if len(t.tail) == maxTail {
		copy(t.tail, t.tail[1:])
		t.tail = t.tail[:maxTail-1]
	}
	t.tail = append(t.tail, s)
}

// lines are the kept lines, the first ones and the last ones.
func (t *transcript) lines() []string {
	return append(t.head[:len(t.head):len(t.head)], t.tail...)
}

// isFull reports whether a complaint is about space.
func isFull(s string) bool {
	return strings.HasSuffix(s, ": No space left on device (28)") || strings.HasSuffix(s, ": Disk quota exceeded (122)")
}

// parseComplaint finds the path in a line. Names may hold any text, quotes
// too, so the first quote and the last one count.
func parseComplaint(s string) (complaint, bool) {
	if m := deleteLine.FindStringSubmatch(s); m != nil {
		return complaint{name: unescape(m[1]), relative: true}, true
	}
	if m := gossipLine.FindStringSubmatch(s); m != nil {
		gone := strings.HasSuffix(m[1], "vanished")
		return complaint{name: unescape(m[2]), source: true, vanished: gone, blocks: gone}, true
	}
	if m := roomLine.FindStringSubmatch(s); m != nil {
		return complaint{name: unescape(m[1]), relative: true, blocks: true, room: true}, true
	}
	if name, ok := strings.CutPrefix(s, parentPfx); ok {
		return complaint{name: unescape(name), relative: true, vanished: true, blocks: true}, true
	}
	if m := refusedLine.FindStringSubmatch(s); m != nil {
		return complaint{name: unescape(m[1]), relative: true, blocks: true}, true
	}
	if m := verifyLine.FindStringSubmatch(s); m != nil {
		return complaint{name: unescape(m[1]), relative: true}, true
	}
	if m := aclLine.FindStringSubmatch(s); m != nil {
		return complaint{name: unescape(m[1]), relative: true, temp: true}, true
	}
	m := quotedLine.FindStringSubmatch(s)
	if m == nil || m[1] == "Receiver" || m[1] == "client" || m[1] == "server" {
		return complaint{}, false // a start that went wrong, not a path
	}
	return quotedComplaint(m[1], strings.TrimSpace(m[2]), m[3], m[4]), true
}

// quotedComplaint reads: rsync: [who] op "name" rest.
func quotedComplaint(who, op, name, rest string) complaint {
	c := complaint{source: who == "sender", far: who == "generator" || who == "receiver", temp: true}
	switch {
	case strings.HasPrefix(op, "rename"): // of a temporary file to "name"
		if i := strings.LastIndex(name, `" -> "`); i >= 0 {
			name, c.relative, c.temp = name[i+len(`" -> "`):], true, false
		}
	case strings.HasPrefix(op, "symlink"), op == "link", strings.HasPrefix(op, "hard link"):
		for _, arrow := range []string{`" -> "`, `" => "`, `) -> "`, `) => "`} {
			if i := strings.LastIndex(name, arrow); i >= 0 {
				name = name[:i]
			}
		}
		if i := strings.LastIndex(name, `" (in `); i >= 0 {
			name = name[:i]
		}
	case strings.Contains(op, "xattr("):
		if i := strings.LastIndex(name, `","`); i >= 0 {
			name = name[:i]
		}
	case strings.Contains(op, "mkdir"), strings.Contains(op, "opendir"), strings.Contains(op, "change_dir"):
		c.blocks = true
	case strings.HasPrefix(op, "link_stat") || strings.HasPrefix(op, "readlink_stat"):
		c.blocks = true
		c.vanished = !c.far && strings.HasSuffix(rest, "No such file or directory (2)")
	}
	c.name = unescape(name)
	return c
}
