package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
)

// maxBurstRuns is how many runs of rsync a burst of 2,000 files may take.
const maxBurstRuns = 8

// burst is an engine that has just sent its first full run to a daemon.
type burst struct {
	*running
	src, dst string
	plain    string // another module of the daemon
	before   int    // runs until the last check
}

func newBurst(tb testing.TB) *burst {
	tb.Helper()
	src, dst := filepath.Join(mirrortest.TmpfsDir(tb), "src"), tb.TempDir()
	d := mirrortest.StartDaemon(tb, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst, "plain": tb.TempDir()}})
	if err := os.MkdirAll(src, 0o755); err != nil {
		tb.Fatal(err)
	}
	x := &burst{src: src, dst: dst, plain: d.URL("plain", "")}
	x.running = startEngine(tb, oneRemote(src, d.URL("m", "")), &trace{})
	x.flush(tb)
	x.before = x.trace.started("far")
	return x
}

// write makes 2,000 small files in 20 directories; text is given their number.
func (x *burst) write(tb testing.TB, text string) {
	tb.Helper()
	for i := range 2000 {
		dir := filepath.Join(x.src, fmt.Sprintf("d%02d", i/100))
		if i%100 == 0 {
			mkdir(tb, dir)
		}
		write(tb, filepath.Join(dir, fmt.Sprintf("f%04d", i)), fmt.Sprintf(text, i))
	}
}

// check compares the trees and returns the number of runs since the last check.
func (x *burst) check(tb testing.TB) int {
	tb.Helper()
	mirrortest.RequireEqual(tb, x.src, x.dst, mirrortest.DiffOptions{})
	n := x.trace.started("far") - x.before
	x.before += n
	return n
}

// A burst takes few runs also in the moment in which another run has ended, and
// in that moment nothing is trusted that should not be: all of it is written
// again, at the same size.
func TestBurstRightAfterARun(t *testing.T) {
	x := newBurst(t)
	for _, text := range []string{"one %d", "two %d"} {
		x.write(t, text)
		x.flush(t)
		n := x.check(t)
		if text == "one %d" && n > maxBurstRuns {
			t.Errorf("%d runs of rsync for one burst, at most %d may be\n%s", n, maxBurstRuns, x.trace)
		}
	}
	x.stop(t)
}

// A tree of many small directories that came while nothing could be sent goes
// by one recursive item, and so does what was deleted in it meanwhile.
func TestBacklogGoesRecursively(t *testing.T) {
	x := newBurst(t)
	tree := filepath.Join(x.src, "tree")
	file := func(i int) string {
		return filepath.Join(tree, fmt.Sprint(i/100), fmt.Sprint(i/10), fmt.Sprint("file", i))
	}
	fill := func(n int) {
		for i := range n {
			mkdir(t, filepath.Dir(file(i)))
			write(t, file(i), fmt.Sprint(n, i))
		}
	}
	fill(300)
	x.flush(t)
	x.check(t)
	x.roots[0].sched.Pause("test")
	fill(2000)
	for i := range 50 {
		if err := os.Remove(file(i)); err != nil {
			t.Fatal(err)
		}
	}
	const dirs = 17 + 170 // new ones
	await(t, "the backlog", func() bool { return x.Status().Roots[0].Remotes[0].Backlog >= 2000+dirs })
	// A tree that still changes would go by lists.
	<-time.After(300 * time.Millisecond)
	x.roots[0].sched.Resume(false, "")
	x.flush(t)
	x.check(t)
	if deep := regexp.MustCompile(`start \d+ deep max-delete \d+ \["tree"\]`); !deep.MatchString(x.trace.String()) {
		t.Errorf("no recursive batch\n%s", x.trace)
	}
	x.stop(t)
}
