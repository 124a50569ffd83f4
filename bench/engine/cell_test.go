package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/measure"
	"github.com/fansync/fansync/bench/remote"
)

// binaries is where fansync is built to, once.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "engine-test-")
	if err != nil {
		panic(err)
	}
	binaries = dir
	code := m.Run()
	if err := errors.Join(goleak.Find(), os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// within is how long a test waits for what must come.
const within = 20 * time.Second

// await polls until ok says true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}

// buildFansync builds the parent module's program.
var buildFansync = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "fansync")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/fansync")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// sersyncVar names the sersync2 program, which is not ours to ship.
const sersyncVar = "FANSYNC_BENCH_SERSYNC"

// find gives an engine that can run here, or skips the test.
func find(t *testing.T, name string) engine.Engine {
	t.Helper()
	opts := engine.Options{Sersync: os.Getenv(sersyncVar)}
	switch name {
	case "fansync":
		if _, err := exec.LookPath("go"); err != nil {
			t.Skip("there is no go in PATH to build fansync with")
		}
		path, err := buildFansync()
		if err != nil {
			t.Fatalf("build fansync: %v", err)
		}
		opts.Fansync = []engine.Binary{{Path: path}}
	case "sersync2":
		if opts.Sersync == "" {
			t.Skipf("%s does not name the sersync2 program", sersyncVar)
		}
	}
	e, err := engine.ByName(opts, name)
	if err != nil {
		t.Fatal(err)
	}
	version, err := e.Version(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Log(version)
	return e
}

// syncBuffer is written to by one goroutine and read by another.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// cell is an engine at work.
type cell struct {
	t       *testing.T
	engine  engine.Engine
	src     string
	mirrors []string
	job     engine.Job
	daemon  *remote.Daemon
	process engine.Process
	log     syncBuffer
	rounds  int
}

// open starts an engine with so many mirrors, and a remote more that is dead if
// that is asked for.
func open(t *testing.T, e engine.Engine, mirrors int, dead bool, cgroup int) *cell {
	t.Helper()
	c := &cell{t: t, engine: e, src: t.TempDir()}
	conf := remote.Config{Dir: t.TempDir()}
	// fansync mirrors no source that became empty, so there is always a file.
	c.write("keep", "")
	for i := range mirrors {
		c.mirrors = append(c.mirrors, t.TempDir())
		if out, err := exec.Command("rsync", "-a", c.src+"/", c.mirrors[i]).CombinedOutput(); err != nil {
			t.Fatalf("make the mirrors equal: %v\n%s", err, out)
		}
		conf.Modules = append(conf.Modules, remote.Module{Name: fmt.Sprint("m", i), Path: c.mirrors[i]})
	}
	if dead {
		conf.Modules = append(conf.Modules, remote.Module{Name: "dead", Dead: true})
	}
	var err error
	if c.daemon, err = remote.Start(t.Context(), conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.daemon.Stop(); err != nil {
			t.Error(err)
		}
	})
	c.job = engine.Job{Src: c.src, Scratch: t.TempDir(), Log: &c.log, Cgroup: cgroup}
	for _, m := range conf.Modules {
		at := c.daemon.Addr(m.Name)
		c.job.Remotes = append(c.job.Remotes, engine.Remote{Addr: at.Addr().String(), Port: int(at.Port()), Module: m.Name, Dead: m.Dead})
	}
	if c.process, err = e.Start(t.Context(), c.job); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := c.process.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", e.Name(), c.log.String())
		}
	})
	return c
}

// ready waits until a live engine mirrors: a probe is rewritten, as an engine
// that has just been started may not have seen it the first time. It grows, for
// several engines miss a rewrite of the same size within a second, and seldom, for
// a copy that is under way when the probe is removed brings it back with sersync2.
func (c *cell) ready() {
	c.t.Helper()
	if !c.engine.Live() {
		return
	}
	n := 0
	await(c.t, c.engine.Name()+" to mirror a probe", func() bool {
		select {
		case <-c.process.Exited():
			c.t.Fatalf("%s ended by itself", c.engine.Name())
		default:
		}
		if n++; n%200 == 1 {
			c.do(os.WriteFile(c.src+"/probe", make([]byte, n), 0o644))
		}
		return !slices.ContainsFunc(c.mirrors, func(m string) bool {
			_, err := os.Lstat(m + "/probe")
			return err != nil
		})
	})
	c.settle("probe")
	c.do(os.Remove(c.src + "/probe"))
	c.settle("probe")
}

func (c *cell) do(errs ...error) {
	c.t.Helper()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
}

// settle lets the engine mirror the changed paths and waits until all mirrors are
// right.
func (c *cell) settle(changed ...string) {
	c.t.Helper()
	c.rounds++
	if !c.engine.Live() {
		slices.Sort(changed)
		if err := c.process.Sync(c.t.Context(), changed); err != nil {
			c.t.Fatalf("round %d: %v", c.rounds, err)
		}
	}
	var left []string
	defer func() {
		if c.t.Failed() {
			c.t.Logf("round %d: wrong: %q", c.rounds, left)
		}
	}()
	await(c.t, "right mirrors", func() bool {
		left = nil
		for i, m := range c.mirrors {
			diffs, err := measure.Compare(c.t.Context(), c.src, m, measure.CompareOptions{Content: true})
			if err != nil {
				c.t.Fatal(err)
			}
			for _, d := range diffs {
				left = append(left, fmt.Sprintf("mirror %d: %s: %s", i, d.Path, d.What))
			}
		}
		return len(left) == 0 || !c.engine.Live()
	})
	if len(left) > 0 {
		c.t.FailNow()
	}
}

func (c *cell) path(rel string) string { return filepath.Join(c.src, rel) }

func (c *cell) write(rel, content string) {
	c.t.Helper()
	c.do(os.MkdirAll(filepath.Dir(c.path(rel)), 0o755), os.WriteFile(c.path(rel), []byte(content), 0o644))
}

// changes makes changes of each kind that all engines promise to mirror.
func (c *cell) changes() {
	c.t.Helper()
	c.write("a", "1")
	c.write("d/e/f", "22")
	c.write("d/g", "333")
	c.settle("a", "d", "d/e", "d/e/f", "d/g")
	c.write("a", "rewritten")
	c.do(os.Rename(c.path("d/g"), c.path("h")))
	c.settle("a", "d/g", "h")
	c.do(os.Rename(c.path("d"), c.path("moved")))
	c.settle("d", "moved")
	c.do(os.Remove(c.path("h")))
	c.settle("h")
	c.do(os.RemoveAll(c.path("moved")))
	c.settle("moved", "moved/e", "moved/e/f")
}
