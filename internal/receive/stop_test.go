package receive

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopEndsTransfers stops the daemon while a transfer runs.
func TestStopEndsTransfers(t *testing.T) {
	dir := t.TempDir()
	d := start(t, Config{Dir: dir})
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "big"), make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	url, password := d.line()
	client := exec.Command("rsync", "-a", "--bwlimit=64", "--password-file="+password, src+"/", url)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = client.Process.Kill() // it has ended if all went well
		_ = client.Wait()
	}()
	until(t, "a temporary file", func() bool {
		list, err := os.ReadDir(dir)
		return err == nil && len(list) > 0
	})
	group := d.pid()
	d.stop()
	until(t, "the end of the group", func() bool { return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) })
	if greets(d.conf.dialAddr()) {
		t.Error("somebody still answers")
	}
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waiting for %s", what)
		}
	}
}

// TestStopBeforeReady ends a daemon that may not have begun to listen.
func TestStopBeforeReady(t *testing.T) {
	needRsync(t)
	r, err := Prepare(Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "s"), Port: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestUnexpectedEnd: the port is taken between Prepare and Run.
func TestUnexpectedEnd(t *testing.T) {
	needRsync(t)
	port := freePort(t)
	r, err := Prepare(Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "s"), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", r.conf.listenAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = r.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Run: %v", err)
	}
	select {
	case <-r.Ready():
		t.Error("it says that it is ready")
	default:
	}
}

// TestKilled: somebody else ends the daemon.
func TestKilled(t *testing.T) {
	needRsync(t)
	r, err := Prepare(Config{Dir: t.TempDir(), StateDir: filepath.Join(t.TempDir(), "s"), Port: freePort(t)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }()
	<-r.Ready()
	d := &daemon{Receiver: r, t: t}
	if err := syscall.Kill(d.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Run: %v", err)
	}
}
