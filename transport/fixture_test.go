package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/fansync/fansync/scheduler"
)

// The scheduler's pool library starts goroutines when it is imported.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func needRsync(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can do this")
	}
}

// pair is a source, a destination on disk, and a way from one to the other.
type pair struct {
	t        *testing.T
	src, dst string
	*Rsync
}

// newPair is a pair with a local destination unless cfg names another, which
// then has its files in dst.
func newPair(t *testing.T, cfg Config, dst string) *pair {
	t.Helper()
	needRsync(t)
	dir := t.TempDir()
	if dst == "" {
		dst = filepath.Join(dir, "dst")
		if err := os.Mkdir(dst, 0o755); err != nil {
			t.Fatal(err)
		}
		cfg.Dest = Dest{Kind: Local, Path: dst}
	}
	cfg.Root = filepath.Join(dir, "src")
	if err := os.Mkdir(cfg.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t, cfg.Root, dst, r}
}

// write makes files with their own names as content; "a/" is a directory,
// "a=text" a file with a text, "a@target" a symlink.
func write(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(root, strings.TrimSuffix(name, "/"))
		text := name
		if i := strings.IndexAny(name, "=@"); i >= 0 {
			path, text = filepath.Join(root, name[:i]), name[i+1:]
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case strings.Contains(name, "@"):
			err = os.Symlink(text, path)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// items reads "a", "a/" (with children) and "!a" (missing); "/" is the root.
func items(names ...string) []scheduler.Item {
	var list []scheduler.Item
	for _, name := range names {
		var it scheduler.Item
		name, it.Missing = strings.CutPrefix(name, "!")
		it.Path, it.Children = strings.CutSuffix(name, "/")
		list = append(list, it)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	return list
}

func (p *pair) send(form scheduler.Form, names ...string) scheduler.Result {
	p.t.Helper()
	return p.Send(p.t.Context(), scheduler.Batch{Form: form, Items: items(names...), MaxDelete: -1}, nil)
}

// mustSend sends and wants all of it to arrive.
func (p *pair) mustSend(form scheduler.Form, names ...string) scheduler.Result {
	p.t.Helper()
	res := p.send(form, names...)
	if res.Class != scheduler.OK || res.Code != 0 || res.Message != "" || len(res.Failed) > 0 {
		p.t.Fatalf("%s %q: %+v", form, names, res)
	}
	return res
}

// tree lists a directory: type, mode, nanosecond time and content of each
// entry below it, and of itself.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %d", info.Mode(), info.ModTime().UnixNano())
		switch {
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case e.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %q", len(data), data[:min(len(data), 64)])
		}
		all[rel] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (p *pair) same() {
	p.t.Helper()
	if diff := cmp.Diff(tree(p.t, p.src), tree(p.t, p.dst)); diff != "" {
		p.t.Errorf("the destination differs (-source +destination):\n%s", diff)
	}
}

// age puts the times of a path far back, so that they differ from any other.
func age(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

// exists tells which of the names are there.
func exists(t *testing.T, root string, want bool, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if (err == nil) != want {
			t.Errorf("%s: there is %v, want %v", name, err == nil, want)
		}
	}
}

// freePort is one that nobody listens at just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// serve runs a server until the test ends and waits until it listens.
func serve(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.Bytes())
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, name+" does not listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// eventually polls until ok, for ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
