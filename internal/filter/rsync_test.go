package filter

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var rounds = flag.Int("rounds", 3, "rounds of 100 random rule lists given to rsync")

// sent asks rsync which paths below dir it sends under the rules; directories
// end in a slash.
func sent(t interface{ Fatalf(string, ...any) }, dir string, rules []string) []string {
	args := []string{"-a", "-n", "--8-bit-output", "--out-format=%n"}
	for _, r := range rules {
		args = append(args, "--filter="+r)
	}
	cmd := exec.Command("rsync", append(args, dir+"/", dir+".not-there/")...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rsync with %q: %v: %s", rules, err, stderr.String())
	}
	var paths []string
	for line := range strings.Lines(string(out)) {
		p := unescape(strings.TrimSuffix(line, "\n"))
		if p != "./" && !strings.HasPrefix(p, "created directory ") {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// unescape undoes rsync's \#ooo for bytes it does not print.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var c byte
		if strings.HasPrefix(s[i:], `\#`) {
			if n, _ := fmt.Sscanf(s[i+2:], "%03o", &c); n == 1 {
				b.WriteByte(c)
				i += 4
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// kept is what the filter lets through below dir, in the form of sent.
func kept(t interface{ Fatalf(string, ...any) }, dir string, f *Filter) []string {
	var paths []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel := p[len(dir)+1:]
		switch {
		case f.Excluded(rel, d.IsDir()):
		case d.IsDir():
			paths = append(paths, rel+"/")
		default:
			paths = append(paths, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	slices.Sort(paths)
	return paths
}

// plant makes the paths below a new directory; a trailing slash marks a
// directory.
func plant(t *testing.T, paths ...string) string {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
	dir := filepath.Join(t.TempDir(), "src")
	for _, p := range append([]string{"./"}, paths...) {
		full := dir + "/" + p
		if err := os.MkdirAll(full[:strings.LastIndexByte(full, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(p, "/") {
			if err := os.WriteFile(full, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestManualAgainstRsync gives rsync each path of the table by itself.
func TestManualAgainstRsync(t *testing.T) {
	for _, c := range manual {
		f := parse(t, c.rules...)
		check := func(paths []string, want bool) {
			for _, p := range paths {
				dir := plant(t, p)
				got := sent(t, dir, c.rules)
				if slices.Contains(got, p) != want {
					t.Errorf("%q: rsync sends %q: %v", c.rules, p, !want)
				}
				if diff := cmp.Diff(got, kept(t, dir, f)); diff != "" {
					t.Errorf("%q (-rsync +filter):\n%s", c.rules, diff)
				}
			}
		}
		check(c.kept, true)
		check(c.excluded, false)
	}
}

// names are components apt to be confused with a pattern.
var names = []string{
	"a", "b", "c", "ab", "ba", "abc", "A", "1", "-", ".a", "a.b", "*", "**", "a*", "?", "[a]", "[", "]", "!", "^a",
	`\`, `a\b`, `a\`, " a", "a ", "#a", ";b", "a:b", "\t", "\x80", "\xc3\xa9", "z",
}

// TestRandomAgainstRsync gives random rules to both, over a random tree.
func TestRandomAgainstRsync(t *testing.T) {
	for round := range *rounds {
		dir := plant(t, randomTree(rand.New(rand.NewPCG(uint64(round), 7)))...)
		rapid.Check(t, func(t *rapid.T) {
			rules := rapid.SliceOfN(rapid.Custom(randomRule), 1, 4).Draw(t, "rules")
			f, err := Parse(rules)
			if err != nil {
				t.Fatalf("parse %q: %v", rules, err)
			}
			if diff := cmp.Diff(sent(t, dir, f.Rules()), kept(t, dir, f)); diff != "" {
				t.Fatalf("%q (-rsync +filter):\n%s", rules, diff)
			}
		})
	}
}

// randomTree has every name at the top and three levels of directories below.
func randomTree(r *rand.Rand) []string {
	var paths []string
	var grow func(dir string, depth, width int)
	grow = func(dir string, depth, width int) {
		for _, i := range r.Perm(len(names))[:width] {
			p := dir + names[i]
			if depth < 3 && r.IntN(2) == 0 {
				paths = append(paths, p+"/")
				grow(p+"/", depth+1, 4)
			} else {
				paths = append(paths, p)
			}
		}
	}
	grow("", 0, len(names))
	return paths
}

// randomRule puts a pattern together of pieces of names and wildcards.
func randomRule(t *rapid.T) string {
	sign := rapid.SampledFrom([]string{"- ", "- ", "- ", "+ "}).Draw(t, "sign")
	piece := rapid.OneOf(
		rapid.SampledFrom(names),
		rapid.SampledFrom([]string{
			"*", "*", "**", "***", "?", "/", "/", "/", "/**/", "**/", "/***", `\`, `\*`, `\?`, `\[`, `\a`, `\\`,
			"[a-c]", "[!a]", "[^a-b]", "[]]", "[!]a]", `[\]a]`, "[a-]", "[-a]", "[--a]", `[\a-\c]`, "[a", "[!", "[[:alpha:]]",
			"[[:digit:]b]", "[![:alnum:]]", "[[:punct:]]", "[[:space:]]", "[[:nope:]]", "[[:alpha:]-c]", "[[:]", "[[:a]",
			"[[:print:]]", "[[:cntrl:]]", "[[:graph:]]", "[[:blank:]a]", "[[:xdigit:]]", "[[:upper:][:lower:]]", "[*?]", "[**]", "[a/b]",
		}),
	)
	pieces := rapid.SliceOfN(piece, 1, 5).Draw(t, "pieces")
	lead := rapid.SampledFrom([]string{"", "", "", "/", "**", "**/"}).Draw(t, "lead")
	end := rapid.SampledFrom([]string{"", "", "", "/", "*", "**", "/***", "/*"}).Draw(t, "end")
	return sign + lead + strings.Join(pieces, "") + end
}
