package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/internal/sersync"
	"github.com/fansync/fansync/scheduler"
)

// dropIn is an engine that runs a confxml.xml against a real daemon that asks
// for a password. Its source has a blank in its path.
type dropIn struct {
	*engine.Engine
	src, dst string
	xml      string
	daemon   *mirrortest.Daemon
	log      logText

	mu   sync.Mutex
	runs int
	stop func()
}

// logText is what an engine logged.
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

// attribute sets one attribute of the first element of that name.
func attribute(t testing.TB, xml, element, name, value string) string {
	t.Helper()
	re := regexp.MustCompile(`(?s)(<` + element + `\s[^>]*?` + name + `=")[^"]*(")`)
	at := re.FindStringSubmatchIndex(xml)
	if at == nil {
		t.Fatalf("no %s in <%s>", name, element)
	}
	value = strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;").Replace(value)
	return xml[:at[3]] + value + xml[at[4]:]
}

// shippedXML is the file as shipped.
func shippedXML(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../internal/sersync/testdata/shipped.xml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// newDropIn points the file at a source and a daemon of the test, with auth; all
// else in it stays.
func newDropIn(t testing.TB, xml string) *dropIn {
	t.Helper()
	d := &dropIn{src: filepath.Join(mirrortest.TmpfsDir(t), "src b"), dst: t.TempDir()}
	if err := os.Mkdir(d.src, 0o755); err != nil {
		t.Fatal(err)
	}
	d.daemon = mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": d.dst}, User: "mirror", Password: "secret"})
	d.xml = pointAt(t, xml, d.src, d.daemon, filepath.Join(t.TempDir(), "fail.sh"))
	return d
}

func pointAt(t testing.TB, xml, src string, daemon *mirrortest.Daemon, failLog string) string {
	t.Helper()
	for _, set := range [][3]string{
		{"localpath", "watch", src}, {"remote", "ip", "127.0.0.1"}, {"remote", "name", "m"},
		{"auth", "start", "true"}, {"auth", "users", "mirror"}, {"auth", "passwordfile", daemon.PasswordFile()},
		{"userDefinedPort", "start", "true"}, {"userDefinedPort", "port", fmt.Sprint(daemon.Port())},
		{"failLog", "path", failLog},
	} {
		xml = attribute(t, xml, set[0], set[1], set[2])
	}
	return xml
}

// start runs it; opts is the command line.
func (d *dropIn) start(t testing.TB, opts sersync.Options) *dropIn {
	t.Helper()
	res, err := sersync.Decode("confxml.xml", []byte(d.xml), opts)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(res.Config, engine.Options{
		Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Tune: func(c *scheduler.Config) {
			c.BackoffMin, c.BackoffMax = 50*time.Millisecond, 500*time.Millisecond
			c.Events.Started = func(string, scheduler.Batch) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.runs++
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Engine = e
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	t.Cleanup(d.stop)
	return d
}

// flush waits until all is at every remote.
func (d *dropIn) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := d.Flush(ctx); err != nil {
		t.Fatalf("flush: %v\n%s", err, d.log.String())
	}
}

// equal flushes and demands that the remote is as the source.
func (d *dropIn) equal(t testing.TB) {
	t.Helper()
	d.flush(t)
	mirrortest.RequireEqual(t, d.src, d.dst, mirrortest.DiffOptions{})
}

// seeds are files of the kind people have, from beside the repository; the test
// is skipped where they are not.
func seeds(t *testing.T) map[string]string {
	t.Helper()
	dir := os.Getenv("FANSYNC_SEED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "seed")
	}
	found := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if i := strings.Index(text, "<head"); i >= 0 {
			start := max(strings.LastIndex(text[:i], "<?xml"), 0)
			end := strings.Index(text, "</head>") + len("</head>")
			found[filepath.Base(file)] = text[start:end] + "\n"
		}
	}
	if len(found) == 0 {
		t.Skipf("no confxml.xml in %s; FANSYNC_SEED names another directory", dir)
	}
	return found
}

// TestSeeds: files as people have them run, with auth on.
func TestSeeds(t *testing.T) {
	for name, xml := range seeds(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := sersync.Decode(name, []byte(xml), sersync.Options{}); err != nil {
				t.Fatalf("as it is: %v", err)
			}
			runsAsItIs(t, xml)
		})
	}
}

// TestVariants: what other editors and encodings make of the shipped file.
func TestVariants(t *testing.T) {
	xml := shippedXML(t)
	for name, xml := range map[string]string{
		"as shipped":     xml,
		"GBK comments":   strings.Replace(xml, "<sersync>", "<!-- \xd5\xe2\xc0\xef\xcc\xee\xd0\xb4 & \x81\x5c -- --><sersync>", 1),
		"UTF-8 header":   strings.Replace(xml, "ISO-8859-1", "UTF-8", 1),
		"no header, BOM": "\xef\xbb\xbf" + xml[strings.Index(xml, "<head"):],
		"capitals":       strings.NewReplacer("<sersync>", "<SERSYNC>", "</sersync>", "</Sersync>").Replace(xml),
		"CR LF":          strings.ReplaceAll(xml, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) { runsAsItIs(t, xml) })
	}
}

func runsAsItIs(t *testing.T, xml string) {
	t.Helper()
	d := newDropIn(t, xml)
	putText(t, "before", d.src, "before")
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	putText(t, "x", d.src, "\xd6\xd0\xce\xc4 中文", "live")
	d.equal(t)
}

// putText writes a file, with its directory.
func putText(t testing.TB, text string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
