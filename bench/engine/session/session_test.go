package session

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is how long a test waits for what must come.
const within = 20 * time.Second

// await polls until ok says true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}

func bash(t *testing.T, script string, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed: install it to test sessions")
	}
	return append([]string{path, "-c", script, "bash"}, args...)
}

// start starts a script that writes its pids, one a line, to the file named by
// its first argument, and waits until there are n.
func start(t *testing.T, script string, n int) (s *Session, pids []int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pids")
	s, err := Start(Config{Argv: bash(t, script, file), Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Stop(0); err != nil {
			t.Errorf("stop again: %v", err)
		}
	})
	await(t, fmt.Sprintf("%d pids", n), func() bool {
		text, _ := os.ReadFile(file)
		pids = nil
		for _, f := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
		return len(pids) == n && bytes.HasSuffix(text, []byte("\n"))
	})
	return s, pids
}

// requireGone fails for each process that still exists, dead ones that nobody
// reaped among them.
func requireGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if m, err := readMember(pid); !errors.Is(err, errNoProcess) {
			t.Errorf("process %d is still there: %+v, %v", pid, m, err)
		}
	}
}

// TestStopEndsWhatHides: children of every kind that a program can leave behind.
func TestStopEndsWhatHides(t *testing.T) {
	tests := map[string]struct {
		script string
		n      int
	}{
		"one process": {`echo $$ > "$1"; exec sleep 600`, 1},
		"children of children": {
			`bash -c 'echo $$ >> "$1"; sleep 600 & echo $! >> "$1"; wait' bash "$1" & wait`, 2},
		"a child that ignores SIGTERM": {
			`bash -c 'trap "" TERM; echo $$ >> "$1"; while :; do sleep 600; done' bash "$1" & wait`, 1},
		"the program ignores SIGTERM": {
			`trap "" TERM; echo $$ >> "$1"; sleep 600 & echo $! >> "$1"; while :; do wait; done`, 2},
		"a child in a session of its own, with no mark": {
			`env -i "$(command -v setsid)" "$(command -v bash)" -c 'echo $$ >> "$0"; exec sleep 600' "$1" & wait`, 1},
		"a daemon: an orphan in a session of its own": {
			`(setsid bash -c 'echo $$ >> "$1"; exec sleep 600' bash "$1" &); exec sleep 600`, 1},
		"a daemon's child without mark": {
			`(setsid bash -c 'env -i "$(command -v setsid)" "$(command -v bash)" -c "echo \$\$ >> \"\$0\"; exec sleep 600" "$1" & wait' bash "$1" &); exec sleep 600`, 1},
		"the program is gone already, its children are not": {
			`bash -c 'echo $$ >> "$1"; exec sleep 600' bash "$1" & disown; exit 3`, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, pids := start(t, tt.script, tt.n)
			if _, err := s.Stop(50 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			requireGone(t, append(pids, s.PID()))
			select {
			case <-s.Done():
			default:
				t.Error("Done is not closed after Stop")
			}
		})
	}
}

// TestStopLeavesOthersAlone: two sessions do not touch each other, nor what the
// test itself started.
func TestStopLeavesOthersAlone(t *testing.T) {
	a, aPids := start(t, `sleep 600 & echo $! >> "$1"; wait`, 1)
	b, bPids := start(t, `sleep 600 & echo $! >> "$1"; wait`, 1)
	if _, err := a.Stop(within); err != nil {
		t.Fatal(err)
	}
	requireGone(t, append(aPids, a.PID()))
	members, err := Members(b.PID())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(members)
	want := []int{b.PID(), bPids[0]}
	slices.Sort(want)
	if !slices.Equal(members, want) {
		t.Errorf("the other session has the members %v, want %v", members, want)
	}
}

// TestTermLetsAProgramClean: SIGTERM comes first, and Stop waits for its end.
func TestTermLetsAProgramClean(t *testing.T) {
	clean := filepath.Join(t.TempDir(), "clean")
	var out bytes.Buffer
	s, err := Start(Config{
		Argv:   bash(t, `trap 'echo cleaned; echo x > "$1"; exit 5' TERM; echo up > "$1"; while :; do sleep 0.01; done`, clean),
		Output: &out, Cgroup: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the trap", func() bool { _, err := os.Stat(clean); return err == nil })
	if _, err := s.Stop(within); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(clean); string(got) != "x\n" {
		t.Errorf("the program had no time to clean: %q", got)
	}
	if code := s.State().ExitCode(); code != 5 {
		t.Errorf("exit code %d, want 5", code)
	}
	if !strings.HasSuffix(out.String(), "cleaned\n") { // bash may tell of its child's end before
		t.Errorf("output %q", &out)
	}
}

// TestCPUCountsEverybody: a program's own time, its child's, an orphan's, and that
// of a child which Stop kills.
func TestCPUCountsEverybody(t *testing.T) {
	const burn = `burn() { for ((i = 0; i < 30000; i++)); do :; done; }; `
	cpu := func(script string) float64 {
		file := filepath.Join(t.TempDir(), "done")
		s, err := Start(Config{Argv: bash(t, burn+script, file), Cgroup: -1})
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the work", func() bool { _, err := os.Stat(file); return err == nil })
		used, err := s.Stop(0)
		if err != nil {
			t.Fatal(err)
		}
		return used
	}
	one := cpu(`burn; : > "$1"`)
	if one <= 0 {
		t.Fatalf("a program that counted took %v seconds", one)
	}
	// Each does the work eight times; twice is enough to tell that it was
	// counted, however busy the machine.
	for name, script := range map[string]string{
		"child":  `(burn; burn; burn; burn; burn; burn; burn; burn); : > "$1"`,
		"orphan": `((burn; burn; burn; burn; burn; burn; burn; burn; : > "$1"; exec sleep 600) &)`,
		"killed": `(burn; burn; burn; burn; burn; burn; burn; burn; : > "$1"; exec sleep 600) & wait`,
	} {
		if got := cpu(script); got < 2*one {
			t.Errorf("%s: %.3f s, and the work once took %.3f s", name, got, one)
		}
	}
}

func TestStartErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nothing")
	if _, err := Start(Config{Argv: []string{missing}, Output: new(bytes.Buffer), Cgroup: -1}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestInput: standard input and the working directory are the given ones.
func TestInput(t *testing.T) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var out bytes.Buffer
	s, err := Start(Config{Argv: bash(t, `cat; pwd -P; echo "$COLOUR"`), Dir: dir, Env: []string{"COLOUR=red"}, Stdin: in, Output: &out, Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if _, err := s.Stop(0); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := real + "\nred\n"; out.String() != want {
		t.Errorf("output %q, want %q", &out, want)
	}
}

func TestParseMember(t *testing.T) {
	stat := "17 (a) b (c) Z 4 5 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 999 0 0\n"
	got, err := parseMember(17, []byte(stat))
	if want := (member{pid: 17, parent: 4, session: 6, start: 999, dead: true}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseMember(17, []byte("17 (a) S 1")); err == nil {
		t.Error("a cut line is accepted")
	}
}
