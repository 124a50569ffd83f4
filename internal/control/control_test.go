package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers as a test wants.
type fake struct {
	flush     func(context.Context) error
	confirmed []string
}

func (*fake) Status() engine.Status {
	return engine.Status{Roots: []engine.RootStatus{{
		Path:    "/odd\n\x1b[31m",
		Remotes: []scheduler.Status{{Name: "r", State: scheduler.Live, Lag: time.Second}},
	}}}
}

func (f *fake) Flush(ctx context.Context) error { return f.flush(ctx) }

func (f *fake) ConfirmDeletes(remote string) error {
	if remote == "nobody" {
		return fmt.Errorf("%w: %q", scheduler.ErrUnknownRemote, remote)
	}
	f.confirmed = append(f.confirmed, remote)
	return nil
}

func start(t *testing.T, f *fake) string {
	t.Helper()
	// A socket's path must be short, which a test's directory need not be.
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "sub", "s.sock")
	s, err := Listen(path, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestCalls(t *testing.T) {
	f := &fake{flush: func(context.Context) error { return nil }}
	path := start(t, f)
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600 (%v)", st.Mode(), err)
	}
	found, err := Find(path)
	if err != nil {
		t.Fatal(err)
	}
	c := found[0]
	got, err := c.Status(t.Context())
	if err != nil || got.Roots[0].Path != "/odd\n\x1b[31m" || got.Roots[0].Remotes[0].Lag != time.Second {
		t.Errorf("Status: %+v, %v", got, err)
	}
	if err := c.Flush(t.Context(), time.Minute); err != nil {
		t.Errorf("Flush: %v", err)
	}
	f.flush = func(context.Context) error { return errors.New(`remote "r" is halted: why`) }
	if err := c.Flush(t.Context(), 0); err == nil || err.Error() != `remote "r" is halted: why` {
		t.Errorf("Flush of a halted remote: %v", err)
	}
	f.flush = func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := c.Flush(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("Flush out of time: %v", err)
	}
	if err := c.ConfirmDeletes(t.Context(), `odd name & more`); err != nil || f.confirmed[0] != "odd name & more" {
		t.Errorf("ConfirmDeletes: %v, %q", err, f.confirmed)
	}
	if err := c.ConfirmDeletes(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "unknown remote") {
		t.Errorf("ConfirmDeletes of nobody: %v", err)
	}
	if err := c.call(t.Context(), "POST", "/v1/flush", map[string][]string{"timeout": {"soon"}}, nil); err == nil || !strings.Contains(err.Error(), `"soon"`) {
		t.Errorf("bad timeout: %v", err)
	}
}

func TestSocketInUse(t *testing.T) {
	path := start(t, &fake{})
	if _, err := Listen(path, &fake{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second Listen: %v", err)
	}
}

// A daemon that was killed leaves its socket behind.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Find: %v", err)
	}
	s, err := Listen(path, &fake{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestNobodyRuns(t *testing.T) {
	if _, err := Find(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Find: %v", err)
	}
}
