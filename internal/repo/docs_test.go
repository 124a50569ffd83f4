package repo

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// link is the target of [text](target) and of ![text](target).
	link = regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)`)
	// fence begins and ends a block of code.
	fence = regexp.MustCompile("(?m)^ *```.*$")
	// anchorless is all that a heading's anchor leaves out.
	anchorless = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
)

// TestLinks: every relative link leads to a file that is there, and to a
// heading that is in it.
func TestLinks(t *testing.T) {
	for _, name := range markdown(t) {
		prose := withoutCode(string(read(t, name)))
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // another site, or mail
			}
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.Join(root(t), filepath.FromSlash(file))); err != nil {
				t.Errorf("%s: link %s: %v", name, m[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(string(read(t, file))), anchor) {
				t.Errorf("%s: link %s: %s has no such heading", name, m[1], file)
			}
		}
	}
}

func markdown(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(files(t), func(name string) bool { return !strings.HasSuffix(name, ".md") })
}

// withoutCode leaves out the blocks of code.
func withoutCode(text string) string {
	var b strings.Builder
	for i, part := range fence.Split(text, -1) {
		if i%2 == 0 {
			b.WriteString(part)
		}
	}
	return b.String()
}

// anchors are the names that GitHub gives the headings.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(withoutCode(text), -1) {
		a := anchorless.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(a, " ", "-"))
	}
	return all
}

// TestTwins: a page and its Chinese twin show the same commands and the same
// configuration, and each is linked from the other.
func TestTwins(t *testing.T) {
	twins := 0
	for _, name := range markdown(t) {
		english, ok := strings.CutSuffix(name, ".zh-CN.md")
		if !ok {
			continue
		}
		twins++
		english += ".md"
		one, other := string(read(t, english)), string(read(t, name))
		if a, b := code(one), code(other); !slices.Equal(a, b) {
			t.Errorf("%s and %s show different code:\n%s", english, name, firstDifference(a, b))
		}
		if !strings.Contains(one, "("+path.Base(name)+")") || !strings.Contains(other, "("+path.Base(english)+")") {
			t.Errorf("%s and %s do not link each other", english, name)
		}
	}
	if twins == 0 {
		t.Error("there is no Chinese page")
	}
}

// code are the lines of the blocks of code, without comments, which are
// translated, and blank lines.
func code(text string) []string {
	var lines []string
	for i, part := range fence.Split(text, -1) {
		if i%2 == 0 {
			continue
		}
		for line := range strings.Lines(part) {
			line, _, _ = strings.Cut(line, "# ")
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func firstDifference(a, b []string) string {
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return "- " + x + "\n- " + y
		}
	}
	return ""
}

// TestReadmeCommands: what the README tells to run first is there.
func TestReadmeCommands(t *testing.T) {
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		lines := code(string(read(t, name)))
		for _, want := range []string{"scripts/run SRC DEST", "scripts/test"} {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
				t.Errorf("%s does not show %q", name, want)
			}
		}
	}
	for _, script := range []string{"scripts/run", "scripts/test", "scripts/setup", "scripts/stress", "scripts/bench", "scripts/perf-gate", "scripts/go", ".ci/run"} {
		info, err := os.Stat(filepath.Join(root(t), script))
		if err != nil {
			t.Error(err)
		} else if info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable", script)
		}
	}
	if run := string(read(t, ".ci/run")); !strings.Contains(run, "scripts/test") {
		t.Error(".ci/run does not run the README's test command")
	}
}
