package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/internal/sersync"
)

// receiver keeps what each connection to it sent.
type receiver struct {
	net.Listener
	mu  sync.Mutex
	got []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &receiver{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				text, _ := io.ReadAll(conn)
				conn.Close()
				r.mu.Lock()
				defer r.mu.Unlock()
				r.got = append(r.got, string(text))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return r
}

func (r *receiver) port() string { return fmt.Sprint(r.Addr().(*net.TCPAddr).Port) }

func (r *receiver) has(want string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.got, want)
}

// withSocket is the shipped file with its socket plugin on.
func withSocket(t *testing.T, port, watch string) string {
	t.Helper()
	xml := attribute(t, attribute(t, shippedXML(t), "plugin", "name", "socket"), "plugin", "start", "true")
	xml = strings.Replace(xml, `ip="192.168.138.20" port="8009"`, `ip="127.0.0.1" port="`+port+`"`, 1)
	i := strings.Index(xml, `<plugin name="socket">`)
	return xml[:i] + attribute(t, xml[i:], "localpath", "watch", watch)
}

// sersync's socket plugin hears the absolute path of each change after it has
// arrived, hostile names too, and not of what the first full run brought.
func TestSersyncSocketPlugin(t *testing.T) {
	r := newReceiver(t)
	d := newDropIn(t, withSocket(t, r.port(), "/placeholder"))
	d.xml = strings.Replace(d.xml, "/placeholder", d.src, 1)
	putText(t, "x", d.src, "before")
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	for _, name := range hostile {
		putText(t, "x", d.src, name)
	}
	for _, name := range hostile {
		waitFor(t, name, func() bool { return r.has(filepath.Join(d.src, name)) })
		if _, err := os.Lstat(filepath.Join(d.dst, name)); err != nil {
			t.Errorf("told before it had arrived: %v", err)
		}
	}
	if r.has(filepath.Join(d.src, "before")) {
		t.Error("told of what only the full run brought")
	}
	noneRan(t, d.src, d.dst)
}

// A command that hangs delays nothing, and what it misses is counted.
func TestSersyncSlowPlugin(t *testing.T) {
	xml := attribute(t, shippedXML(t), "plugin", "start", "true")
	hang := putText(t, "#!/bin/sh\nexec sleep 1000\n", t.TempDir(), "hang")
	must(t, os.Chmod(hang, 0o755))
	d := newDropIn(t, attribute(t, xml, "param", "prefix", hang))
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	for i := range 12_000 {
		putText(t, "x", d.src, fmt.Sprintf("d%d", i%10), fmt.Sprint(i))
	}
	d.equal(t)
	waitFor(t, "losses", func() bool {
		st := d.Status().Plugins
		return len(st) == 1 && st[0].Lost > 0 && st[0].Queued == 10_000
	})
	d.stop()
}

// sersync let the plugin's directory take the place of the mirrored one.
func TestSersyncPluginPathDoesNotHijack(t *testing.T) {
	other := t.TempDir()
	putText(t, "x", other, "wrong")
	r := newReceiver(t)
	d := newDropIn(t, withSocket(t, r.port(), other))
	putText(t, "x", d.src, "right")
	d.start(t, sersync.Options{Compare: true})
	mirrortest.WaitEqual(t, d.src, d.dst, patience, mirrortest.DiffOptions{})
	d.equal(t)
}

// What a plugin hears of each kind of change is the changed paths, each once, and
// not the directories above them.
func TestSersyncPluginEvents(t *testing.T) {
	r := newReceiver(t)
	d := newDropIn(t, withSocket(t, r.port(), "/placeholder"))
	d.xml = strings.Replace(d.xml, "/placeholder", d.src, 1)
	at := func(name string) string { return filepath.Join(d.src, "d/e", name) }
	putText(t, "x", at("before"))
	putText(t, "x", at("tree/x"))
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"create", func() { putText(t, "x", at("f")) }, []string{"f"}},
		{"write", func() { putText(t, "xy", at("f")) }, []string{"f"}},
		{"rename", func() { must(t, os.Rename(at("f"), at("g"))) }, []string{"f", "g"}},
		{"remove", func() { must(t, os.Remove(at("g"))) }, []string{"g"}},
		{"rename a directory", func() { must(t, os.Rename(at("tree"), at("wood"))) }, []string{"tree", "wood"}},
		{"remove a directory", func() { must(t, os.RemoveAll(at("wood"))) }, []string{"wood"}},
	} {
		step.do()
		d.equal(t)
		var got []string
		waitFor(t, step.name, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			got = slices.Clone(r.got)
			return len(got) >= len(step.want)
		})
		slices.Sort(got)
		for i, name := range step.want {
			step.want[i] = at(name)
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: told %q, want %q", step.name, got, step.want)
		}
		r.mu.Lock()
		r.got = nil
		r.mu.Unlock()
	}
	if st := d.Status().Plugins; len(st) != 1 || st[0].Told != 8 || st[0].Failed+st[0].Lost > 0 {
		t.Errorf("%+v", st)
	}
}
