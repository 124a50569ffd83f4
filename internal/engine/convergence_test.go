package engine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

const (
	// seedsEnv and fromEnv choose how many random histories are run, and from
	// which seed on.
	seedsEnv = "FANSYNC_SEEDS"
	fromEnv  = "FANSYNC_SEED_FROM"
	// rounds is how often a history rests to be compared, ops how many
	// operations lie between.
	rounds, ops = 4, 30
	// flushTimeout is only there to end a test that hangs.
	flushTimeout = 60 * time.Second
)

func envInt(t testing.TB, name string, fallback int) int {
	s := os.Getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, s, err)
	}
	return n
}

// bed is what all histories of one run share: the far sides, and places on
// different filesystems.
type bed struct {
	daemon  *mirrortest.Daemon
	sshd    *mirrortest.SSHD
	sources []string // directories on different filesystems
	dests   string
	moves   atomic.Int64 // runs that took data from old names
}

// TestConvergence works random histories into a source, and demands after each
// flush that every remote equals it: both backends, daemon, ssh and local
// remotes, ext4 (or what the temporary directory is on) and tmpfs.
func TestConvergence(t *testing.T) {
	n := 120
	if testing.Short() {
		n = 12
	}
	n, from := envInt(t, seedsEnv, n), envInt(t, fromEnv, 1)
	b := &bed{dests: t.TempDir(), sources: []string{t.TempDir(), mirrortest.TmpfsDir(t)}}
	b.daemon = mirrortest.StartDaemon(t, mirrortest.DaemonConfig{
		Modules: map[string]string{"m": b.dests}, User: "mirror", Password: "secret", Chroot: os.Geteuid() == 0,
	})
	b.sshd = mirrortest.StartSSHD(t)
	t.Cleanup(func() {
		if moves := b.moves.Load(); moves < int64(n)/4 {
			t.Errorf("%d histories had no more than %d moves", n, moves)
		}
	})
	for seed := from; seed < from+n; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			b.history(t, uint64(seed))
		})
	}
}

// history runs one seed; what it uses of the bed is derived from the seed.
func (b *bed) history(t testing.TB, seed uint64) {
	name := fmt.Sprintf("h%d", seed)
	src := filepath.Join(b.sources[seed/2%2], name)
	backend := []string{"fanotify", "inotify"}[seed%2]
	h := mirrortest.NewHistory(seed, src, mirrortest.HistoryOptions{InnerLinks: os.Geteuid() != 0, Inotify: backend == "inotify"})
	defer h.Close()
	// A root that runs empty is the guard's business, not this test's.
	if err := os.WriteFile(filepath.Join(src, ".keep"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	remotes := map[string]config.Remote{
		"local":  {Dest: filepath.Join(b.dests, name+"-local")},
		"daemon": {Dest: b.daemon.URL("m", name+"-daemon"), PasswordFile: b.daemon.PasswordFile()},
	}
	if seed%4 == 0 {
		remotes["ssh"] = config.Remote{Dest: b.sshd.Dest(filepath.Join(b.dests, name+"-ssh")), SSH: b.sshd.SSH()}
	}
	root := config.Root{Path: src, Backend: backend}
	for n, r := range remotes {
		r.Name = n
		root.Remotes = append(root.Remotes, r)
	}
	trace := &trace{}
	e := startTuned(t, config.Config{Roots: []config.Root{root}}, trace, Options{Tune: func(c *scheduler.Config) {
		if seed%3 == 0 {
			c.BigFile = 64 // most files have flights of their own
		}
		if seed%5 != 0 {
			// Trees are small here: whatever was renamed is to be taken from its old name.
			c.MoveMin = 1
		}
	}})
	for round := range rounds {
		if round > 0 {
			if err := h.Run(ops); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if round == rounds-1 {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}
		e.flush(t)
		for n := range remotes {
			want, err := mirrortest.Snapshot(src, nil)
			if err != nil {
				t.Fatal(err)
			}
			dest := filepath.Join(b.dests, name+"-"+n)
			got, err := mirrortest.Snapshot(dest, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := mirrortest.Diff(want, got, mirrortest.DiffOptions{}); len(d) > 0 {
				t.Errorf("seed %d (%s, %s), round %d, remote %s: %d differences:\n%s\nreproduce: %s=1 %s=%d go test ./internal/engine -run TestConvergence\nhistory:\n%s\ntrace:\n%s",
					seed, backend, src, round, n, len(d), lines(d), seedsEnv, fromEnv, seed, strings.Join(h.Log(), "\n"), trace)
			}
		}
		if t.Failed() {
			return
		}
	}
	e.stop(t)
	_, runs := trace.total()
	b.moves.Add(int64(runs[scheduler.Move] + runs[scheduler.MoveRacy] + runs[scheduler.Fuzzy]))
	for _, p := range []string{src, src + ".outside", filepath.Join(b.dests, name+"-local"), filepath.Join(b.dests, name+"-daemon"), filepath.Join(b.dests, name+"-ssh")} {
		if err := os.RemoveAll(p); err != nil {
			t.Error(err)
		}
	}
}

func lines[T fmt.Stringer](all []T) string {
	var s []string
	for _, x := range all {
		s = append(s, "  "+x.String())
	}
	return strings.Join(s, "\n")
}

// running is an engine under test.
type running struct {
	*Engine
	cancel context.CancelFunc
	done   chan error
	trace  *trace
}

// startEngine runs an engine until stop or the end of the test.
func startEngine(t testing.TB, conf config.Config, tr *trace) *running {
	t.Helper()
	return startTuned(t, conf, tr, Options{})
}

// startTuned is startEngine with other options.
func startTuned(t testing.TB, conf config.Config, tr *trace, opts Options) *running {
	t.Helper()
	opts.Strict, opts.Events = true, tr.events
	opts.Log = slog.New(slog.NewTextHandler(tr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tune := opts.Tune
	opts.Tune = func(c *scheduler.Config) {
		c.BackoffMin, c.BackoffMax = 50*time.Millisecond, 500*time.Millisecond
		if tune != nil {
			tune(c)
		}
	}
	e, err := New(conf, opts)
	if err != nil {
		t.Fatal(err)
	}
	return runEngine(t, e, tr)
}

// runEngine runs an engine until the test ends.
func runEngine(t testing.TB, e *Engine, tr *trace) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Engine: e, cancel: cancel, done: make(chan error, 1), trace: tr}
	go func() { r.done <- e.Run(ctx) }()
	t.Cleanup(func() {
		if r.done != nil {
			r.stop(t)
		}
	})
	return r
}

// stop ends the engine and waits for it.
func (r *running) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(flushTimeout):
		t.Errorf("Run has not returned\n%s", r.trace)
	}
	r.done = nil
}

// flush waits until everything is at every remote. An engine that has only
// just begun may not watch yet.
func (r *running) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		t.Fatalf("flush: %v\n%s", err, r.trace)
	}
}
