package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// runs counts by the log how batches were sent.
type runs struct{ cold, warm atomic.Int32 }

func (r *runs) Enabled(context.Context, slog.Level) bool { return true }
func (r *runs) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *runs) WithGroup(string) slog.Handler            { return r }

func (r *runs) Handle(_ context.Context, rec slog.Record) error {
	switch rec.Message {
	case "rsync starts":
		r.cold.Add(1)
	case "standby sends":
		r.warm.Add(1)
	}
	return nil
}

// want checks how many runs there were since the last call.
func (r *runs) want(t *testing.T, what string, warm, cold int32) {
	t.Helper()
	if w, c := r.warm.Swap(0), r.cold.Swap(0); w != warm || c != cold {
		t.Errorf("%s: %d runs by standbys and %d others, want %d and %d", what, w, c, warm, cold)
	}
}

// warmPair is a pair whose standbys are kept until the test ends, or stop.
type warmPair struct {
	*pair
	runs *runs
	stop func()
}

func keep(t *testing.T, cfg Config, dst string) *warmPair {
	t.Helper()
	k := &warmPair{runs: &runs{}}
	cfg.Log = slog.New(k.runs)
	if cfg.Standbys == 0 {
		cfg.Standbys = 2
	}
	k.pair = newPair(t, cfg, dst)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Keep(ctx)
	}()
	k.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(k.stop)
	k.Live(true)
	return k
}

// await waits until so many standbys are ready.
func (k *warmPair) await(n int) {
	k.t.Helper()
	eventually(k.t, fmt.Sprintf("there are not %d standbys", n), func() bool { return k.standing() == n })
}

// pids are the processes that stand by now.
func (k *warmPair) pids() (pids []int) {
	k.standbys.mu.Lock()
	defer k.standbys.mu.Unlock()
	for _, one := range k.standbys.idle {
		pids = append(pids, int(one.pid.Load()))
	}
	return pids
}

// module is a daemon with one module, and a Config that sends there.
func module(t *testing.T, conf mirrortest.DaemonConfig) (*mirrortest.Daemon, Config, string) {
	t.Helper()
	needRsync(t)
	dst := t.TempDir()
	conf.Modules = map[string]string{"m": dst}
	d := mirrortest.StartDaemon(t, conf)
	dest, err := ParseDest(d.URL("m", ""))
	if err != nil {
		t.Fatal(err)
	}
	return d, Config{Dest: dest, PasswordFile: d.PasswordFile()}, dst
}

func TestStandbySends(t *testing.T) {
	check := func(t *testing.T, cfg Config, dst string) {
		k := keep(t, cfg, dst)
		k.mustSend(scheduler.Full)
		k.await(2)
		k.runs.want(t, "before", 0, 1)
		// What changes after they were started is what is sent.
		write(t, k.src, "f", "d/e/g", "l@d/e", ";", "#x=y", "empty/")
		write(t, k.src, oddNames...)
		write(t, k.dst, "gone/x", ";=another")
		age(t, k.src)
		k.mustSend(scheduler.Flat, append([]string{"f", "d/e/g", "l", ";", "#x", "empty", "!gone"}, oddNames...)...)
		k.runs.want(t, "first", 1, 0)
		k.same()
		write(t, k.src, "f=again")
		write(t, k.src, "d/e/g=again")
		k.mustSend(scheduler.Flat, "d/e/g", "f")
		k.runs.want(t, "second", 1, 0)
		k.same()
		k.await(2) // they are replaced
		remove(t, k.src, "d/e/g", ";")
		k.mustSend(scheduler.Flat, "!;", "!d/e/g")
		k.runs.want(t, "third", 1, 0)
		k.same()
		// They have the options of no other form.
		k.mustSend(scheduler.Racy, "f")
		k.mustSend(scheduler.Deep, "d")
		k.mustSend(scheduler.Flat, "d/")
		if res := k.limited(0, scheduler.Flat, "f"); res.Class != scheduler.OK {
			t.Errorf("%+v", res)
		}
		k.runs.want(t, "other forms", 0, 4)
	}
	t.Run("local", func(t *testing.T) { check(t, Config{}, "") })
	t.Run("daemon", func(t *testing.T) {
		_, cfg, dst := module(t, mirrortest.DaemonConfig{})
		check(t, cfg, dst)
	})
	t.Run("daemon with a password", func(t *testing.T) {
		_, cfg, dst := module(t, mirrortest.DaemonConfig{User: "bob", Password: "secret"})
		check(t, cfg, dst)
	})
	t.Run("ssh", func(t *testing.T) {
		s := newSSH(t)
		dst := t.TempDir()
		check(t, Config{Dest: Dest{Kind: SSH, User: "root", Host: "127.0.0.1", Path: dst}, SSH: s.command("user", "known")}, dst)
	})
}

// Without a standby every batch has a run of its own.
func TestNoStandbys(t *testing.T) {
	k := keep(t, Config{Standbys: -1}, "")
	write(t, k.src, "f")
	k.mustSend(scheduler.Flat, "f")
	k.runs.want(t, "none", 0, 1)
}

// What is sent is the root that was opened for the batch, whatever the standby
// was started for; and it does not keep the root from being unmounted.
func TestStandbyAndTheRoot(t *testing.T) {
	var err error
	at := ""
	_, cfg, dst := module(t, mirrortest.DaemonConfig{})
	cfg.OpenRoot = func() (*os.File, error) {
		if err != nil {
			return nil, err
		}
		return os.Open(at)
	}
	k := keep(t, cfg, dst)
	at = k.src
	k.await(2)
	write(t, k.src, "f=old")
	if err := os.Rename(k.src, k.src+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, k.src, "f=new")
	k.mustSend(scheduler.Flat, "f")
	k.same()
	at = k.src + ".old"
	k.mustSend(scheduler.Flat, "f")
	if data, err := os.ReadFile(filepath.Join(dst, "f")); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	k.runs.want(t, "moved", 2, 0)
	k.await(2)
	err = errors.New("the root was replaced")
	if res := k.send(scheduler.Flat, "f", "!g"); res.Class != permanent || !strings.Contains(res.Message, "the root was replaced") {
		t.Errorf("%+v", res)
	}
	k.runs.want(t, "not the root", 0, 0)
}

func TestStandbyLetsTheRootBeUnmounted(t *testing.T) {
	needRoot(t)
	for _, kind := range []string{"local", "daemon"} {
		t.Run(kind, func(t *testing.T) {
			cfg, dst := Config{}, ""
			if kind == "daemon" {
				_, cfg, dst = module(t, mirrortest.DaemonConfig{})
			}
			k := keep(t, cfg, dst)
			mirrortest.Mount(t, "tmpfs", k.src, "tmpfs", 0, "")
			write(t, k.src, "f")
			k.await(2)
			k.mustSend(scheduler.Flat, "f")
			k.await(2)
			if err := unix.Unmount(k.src, 0); err != nil {
				t.Errorf("unmount: %v", err)
			}
		})
	}
}

// None is left when the remote is not live, or at the end.
func TestStandbysEnd(t *testing.T) {
	_, daemon, dst := module(t, mirrortest.DaemonConfig{})
	for name, k := range map[string]*warmPair{"daemon": keep(t, daemon, dst), "local": keep(t, Config{}, "")} {
		t.Run(name, func(t *testing.T) {
			none := func(pids []int) {
				t.Helper()
				eventually(t, "one was left", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
				if n := k.standing(); n > 0 {
					t.Errorf("%d are left", n)
				}
			}
			k.await(2)
			pids := k.pids()
			k.Live(false)
			none(pids)
			k.Live(true)
			k.await(2)
			pids = k.pids()
			k.stop()
			none(pids)
		})
	}
}

// The guard's limit holds for standbys, which were started before it was known.
func TestStandbyDeletions(t *testing.T) {
	k := keep(t, Config{}, "")
	fill := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("d/%04d", i))
		}
		write(t, k.dst, names...)
		write(t, k.src, "d/stays")
		return []string{"d/stays", "!d/0000", "!d/0001", "!d/0002", "!d/0003"}
	}
	k.await(2)
	for _, tc := range []struct {
		limit, deleted, skipped int
	}{{2, 2, 2}, {3, 3, 1}, {4, 4, 0}, {-1, 4, 0}} {
		res := k.limited(tc.limit, scheduler.Flat, fill(4)...)
		if (res.Class == scheduler.DeleteLimit) != (tc.skipped > 0) || res.Skipped != tc.skipped || res.Stats.Deleted != int64(tc.deleted) {
			t.Errorf("limit %d: %+v", tc.limit, res)
		}
		remove(t, k.dst, "d")
		k.await(2)
	}
	// More than it lets pass by itself.
	fill(600)
	remove(t, k.src, "d")
	k.runs.want(t, "small", k.runs.warm.Load(), k.runs.cold.Load())
	if res := k.limited(1000, scheduler.Flat, "!d"); res.Class != scheduler.OK || res.Stats.Deleted != 601 {
		t.Errorf("many: %+v", res)
	}
	k.runs.want(t, "many", 1, 1)
	k.same()
}

// Complaints have the same names as without a standby.
func TestStandbyComplaints(t *testing.T) {
	k := keep(t, Config{}, "")
	k.await(2)
	write(t, k.src, "a/x", "f")
	write(t, k.dst, "a/y")
	age(t, filepath.Join(k.dst, "a"))
	immutable(t, filepath.Join(k.dst, "a"))
	res := k.send(scheduler.Flat, "a/x", "f", "nosuch")
	if res.Class != scheduler.Partial || len(res.Failed) != 2 || res.Failed[0].Path != "a" || res.Failed[1].Path != "a/x" {
		t.Errorf("%+v", res)
	}
	k.runs.want(t, "twice", 1, 1)
	exists(t, k.dst, true, "f")
}

// A remote that refuses names to be deleted is found out by a standby too, and
// gets standbys that do not name any.
func TestStandbyRefusesNames(t *testing.T) {
	program := filepath.Join(t.TempDir(), "rsync")
	if err := os.WriteFile(program, []byte(refusing), 0o755); err != nil {
		t.Fatal(err)
	}
	k := keep(t, Config{Program: program}, "")
	write(t, k.dst, "d/gone")
	write(t, k.src, "d/f")
	k.mustSend(scheduler.Flat, "!d/gone")
	exists(t, k.dst, false, "d/gone")
	k.runs.warm.Store(0)
	eventually(t, "no standby fits", func() bool {
		k.mustSend(scheduler.Flat, "d/f")
		return k.runs.warm.Load() > 0
	})
	k.mustSend(scheduler.Full)
	k.same()
}

// A cancelled batch ends its standby.
func TestStandbyCanceled(t *testing.T) {
	k := keep(t, Config{Options: []string{"--bwlimit=100"}}, "")
	k.await(2)
	write(t, k.src, "big="+strings.Repeat("0123456789abcdef", 1<<17))
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan scheduler.Result)
	go func() { result <- k.Send(ctx, scheduler.Batch{Items: items("big"), MaxDelete: -1}, nil) }()
	eventually(t, "nothing arrives", func() bool {
		entries, err := os.ReadDir(k.dst)
		return err == nil && len(entries) > 0
	})
	cancel()
	if res := <-result; res.Class != scheduler.Canceled {
		t.Errorf("%+v", res)
	}
	k.runs.want(t, "canceled", 1, 0)
}

func (k *warmPair) standing() int {
	n, _ := k.Ready()
	return n
}
