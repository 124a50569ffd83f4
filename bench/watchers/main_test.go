package watchers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperWord makes the test binary run Helper.
const helperWord = "as-helper"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == helperWord {
		if err := Helper(context.Background(), os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var testHelper = []string{"/proc/self/exe", helperWord}

// fansyncProgram builds the program and returns its path.
func fansyncProgram(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go in PATH to build fansync with")
	}
	path := filepath.Join(t.TempDir(), "fansync")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/fansync")
	build.Dir = filepath.Join("..", "..") // the daemon's module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build fansync: %v\n%s", err, out)
	}
	return path
}

// need skips where a watcher cannot run: not installed, no right, or no group
// left.
func need(t *testing.T, name, fansync string) {
	t.Helper()
	some, err := choose(all(fansync, testHelper), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := some[0].find(t.Context()); err != nil {
		t.Skip(err)
	}
	g, err := start(some[0], t.TempDir(), true, 10*time.Second)
	if err == nil {
		err = g.ready(t.Context(), "")
		if e := g.close(); e != nil {
			t.Error(e)
		}
	}
	if err != nil {
		t.Skipf("%s does not run here: %v", name, err)
	}
}

// run runs a plan at a tiny scale and returns its cells.
func run(t *testing.T, p Plan) []Cell {
	t.Helper()
	var cells []Cell
	p.Helper, p.SrcDir, p.Deadline, p.Reps = testHelper, t.TempDir(), time.Minute, max(p.Reps, 1)
	p.Write = func(c Cell) error { cells = append(cells, c); return nil }
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty(t, p.SrcDir)
	return cells
}

// empty fails if something is left in dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if len(names) > 0 {
		t.Errorf("left behind: %s", strings.Join(names, " "))
	}
}
