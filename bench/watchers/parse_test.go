package watchers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const root = "/srv/a b"
	for _, c := range []struct {
		name  string
		parse func(string, []byte) said
		line  string
		want  said
	}{
		{"ours ready", parseFansync, `{"type":"ready","time":"x","root":"/srv/a b","after_ms":0.8}`, said{kind: ready}},
		{"ours watching", parseFansync, `{"type":"watching","time":"x","root":"/srv/a b","backend":"fanotify"}`, said{}},
		{"ours change", parseFansync, `{"type":"change","time":"x","root":"/srv/a b","path":"/srv/a b/d/f","kinds":["created","written"],"flags":["name"]}`, said{changed, "d/f"}},
		{"ours name like a kind", parseFansync, `{"type":"change","root":"/srv/a b","path":"/srv/a b/\"subtree\"","kinds":["created"]}`, said{changed, `"subtree"`}},
		{"ours subtree", parseFansync, `{"type":"change","root":"/srv/a b","path":"/srv/a b/d","kinds":["moved","subtree","dir"],"flags":[]}`, said{inside, "d"}},
		{"ours children", parseFansync, `{"type":"change","root":"/srv/a b","path":"/srv/a b/d","kinds":["children","dir"],"flags":[]}`, said{children, "d"}},
		{"ours flag is no kind", parseFansync, `{"type":"change","root":"/srv/a b","path":"/srv/a b/d","kinds":["created","dir"],"flags":["subtree"]}`, said{changed, "d"}},
		{"ours rescan", parseFansync, `{"type":"rescan","root":"/srv/a b","path":"/srv/a b","kinds":["rescan"],"reason":"overflow"}`, said{rescan, ""}},
		{"ours bytes", parseFansync, `{"type":"change","root":"/srv/a b","path_b64":"L3Ny","kinds":["created"]}`, said{}},
		{"ours error", parseFansync, `fansync: no`, said{}},
		{"tools ready", parseTools, "Watches established.", said{kind: ready}},
		{"tools file", parseTools, "/srv/a b/d/ CLOSE_WRITE,CLOSE f", said{changed, "d/f"}},
		{"tools deleted", parseTools, "/srv/a b/d/ CREATE f (deleted)", said{changed, "d/f"}},
		{"tools directory itself", parseTools, "/srv/a b/d/ DELETE_SELF ", said{changed, "d"}},
		{"tools elsewhere", parseTools, "/srv/a bc/ CREATE f", said{}},
		{"tools overflow", parseTools, " Q_OVERFLOW ", said{kind: lost}},
		{"tools handle", parseTools, "[fid=1.2.3;name='f'] /srv/a b/f", said{kind: noise}},
		{"tools cut", parseTools, "/srv/a", said{}},
		{"fatrace write", parseFatrace, "my prog (x)(12): W   /srv/a b/d/f", said{changed, "d/f"}},
		{"fatrace elsewhere", parseFatrace, "x(12): CW  /etc/passwd", said{}},
		{"fatrace text", parseFatrace, "Cannot initialize fanotify", said{}},
		{"reader ready", parseReader, "ready ", said{kind: ready}},
		{"reader change", parseReader, "change /srv/a b/d/f g", said{changed, "d/f g"}},
		{"reader lost", parseReader, "lost ", said{kind: lost}},
		{"reader text", parseReader, "panic: x", said{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.parse(root, []byte(c.line)); got != c.want {
				t.Errorf("%q: %+v, want %+v", c.line, got, c.want)
			}
		})
	}
}

// tree makes files with their directories.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		path := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func left(c *census) (paths []string) {
	for p := range c.missing {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// TestCensus: a line covers what it names; a directory to be looked at covers what
// is there when it is told, and nothing that comes later.
func TestCensus(t *testing.T) {
	root := tree(t, "a", "d/x", "d/e/y", "other")
	json := func(typ, path, kinds string) string {
		return `{"type":"` + typ + `","path":"` + root + path + `","kinds":[` + kinds + `]}` + "\n"
	}
	for _, c := range []struct {
		name, text, want string
	}{
		{"nothing", "x\n", "a d/e/y d/later d/x other"},
		{"a file", json("change", "/a", ""), "d/e/y d/later d/x other"},
		{"a directory", json("change", "/d", `"created","dir"`), "a d/e/y d/later d/x other"},
		{"children", json("change", "/d", `"children","dir"`), "a d/e/y d/later other"},
		{"subtree", json("change", "/d", `"moved","subtree","dir"`), "a d/later other"},
		{"rescan", json("rescan", "", `"rescan"`), "d/later"},
		{"gone", json("change", "/gone", `"subtree"`), "a d/e/y d/later d/x other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// However the output is cut into pieces.
			for _, piece := range []int{1, 7, 1000} {
				n := newCensus(root, parseFansync)
				n.want("a", "d/x", "d/e/y", "d/later", "other")
				for text := c.text; text != ""; {
					k := min(piece, len(text))
					if _, err := n.Write([]byte(text[:k])); err != nil {
						t.Fatal(err)
					}
					text = text[k:]
				}
				if got := strings.Join(left(n), " "); got != c.want {
					t.Errorf("in pieces of %d: missing %s, want %s", piece, got, c.want)
				}
			}
		})
	}
}

// TestForest: every directory has its parent before it, and all are told apart.
func TestForest(t *testing.T) {
	seen := map[string]bool{".": true}
	for i := range 10_000 {
		dir := forestDir(i)
		if seen[dir] || !seen[filepath.Dir(dir)] {
			t.Fatalf("directory %d is %s: there already, or without parent", i, dir)
		}
		seen[dir] = true
	}
	root := t.TempDir()
	if err := plantForest(t.Context(), root, shape{dirs: 30, files: 100}); err != nil {
		t.Fatal(err)
	}
	dirs, files := 0, 0
	for _, pattern := range []string{"d*", "d*/d*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		dirs += len(found)
		found, err = filepath.Glob(filepath.Join(root, pattern, "file*"))
		if err != nil {
			t.Fatal(err)
		}
		files += len(found)
	}
	if dirs != 30 || files != 100 {
		t.Errorf("%d directories and %d files, want 30 and 100", dirs, files)
	}
}
