package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fansync/fansync/internal/mirrortest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fansync": main, "sersync2": main})
}

// TestScript runs the scripts of testdata against the real program and the
// real rsync. Each has a daemon at $PORT with the modules m ($DST), locked
// (read only) and auth ($DST, user mirror, password in $PASSWORD_FILE).
func TestScript(t *testing.T) {
	mirrortest.NeedProgram(t, "rsync")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			tb := env.T().(testing.TB)
			dst := filepath.Join(env.WorkDir, "dst")
			for _, d := range []string{dst, filepath.Join(env.WorkDir, "src"), filepath.Join(env.WorkDir, "run")} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					return err
				}
			}
			open := mirrortest.StartDaemon(tb, mirrortest.DaemonConfig{Modules: map[string]string{"m": dst}})
			locked := mirrortest.StartDaemon(tb, mirrortest.DaemonConfig{Modules: map[string]string{"locked": dst}, ReadOnly: true})
			auth := mirrortest.StartDaemon(tb, mirrortest.DaemonConfig{Modules: map[string]string{"auth": dst}, User: "mirror", Password: "secret"})
			env.Setenv("DST", dst)
			env.Setenv("SRC", filepath.Join(env.WorkDir, "src"))
			env.Setenv("URL", open.URL("m", ""))
			env.Setenv("LOCKED", locked.URL("locked", ""))
			env.Setenv("AUTH", auth.URL("auth", ""))
			env.Setenv("AUTH_PORT", strconv.Itoa(auth.Port()))
			env.Setenv("PASSWORD_FILE", auth.PasswordFile())
			env.Setenv("SOCKET", filepath.Join(env.WorkDir, "run", "s.sock"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FREEPORT", strconv.Itoa(freePort(tb)))
			program, err := exec.LookPath("fansync")
			env.Setenv("FANSYNC", program)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until":  until,
			"exits":  exits,
			"expand": expand,

			"stopdaemon": stopDaemon,
		},
	})
}

const patience = 30 * time.Second

// until [!] FILE [TEXT] waits until FILE is there and holds TEXT, or with "!"
// until it is not.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: [!] until FILE [TEXT]")
	}
	path := ts.MkAbs(args[0])
	holds := func() bool {
		b, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		return len(args) == 1 || strings.Contains(string(b), args[1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for holds() == neg {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b, _ := os.ReadFile(path)
			ts.Fatalf("waited in vain; %s holds: %q", path, b)
		}
	}
}

// expand FILE writes FILE.in to FILE with the names of such variables replaced.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := strings.NewReplacer("SRC", ts.Getenv("SRC"), "DST", ts.Getenv("DST"), "PASSWORD_FILE", ts.Getenv("PASSWORD_FILE"), "AUTH_PORT", ts.Getenv("AUTH_PORT"), "WORKDIR", ts.Getenv("WORK")).Replace(ts.ReadFile(args[0] + ".in"))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// daemonPid is what sersync2 -d says.
var daemonPid = regexp.MustCompile(`with pid (\d+) \((.*)\)`)

// stopdaemon FILE ends the process in the background that FILE, the output of
// sersync2 -d, names, and waits until its pid file is gone.
func stopDaemon(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: stopdaemon FILE")
	}
	m := daemonPid.FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("%s names no pid", args[0])
	}
	pid, err := strconv.Atoi(m[1])
	ts.Check(err)
	if held := strings.TrimSpace(ts.ReadFile(m[2])); held != m[1] {
		ts.Fatalf("the pid file holds %q", held)
	}
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	until(ts, true, []string{m[2]})
}

// freePort is a port that nobody listens on now.
func freePort(tb testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// exits CODE NAME... runs a program that must end with that code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		got = exitStatus(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitStatus(err error) int {
	type coder interface{ ExitCode() int }
	if c, ok := err.(coder); ok {
		return c.ExitCode()
	}
	return -1
}
