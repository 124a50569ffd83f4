package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// A standby that dies before it has its list is no failure of a batch.
func TestStandbyKilled(t *testing.T) {
	_, cfg, dst := module(t, mirrortest.DaemonConfig{})
	k := keep(t, cfg, dst)
	for _, ready := range []bool{true, false} {
		k.await(2)
		dead := k.pids()
		for _, pid := range dead {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if ready {
			eventually(t, "the dead are still there", func() bool {
				return !alive(dead[0]) && !alive(dead[1])
			})
		}
		write(t, k.src, fmt.Sprintf("f=%t", ready))
		k.mustSend(scheduler.Flat, "f")
		k.same()
	}
}

func TestStandbyOutlivesTheDaemon(t *testing.T) {
	for name, end := range map[string]func(*mirrortest.Daemon){
		"restarted": (*mirrortest.Daemon).Restart,
		"dropped":   (*mirrortest.Daemon).Drop,
	} {
		t.Run(name, func(t *testing.T) {
			d, cfg, dst := module(t, mirrortest.DaemonConfig{})
			k := keep(t, cfg, dst)
			k.await(2)
			old := k.pids()
			end(d)
			write(t, k.src, "f="+name)
			k.mustSend(scheduler.Flat, "f")
			k.same()
			eventually(t, "the old ones were not replaced", func() bool {
				return k.standing() == 2 && !alive(old[0]) && !alive(old[1])
			})
			k.runs.want(t, "after the end", 0, 1)
			write(t, k.src, "f=again "+name)
			k.mustSend(scheduler.Flat, "f")
			k.runs.want(t, "after the replacement", 1, 0)
		})
	}
}

// A far side that closes what is idle sooner than we do is found out.
func TestStandbyOutlivesTheTimeout(t *testing.T) {
	d, cfg, dst := module(t, mirrortest.DaemonConfig{Module: []string{"timeout = 2"}})
	k := keep(t, cfg, dst)
	k.await(2)
	eventually(t, "their life was not shortened", func() bool {
		k.standbys.mu.Lock()
		defer k.standbys.mu.Unlock()
		return k.standbys.life < 4*time.Second
	})
	write(t, k.src, "f")
	k.mustSend(scheduler.Flat, "f")
	k.same()
	if n := d.Runs(); n > 12 {
		t.Errorf("%d runs in a few seconds", n)
	}
}

// Old ones make room for new ones, in silence.
func TestStandbyGrowsOld(t *testing.T) {
	d, cfg, dst := module(t, mirrortest.DaemonConfig{})
	cfg.Timeout = 2 * time.Second
	k := keep(t, cfg, dst)
	k.await(2)
	old := k.pids()
	eventually(t, "the old ones were not replaced", func() bool {
		return k.standing() == 2 && !alive(old[0]) && !alive(old[1])
	})
	if log := d.Log(); strings.Contains(log, "rsync error") {
		t.Errorf("the daemon complains:\n%s", log)
	}
}

// Standbys leave a daemon's last connections to the runs that need one.
func TestStandbysMakeRoom(t *testing.T) {
	for max, most := range map[int]int{1: 0, 2: 1, 3: 2} {
		t.Run(fmt.Sprint(max), func(t *testing.T) {
			d, cfg, dst := module(t, mirrortest.DaemonConfig{MaxConnections: max})
			k := keep(t, cfg, dst)
			k.await(min(max, 2))
			write(t, k.src, "d/f")
			k.mustSend(scheduler.Deep, "d")
			k.same()
			k.await(most)
			began := d.Runs()
			for range 3 {
				k.mustSend(scheduler.Deep, "d")
			}
			if n := d.Runs() - began; n != 3 {
				t.Errorf("%d runs for three batches", n)
			}
		})
	}
}

// Standbys that are refused are not tried again and again.
func TestStandbysRefused(t *testing.T) {
	_, cfg, dst := module(t, mirrortest.DaemonConfig{User: "bob", Password: "secret"})
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.PasswordFile = wrong
	k := keep(t, cfg, dst)
	k.await(2)
	if err := os.WriteFile(wrong, []byte("guess\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, k.src, "f")
	// These have logged in with the right one.
	k.mustSend(scheduler.Flat, "f")
	k.mustSend(scheduler.Flat, "f")
	k.runs.want(t, "logged in", 2, 0)
	eventually(t, "no pause after the refusal", func() bool {
		k.standbys.mu.Lock()
		defer k.standbys.mu.Unlock()
		return k.standbys.pause > 0 && len(k.standbys.idle) == 0
	})
	if res := k.send(scheduler.Flat, "f"); res.Class != permanent || !strings.Contains(res.Message, "refused the login") {
		t.Errorf("%+v", res)
	}
	k.runs.want(t, "refused", 0, 1)
}
