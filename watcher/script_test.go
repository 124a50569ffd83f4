package watcher

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write what the scripts give as what they want")

// TestScripts runs the files of testdata/scripts, one rule each, with each
// backend. A file has a comment that tells the rule and the parts setup (done
// before watching), do, and want: one line for each path, with all bits of its
// events together. Where the backends differ, the parts are want-fanotify and
// want-inotify. Paths that begin with ../ are outside the root.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txt")
	ok(t, err)
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			ok(t, err)
			got := map[Backend]string{}
			eachBackend(t, func(t *testing.T, root string, b Backend) {
				out := runScript(t, root, b, a)
				if before, is := got[b]; is && before != out {
					t.Errorf("%s differs between filesystems:\n%s\n%s", b, before, out)
				}
				got[b] = out
				if *update {
					return
				}
				if want := wanted(a, b); out != want {
					t.Errorf("%s gives:\n%swant:\n%s", b, out, want)
				}
			})
			if *update && !t.Failed() && len(got) == 2 {
				ok(t, os.WriteFile(file, rewrite(a, got), 0o644))
			}
		})
	}
}

// wanted is what a script must give with a backend.
func wanted(a *txtar.Archive, b Backend) string {
	if want := section(a, "want-"+string(b)); want != "" {
		return want
	}
	return section(a, "want")
}

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func rewrite(a *txtar.Archive, got map[Backend]string) []byte {
	n := &txtar.Archive{Comment: a.Comment}
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want") {
			n.Files = append(n.Files, f)
		}
	}
	if got[BackendFanotify] == got[BackendInotify] {
		n.Files = append(n.Files, txtar.File{Name: "want", Data: []byte(got[BackendFanotify])})
	} else {
		for _, b := range []Backend{BackendFanotify, BackendInotify} {
			n.Files = append(n.Files, txtar.File{Name: "want-" + string(b), Data: []byte(got[b])})
		}
	}
	return txtar.Format(n)
}

// runScript runs one script and returns its events, folded and sorted.
func runScript(t *testing.T, root string, b Backend, a *txtar.Archive) string {
	return tapScript(t, root, b, a, func([]byte) {})
}

// tapScript is runScript that shows what is read of the kernel, as it is read.
func tapScript(t *testing.T, root string, b Backend, a *txtar.Archive, tap func(raw []byte)) string {
	mkdir(t, root+"/../out")
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	lines := func(script string) {
		for line := range strings.Lines(script) {
			if f := strings.Fields(line); len(f) > 0 {
				if h := operate(t, root, f[0], f[1:]); h != nil {
					open = append(open, h)
				}
			}
		}
	}
	lines(section(a, "setup"))
	w := newWatcher(t, Config{Root: root, Backend: b, Ignore: func(path string, _ bool) bool {
		return strings.HasSuffix(path, ".ign")
	}})
	decode := w.sink.decode
	w.sink.decode = func(raw []byte, now int64) {
		tap(raw)
		decode(raw, now)
	}
	p := run(t, w)
	p.awaitReady()
	// A line "sync" waits until all before it was reported.
	var events []Event
	for part := range strings.SplitSeq(section(a, "do"), "sync\n") {
		lines(part)
		events = append(events, p.sync()...)
	}
	p.close()
	return fold(events)
}

func fold(events []Event) string {
	froms := map[string]string{}
	for _, e := range events {
		if e.From != "" {
			froms[e.Path] = " from " + show(e.From)
		}
		if e.Reason != "" {
			froms[e.Path] += " (" + string(e.Reason) + ")"
		}
	}
	var lines []string
	for path, k := range kinds(events) {
		lines = append(lines, fmt.Sprintf("%s %s%s\n", show(path), k, froms[path]))
	}
	slices.Sort(lines)
	return inodeName.ReplaceAllString(strings.Join(lines, ""), "#N ")
}

// inodeName is the name of a file without a name.
var inodeName = regexp.MustCompile(`#[0-9]{2,} `)

func show(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// operate does one line of a script. A file it leaves open is returned.
func operate(t *testing.T, root, op string, arg []string) *os.File {
	t.Helper()
	path := func(i int) string {
		if i >= len(arg) {
			t.Fatalf("%s %q: too few words", op, arg)
		}
		return root + "/" + arg[i]
	}
	text := strings.Join(arg[min(1, len(arg)):], " ")
	switch op {
	case "mkdir":
		mkdir(t, path(0))
	case "write":
		write(t, path(0), text)
	case "append":
		ok(t, appendTo(path(0), text))
	case "hold": // append and leave open
		f, err := os.OpenFile(path(0), os.O_WRONLY|os.O_APPEND, 0)
		ok(t, err)
		_, err = f.WriteString(text)
		ok(t, err)
		return f
	case "read":
		_, err := os.ReadFile(path(0))
		ok(t, err)
	case "rm":
		ok(t, os.Remove(path(0)))
	case "mv":
		ok(t, unix.Rename(path(0), path(1))) // os.Rename refuses to replace a directory
	case "exchange":
		ok(t, unix.Renameat2(unix.AT_FDCWD, path(0), unix.AT_FDCWD, path(1), unix.RENAME_EXCHANGE))
	case "ln":
		ok(t, os.Link(path(0), path(1)))
	case "symlink":
		ok(t, os.Symlink(arg[0], path(1)))
	case "fifo":
		ok(t, unix.Mkfifo(path(0), 0o644))
	case "truncate":
		ok(t, os.Truncate(path(0), 1))
	case "mtime":
		ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, path(0), []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 1e9}}, 0))
	case "times":
		ok(t, os.Chtimes(path(0), time.Unix(1e9, 0), time.Unix(1e9, 0)))
	case "chmod":
		mode, err := strconv.ParseUint(arg[1], 8, 32)
		ok(t, err)
		ok(t, os.Chmod(path(0), os.FileMode(mode)))
	case "tmpfile": // O_TMPFILE in a directory, linked, written after, closed
		ok(t, tmpfile(path(0), path(1)))
	default:
		t.Fatalf("unknown operation %q", op)
	}
	return nil
}
