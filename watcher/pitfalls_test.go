package watcher

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// The pitfalls are 34 known ways in which the kernel's records lead a reader
// astray. Each has a test, TestPitfallNN, that runs on every filesystem and
// with every backend it can happen with: the comment of the test says where
// and why not elsewhere.

// everywhere are the filesystems of the pitfalls.
var everywhere = []string{"ext4", "xfs", "btrfs", "tmpfs", overlayPlain, overlayExport}

// eachPlace runs f on each of the filesystems with each backend that works
// there. Without the right to mount, that is inotify in the temporary
// directory.
func eachPlace(t *testing.T, filesystems []string, f func(t *testing.T, root string, b Backend)) {
	if os.Geteuid() != 0 {
		t.Run("unprivileged", func(t *testing.T) { f(t, tempRoot(t, "disk"), BackendInotify) })
		return
	}
	for _, fs := range filesystems {
		for _, b := range []Backend{BackendFanotify, BackendInotify} {
			if fs == overlayPlain && b == BackendFanotify {
				continue // see TestPitfallPlaces
			}
			t.Run(fs+"-"+string(b), func(t *testing.T) {
				if testing.Short() && fs != "ext4" && fs != "tmpfs" {
					t.Skip("two filesystems are enough, if it must be short")
				}
				f(t, shared.root(t, fs), b)
			})
		}
	}
}

// eachFanotifyPlace is eachPlace for what only fanotify does.
func eachFanotifyPlace(t *testing.T, f func(t *testing.T, root string)) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		if b != BackendFanotify {
			t.Skip("of fanotify only")
		}
		f(t, root)
	})
}

// eachInotifyPlace is eachPlace for what only inotify does.
func eachInotifyPlace(t *testing.T, f func(t *testing.T, root string)) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		if b != BackendInotify {
			t.Skip("of inotify only")
		}
		f(t, root)
	})
}

// stage is a Watcher whose Events are held against the tree.
type stage struct {
	*probe
	gate gate
}

func onStage(t *testing.T, root string, b Backend) *stage {
	t.Helper()
	s := &stage{}
	s.probe = watch(t, Config{Root: root, Backend: b, hold: s.gate.hold})
	return s
}

// merged returns the Events of what f does, which waits in the kernel's queue
// until f has ended. They must explain every difference in the tree.
func (s *stage) merged(f func()) []Event {
	s.t.Helper()
	return s.explains(func() { s.gate.during(f) })
}

// live is merged with the reader reading meanwhile.
func (s *stage) live(f func()) []Event { s.t.Helper(); return s.explains(f) }

func (s *stage) explains(f func()) []Event {
	s.t.Helper()
	before := snapshot(s.t, s.root)
	f()
	events := s.sync()
	if bad := unexplainedFiles(s.t, s.root, before, snapshot(s.t, s.root), events); len(bad) > 0 {
		s.t.Errorf("not explained:\n%s\nevents:\n%s", strings.Join(bad, "\n"), listing(events))
	}
	return events
}

// scripts runs scripts of testdata on all filesystems.
func scripts(t *testing.T, names ...string) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			a, err := txtar.ParseFile(filepath.Join("testdata/scripts", name+".txt"))
			ok(t, err)
			eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
				if out, want := runScript(t, root, b, a), wanted(a, b); out != want {
					t.Errorf("gives:\n%swant:\n%s", out, want)
				}
			})
		})
	}
}

// The places are what they are thought to be: fanotify works on all but an
// overlay without file handles, where auto takes inotify.
func TestPitfallPlaces(t *testing.T) {
	needRoot(t)
	for _, fs := range everywhere {
		t.Run(fs, func(t *testing.T) {
			w := newWatcher(t, Config{Root: shared.root(t, fs)})
			defer w.Close()
			b, why := w.Backend()
			if fs == overlayPlain {
				if b != BackendInotify || !strings.Contains(why, "filesystem overlay gives no file handles") {
					t.Error(b, why)
				}
			} else if b != BackendFanotify {
				t.Error(b, why)
			}
		})
	}
}

// An ordinary user has inotify, on what is there.
func TestPitfallsUnprivileged(t *testing.T) {
	root := openRoot(t)
	// The scripts are read from where the test runs.
	ok(t, os.CopyFS(filepath.Join(root, "testdata"), os.DirFS("testdata")))
	// The long ones of the queue are the same for everybody.
	again(t, "TestPitfall(0[1-4]|0[7-9]|[1-3]).*", root, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
}

func TestEveryPitfallHasItsTest(t *testing.T) {
	const pitfalls = 34
	files, err := filepath.Glob("*_test.go")
	ok(t, err)
	named := regexp.MustCompile(`^TestPitfall([0-9]{2})[A-Z]`)
	var have []int
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		ok(t, err)
		for _, d := range tree.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is {
				continue
			}
			if m := named.FindStringSubmatch(f.Name.Name); m != nil {
				n, err := strconv.Atoi(m[1])
				ok(t, err)
				have = append(have, n)
			}
		}
	}
	slices.Sort(have)
	for n := 1; n <= pitfalls; n++ {
		if !slices.Contains(have, n) {
			t.Errorf("pitfall %d has no test", n)
		}
	}
	if len(have) > 0 && (have[0] < 1 || have[len(have)-1] > pitfalls) {
		t.Error("tests of pitfalls that are not:", have)
	}
}
