package plugin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// hostile are names that a shell, a request or a log trips over.
var hostile = []string{
	"plain.php", "a b", "`touch pwned`", "$(touch pwned)", `a";touch pwned;"`, "--exclude=zzz", "*", "new\nline", "it's",
	"x HTTP/1.1\r\nEvil: 1", "100%&urls=#?", "\xff\xfe", "中文", "-rf", `\`,
}

// running is a hub with one plugin on a root of its own.
type running struct {
	*Hub
	root string
	log  logText
	stop func()
}

type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func start(t *testing.T, conf config.Plugin, remotes ...string) *running {
	t.Helper()
	r := &running{root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(r.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if conf.Path == "ROOT" {
		conf.Path = r.root
	}
	var err error
	r.Hub, err = New([]config.Plugin{conf}, slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	if len(remotes) == 0 {
		remotes = []string{"far"}
	}
	r.Remotes(r.root, remotes)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(r.stop)
	return r
}

// arrive writes files, or makes directories of names that end in a slash, and
// tells that they have arrived.
func (r *running) arrive(t *testing.T, remote string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(r.root, name)
		var err error
		e := coalesce.Entry{Path: strings.TrimSuffix(name, "/"), Flags: coalesce.Content}
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
			e.Flags |= coalesce.Dir
		} else if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, []byte("x"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Synced(r.root, remote, []coalesce.Entry{e})
	}
}

// until polls until ok, which must come true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// listener is a TCP server that keeps what each connection sent, to its end or
// to the blank line of a request, which it answers with reply.
type listener struct {
	net.Listener
	reply string

	mu  sync.Mutex
	got []string
}

func listen(t *testing.T, reply string) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &listener{Listener: l, reply: reply}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return s
}

func (s *listener) serve(conn net.Conn) {
	defer conn.Close()
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		text = append(text, buf[:n]...)
		if s.reply != "" && strings.Contains(string(text), "\r\n\r\n") {
			if _, err := io.WriteString(conn, s.reply); err != nil {
				return
			}
			break
		}
		if err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(text))
}

func (s *listener) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

// same demands the same strings in any order.
func same(t *testing.T, got, want []string) {
	t.Helper()
	count := map[string]int{}
	for _, s := range got {
		count[s]++
	}
	for _, s := range want {
		count[s]--
	}
	for s, n := range count {
		if n != 0 {
			t.Errorf("%q: %+d", s, n)
		}
	}
}

// A change is told once when all remotes that are up have it; one that is down
// is not waited for, and with each_remote every arrival is told.
func TestGather(t *testing.T) {
	dir := t.TempDir()
	var got []string
	g := newGather(func(c Change) { got = append(got, fmt.Sprintf("%s/%v", c.Path, c.Full)) })
	g.remotes(dir, []string{"a", "b", "c"})
	change := func(path string) Change { return Change{Root: dir, Path: path} }
	g.setUp(dir, "a", true)
	g.setUp(dir, "b", true)
	g.arrived("a", change("one"))
	g.arrived("a", change("one"))
	g.arrived("c", change("one"))
	if len(got) > 0 {
		t.Fatalf("told before b has it: %v", got)
	}
	g.arrived("b", change("one"))
	g.arrived("a", change("two"))
	g.setUp(dir, "b", false)
	g.setUp(dir, "b", true)
	g.arrived("a", change("three"))
	g.arrived("b", Change{Root: dir, Full: true})
	g.arrived("a", change("late"))
	g.expire(time.Now())
	g.expire(time.Now().Add(2 * waitAtMost))
	same(t, got, []string{"one/false", "two/false", "three/false", "late/false", "/true"})
	g.arrived("a", change("last"))
	g.flush()
	if got[len(got)-1] != "last/false" {
		t.Errorf("not told at the end: %v", got)
	}
	for i := range gatherAtMost + 10 {
		g.arrived("a", change(fmt.Sprint(i)))
	}
	if n := len(g.roots[dir].waiting); n > gatherAtMost {
		t.Errorf("%d changes wait", n)
	}
}

// A plugin that hangs loses what its queue does not hold, and nobody waits.
func TestQueueIsBounded(t *testing.T) {
	r := start(t, config.Plugin{Type: "command", Command: []string{"sh", "-c", "sleep 1000", "{}"}, Queue: 5, Parallel: 1, Timeout: config.Duration(time.Hour)})
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	began := time.Now()
	r.arrive(t, "far", names...)
	if took := time.Since(began); took > patience/4 {
		t.Errorf("it took %v to hand over 100 changes", took)
	}
	st := r.Stats()[0]
	if st.Lost < 94 || st.Lost > 95 || st.Queued > 5 {
		t.Errorf("%+v", st)
	}
	if n := strings.Count(r.log.String(), "changes are lost"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.log.String())
	}
	began = time.Now()
	r.stop()
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v to stop", took)
	}
}

// What listeners hear of an entry, and what is none of their business.
func TestChangeOf(t *testing.T) {
	for want, e := range map[string]coalesce.Entry{
		"":         {Path: "ghost", Flags: coalesce.Ghost | coalesce.Name},
		" ":        {Flags: coalesce.Attr | coalesce.Dir},
		"  ":       {Path: "d", Flags: coalesce.Attr | coalesce.Dir},
		"full":     {Flags: coalesce.Subtree | coalesce.Dir},
		"full d":   {Path: "d", Flags: coalesce.Subtree | coalesce.Dir},
		"full d2":  {Path: "d2", Flags: coalesce.Children | coalesce.Attr | coalesce.Dir},
		"f":        {Path: "f", Flags: coalesce.Content},
		"chmodded": {Path: "chmodded", Flags: coalesce.Attr},
		"new":      {Path: "new", Flags: coalesce.Name | coalesce.Dir | coalesce.Subtree},
		"moved":    {Path: "moved", Flags: coalesce.Moved | coalesce.Dir | coalesce.Subtree},
		"gone":     {Path: "gone", Flags: coalesce.Gone | coalesce.Dir},
	} {
		got := ""
		if c, ok := changeOf("/r", e); ok {
			got = c.Path
			if c.Full {
				got = strings.TrimSpace("full " + c.Path)
			}
		}
		if got != strings.TrimSpace(want) {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}

// sersync's kinds hear nothing of comparisons.
func TestFullIsForJSON(t *testing.T) {
	l := listen(t, "")
	r := start(t, config.Plugin{Type: "socket", Format: "path", Address: l.Addr().String()})
	r.Synced(r.root, "far", []coalesce.Entry{{Path: "", Flags: coalesce.Subtree | coalesce.Dir}})
	r.arrive(t, "far", "real")
	until(t, "one connection", func() bool { return len(l.all()) > 0 })
	r.stop()
	same(t, l.all(), []string{r.root + "/real"})
}
