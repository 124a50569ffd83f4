package watcher

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWeigher(t *testing.T) {
	const second = int64(time.Second)
	for _, c := range []struct {
		name          string
		read, outside uint64
		after         int64
		busy          bool
	}{
		{"idle", 0, 0, 60, false},
		{"much from outside", 100_000, 95_000, 60, true},
		{"at the limits", 60_000, 60_000, 60, true},
		{"little from outside", 59_999, 59_999, 60, false},
		{"much from inside too", 1_000_000, 899_999, 60, false},
		{"too early", 100_000, 100_000, 59, false},
		{"the same much later", 100_000, 100_000, 120, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := weigher{Weights: Weights{Every: time.Minute, Rate: 1000, Share: 0.9, Dirs: 1}, at: 5 * second, read: 1000, outside: 700}
			if got := w.busy((5+c.after)*second, 1000+c.read, 700+c.outside); got != c.busy {
				t.Errorf("busy %v, want %v", got, c.busy)
			}
			if w.busy((6+c.after)*second, 1000+c.read, 700+c.outside) && c.after >= 60 {
				t.Error("busy again though it has said so, or has just looked")
			}
		})
	}
}

func TestHasFewDirs(t *testing.T) {
	root := tempRoot(t, "disk")
	for i := range 5 {
		mkdir(t, fmt.Sprintf("%s/%d/a", root, i))
		write(t, fmt.Sprintf("%s/%d/f", root, i), "")
	}
	for most, want := range map[int]bool{9: false, 10: true} {
		if got := hasFewDirs(t.Context(), root, most); got != want {
			t.Errorf("at most %d: %v", most, got)
		}
	}
	if !hasFewDirs(t.Context(), root+"/none", 0) {
		t.Error("what is not there has no directories")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if hasFewDirs(ended, root, 100) {
		t.Error("counted though it was to end")
	}
}

// Who writes much elsewhere on the filesystem is a reason to go, and then the
// few directories are watched by themselves.
func TestMostChangesAreOutside(t *testing.T) {
	root := tempRoot(t, "disk")
	need(t, BackendFanotify, root)
	mkdir(t, root+"/a")
	outside := filepath.Dir(root) + "/elsewhere"
	cfg := Config{Root: root, Weigh: &Weights{Every: time.Second, Rate: 10, Share: 0.5, Dirs: 1}}
	p := watch(t, cfg)
	var err error
	for ended := false; !ended; {
		write(t, outside, "x")
		select {
		case err = <-p.end:
			ended = true
		default:
		}
	}
	p.stop()
	p.stop = nil
	var busy *OutsideError
	if !errors.As(err, &busy) || busy.Rate < 10 || busy.Share < 0.5 || !strings.Contains(err.Error(), "few directories") {
		t.Fatalf("it ended with %v (%+v)", err, busy)
	}
	cfg.Backend, cfg.Because = BackendInotify, busy.Error()
	p = watch(t, cfg)
	if b, why := p.w.Backend(); b != BackendInotify || !strings.Contains(why, "are elsewhere") {
		t.Error(b, why)
	}
}
