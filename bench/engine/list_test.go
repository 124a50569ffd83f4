package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeTree makes directories from "path/", symbolic links from "path->target", and
// files from the others.
func makeTree(t *testing.T, root string, entries ...string) {
	t.Helper()
	for _, e := range entries {
		p := filepath.Join(root, e)
		var err error
		if link, target, ok := strings.Cut(p, "->"); ok {
			err = os.Symlink(target, link)
		} else if strings.HasSuffix(e, "/") {
			err = os.MkdirAll(p, 0o755)
		} else {
			err = errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(e), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestList(t *testing.T) {
	src := t.TempDir()
	makeTree(t, src, "a", "d/b", "d/e/f", "l->d", "#x", "\xff\n")
	tests := map[string]struct {
		changed []string
		want    string
	}{
		"nothing":                         {nil, ""},
		"files":                           {[]string{"#x", "a", "d/b", "\xff\n"}, "./#x|./a|./d/b|./\xff\n|"},
		"what is gone":                    {[]string{"a", "gone"}, "./a|./gone|"},
		"a directory that is gone":        {[]string{"g", "g/h", "g/h/i", "g2"}, "./g|./g2|"},
		"only its children are named":     {[]string{"g/h", "g/i/j"}, "./g|"},
		"gone in what is there":           {[]string{"d/x/y", "d/z"}, "./d/x|./d/z|"},
		"a directory stands for all":      {[]string{"d", "d/b", "d/e/f", "d/gone"}, "./d|"},
		"names between a directory's":     {[]string{"d", "d-", "d/b", "d0"}, "./d|./d-|./d0|"},
		"a directory that became a file":  {[]string{"a", "a/b", "a/c/d"}, "./a|"},
		"only what was below it is named": {[]string{"a/b"}, "./a|"},
		"a directory that became a link":  {[]string{"l/b", "l/e/f"}, "./l|"},
		"the root":                        {[]string{".", "a", "d/b"}, "./|"},
		"not clean":                       {[]string{"d//b", "./a"}, "./d/b|./a|"},
	}
	for name, tt := range tests {
		got, err := list(src, tt.changed)
		if s := strings.ReplaceAll(string(got), "\x00", "|"); err != nil || s != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, s, err, tt.want)
		}
	}
	for _, bad := range []string{"..", "../x", "/a", "d/../../x"} {
		if got, err := list(src, []string{bad}); err == nil {
			t.Errorf("%q is accepted: %q", bad, got)
		}
	}
}
