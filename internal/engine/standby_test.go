package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// sentByStandbys counts by the log the batches that went by a standby.
func (tr *trace) sentByStandbys() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Count(tr.text.String(), "standby sends")
}

// Status tells how many standbys there are; they go while the source is not
// itself, and come back.
func TestStandbysFollowTheState(t *testing.T) {
	m := newMirror(t, "auto")
	e := m.start(t)
	await(t, "two standbys", func() bool { return e.remote("far").Standbys == 2 })
	write(t, filepath.Join(m.src, "f"), "x")
	mirrortest.WaitEqual(t, m.src, m.dst, flushTimeout, mirrortest.DiffOptions{})
	if n := e.trace.sentByStandbys(); n != 1 {
		t.Errorf("%d batches by standbys, want 1\n%s", n, e.trace)
	}
	if err := os.Rename(m.src, m.src+".away"); err != nil {
		t.Fatal(err)
	}
	e.halted(t, "far", "")
	await(t, "no standby", func() bool { return e.remote("far").Standbys == 0 })
	if err := os.Rename(m.src+".away", m.src); err != nil {
		t.Fatal(err)
	}
	e.awaitState(t, "far", scheduler.Live)
	await(t, "two standbys again", func() bool { return e.remote("far").Standbys == 2 })
	e.stop(t)
}

func TestStandbysTurnedOff(t *testing.T) {
	m := newMirror(t, "auto")
	m.conf.Roots[0].Remotes[0].Standbys = new(0)
	e := m.start(t)
	e.flush(t)
	write(t, filepath.Join(m.src, "f"), "x")
	e.flush(t)
	m.equal(t)
	if n := m.daemon.Runs(); n > 2 || e.remote("far").Standbys != 0 {
		t.Errorf("%d runs for a full run and a batch, %d standbys", n, e.remote("far").Standbys)
	}
}

// TestConvergenceOverLostConnections works random histories into a source, one
// operation after the other so that most go by standbys, while the daemon loses
// its connections, or is restarted, at random moments.
func TestConvergenceOverLostConnections(t *testing.T) {
	n := 10
	if testing.Short() {
		n = 3
	}
	n, from := envInt(t, seedsEnv, n), envInt(t, fromEnv, 1)
	dests, sources := t.TempDir(), mirrortest.TmpfsDir(t)
	d := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": dests}, Chroot: os.Geteuid() == 0})
	t.Run("histories", func(t *testing.T) {
		for seed := from; seed < from+n; seed++ {
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				calmHistory(t, uint64(seed), sources, dests, d)
			})
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			disturb(ctx, d, uint64(from))
		}()
		t.Cleanup(func() {
			cancel()
			<-ended
		})
	})
}

// disturb ends the daemon's connections now and then, until ctx ends.
func disturb(ctx context.Context, d *mirrortest.Daemon, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for {
		timer := time.NewTimer(time.Duration(50+rng.IntN(300)) * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if rng.IntN(4) == 0 {
			d.Restart()
		} else {
			d.Drop()
		}
	}
}

var tempName = regexp.MustCompile(`(?s)(^|/)\.[^/]*\.[A-Za-z0-9]{6}$`)

// orphan tells what a receiver leaves behind that is killed while it writes a
// temporary file.
func orphan(path string, isDir bool) bool { return !isDir && tempName.MatchString(path) }

// calmHistory runs one seed, with a rest after each operation.
func calmHistory(t *testing.T, seed uint64, sources, dests string, d *mirrortest.Daemon) {
	name := fmt.Sprintf("c%d", seed)
	src, dst := filepath.Join(sources, name), filepath.Join(dests, name)
	h := mirrortest.NewHistory(seed, src, mirrortest.HistoryOptions{InnerLinks: os.Geteuid() != 0})
	defer h.Close()
	write(t, filepath.Join(src, ".keep"), "")
	conf := oneRemote(src, d.URL("m", name))
	conf.Roots[0].Remotes = append(conf.Roots[0].Remotes, config.Remote{Name: "near", Dest: dst + "-local"})
	tr := &trace{}
	e := startEngine(t, conf, tr)
	rng := rand.New(rand.NewPCG(seed, 2))
	for round := range rounds {
		for range ops {
			if err := h.Run(1); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			<-time.After(time.Duration(rng.IntN(30)) * time.Millisecond)
		}
		if round == rounds-1 {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}
		e.flush(t)
		want, err := mirrortest.Snapshot(src, orphan)
		if err != nil {
			t.Fatal(err)
		}
		for _, dst := range []string{dst, dst + "-local"} {
			got, err := mirrortest.Snapshot(dst, orphan)
			if err != nil {
				t.Fatal(err)
			}
			if diff := mirrortest.Diff(want, got, mirrortest.DiffOptions{}); len(diff) > 0 {
				t.Fatalf("seed %d, round %d, %s: %d differences:\n%s\nreproduce: %s=1 %s=%d go test ./internal/engine -run TestConvergenceOverLostConnections\nhistory:\n%s\ntrace:\n%s",
					seed, round, dst, len(diff), lines(diff), seedsEnv, fromEnv, seed, strings.Join(h.Log(), "\n"), tr)
			}
		}
	}
	if tr.sentByStandbys() == 0 {
		t.Errorf("seed %d: no batch went by a standby\n%s", seed, tr)
	}
	e.stop(t)
}
