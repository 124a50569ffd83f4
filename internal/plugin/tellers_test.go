package plugin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/internal/config"
)

// sersync's socket: one connection for each change, the absolute path alone.
func TestSocketPath(t *testing.T) {
	l := listen(t, "")
	r := start(t, config.Plugin{Type: "socket", Format: "path", Address: l.Addr().String()})
	var want []string
	for _, name := range hostile {
		want = append(want, r.root+"/"+name)
	}
	r.arrive(t, "far", hostile...)
	until(t, "all connections", func() bool { return len(l.all()) >= len(want) })
	same(t, l.all(), want)
}

// Lines of JSON over one connection, which is made anew when it was closed.
func TestSocketJSON(t *testing.T) {
	l := listen(t, "")
	r := start(t, config.Plugin{Type: "socket", Address: l.Addr().String(), EachRemote: true}, "a", "b")
	r.arrive(t, "a", hostile...)
	r.arrive(t, "b", "d/")
	r.Synced(r.root, "b", []coalesce.Entry{{Path: "gone", Flags: coalesce.Gone}, {Flags: coalesce.Subtree | coalesce.Dir}})
	until(t, "all told", func() bool { return r.Stats()[0].Told == int64(len(hostile))+3 })
	r.stop()
	until(t, "the connection", func() bool { return len(l.all()) == 1 })
	var got, want []string
	for line := range strings.Lines(l.all()[0]) {
		var rec record
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if raw, err := base64.StdEncoding.DecodeString(rec.PathBase64); err != nil {
			t.Error(err)
		} else if len(raw) > 0 {
			rec.Path = string(raw)
		}
		got = append(got, fmt.Sprintf("%s %s %v %s", rec.Event, strings.TrimPrefix(rec.Path, r.root), rec.Dir, rec.Remote))
	}
	for _, name := range hostile {
		want = append(want, "write /"+name+" false a")
	}
	same(t, got, append(want, "write /d true b", "delete /gone false b", "full  true b"))
}

// A listener that is not there, then is: what is retried arrives.
func TestSocketRetries(t *testing.T) {
	l := listen(t, "")
	addr := l.Addr().String()
	r := start(t, config.Plugin{Type: "socket", Format: "path", Address: "127.0.0.1:1", Retries: -1})
	r.arrive(t, "far", "f")
	until(t, "a failure", func() bool { return r.Stats()[0].Failed == 1 })
	if text := r.Stats()[0].LastError; !strings.Contains(text, "refused") {
		t.Error(text)
	}
	r = start(t, config.Plugin{Type: "socket", Format: "path", Address: addr})
	r.arrive(t, "far", "g")
	until(t, "success", func() bool { return r.Stats()[0].Told == 1 })
}

// The requests are those of sersync to the byte where a name needs no escape,
// and no name can break out of one where it does.
func TestCDN(t *testing.T) {
	l := listen(t, "HTTP/1.0 200 OK\r\n\r\nwhatsup: content=\"succeed\"")
	conf := config.Plugin{Type: "cdn", Path: "ROOT", Address: l.Addr().String(), User: "xxxx", Password: "sesame", Base: "http://pic.xoyo.com/cms"}
	r := start(t, conf)
	r.arrive(t, "far", append([]string{"a/b.jpg", "dir/"}, hostile...)...)
	until(t, "all requests", func() bool { return len(l.all()) == len(hostile)+2 })
	request := func(what string) string {
		return "HEAD /index.jsp?user=xxxx&pswd=sesame&ok=ok&" + what + " HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
	}
	want := []string{request("urls=http://pic.xoyo.com/cms/a/b.jpg"), request("dirs=http://pic.xoyo.com/cms/dir/"), request("urls=http://pic.xoyo.com/cms/plain.php")}
	got := strings.Join(l.all(), "")
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in %q", w, got)
		}
	}
	for _, one := range l.all() {
		if strings.Count(one, "\r\n") != 3 || strings.Count(one, " ") != 3 || strings.Count(one, "&") != 3 {
			t.Errorf("a name has broken out: %q", one)
		}
	}
	if !strings.Contains(got, "urls=http://pic.xoyo.com/cms/x%20HTTP/1.1%0D%0AEvil%3A%201 ") || !strings.Contains(got, "/%FF%FE ") {
		t.Errorf("escapes: %q", got)
	}
}

// regexurl: base, the first group, and what follows the match; nothing is sent
// for what does not match. No answer is no failure, and no log has the password.
func TestCDNMatch(t *testing.T) {
	l := listen(t, "")
	r := start(t, config.Plugin{Type: "cdn", Address: l.Addr().String(), User: "u", Password: "sesame", Base: "http://x", Match: "site([/a-z]*).images", Timeout: config.Duration(time.Second)})
	r.arrive(t, "far", "site/cms/images/1.jpg", "elsewhere/2.jpg")
	until(t, "both told", func() bool { st := r.Stats()[0]; return st.Told == 2 && st.Failed == 0 })
	until(t, "one request", func() bool { return len(l.all()) == 1 })
	if got := l.all()[0]; !strings.Contains(got, "&urls=http://x/cms/1.jpg HTTP/1.0") {
		t.Errorf("%q", got)
	}
	refused := listen(t, "HTTP/1.0 403 Forbidden\r\n\r\n")
	r = start(t, config.Plugin{Type: "cdn", Address: refused.Addr().String(), User: "u", Password: "sesame", Base: "http://x"})
	r.arrive(t, "far", "f")
	until(t, "a failure", func() bool { return r.Stats()[0].Failed == 1 })
	if len(refused.all()) != 1 {
		t.Errorf("a refusal was tried again: %q", refused.all())
	}
	if said := r.log.String() + r.Stats()[0].LastError; strings.Contains(said, "sesame") || !strings.Contains(said, "403") {
		t.Errorf("log: %s", said)
	}
}

// The command gets the path as one word, whatever is in it, and learns the rest
// from its environment.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(`#!/bin/sh
printf '%s\0' "$#" "$1" "$2" "$FANSYNC_EVENT" "$FANSYNC_KIND" "$FANSYNC_PATH" "$FANSYNC_REMOTE" >>`+out+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := start(t, config.Plugin{Type: "command", Command: []string{script, "{}", "suffix"}, Parallel: 1, Include: []string{`.*[^x]`}, EachRemote: true})
	r.arrive(t, "far", append(hostile, "left out x")...)
	r.Synced(r.root, "far", []coalesce.Entry{{Path: "gone", Flags: coalesce.Gone | coalesce.Dir}})
	until(t, "all told", func() bool { return r.Stats()[0].Told == int64(len(hostile))+1 })
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range append(hostile, "gone") {
		event, kind := "write", "file"
		if name == "gone" {
			event, kind = "delete", "directory"
		}
		path := r.root + "/" + name
		want = append(want, strings.Join([]string{"2", path, "suffix", event, kind, path, "far"}, "\x00"))
	}
	fields := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	var got []string
	for i := 0; i+7 <= len(fields); i += 7 {
		got = append(got, strings.Join(fields[i:i+7], "\x00"))
	}
	same(t, got, want)
	for _, at := range []string{".", r.root, dir} {
		if _, err := os.Lstat(filepath.Join(at, "pwned")); err == nil {
			t.Errorf("a name was executed in %s", at)
		}
	}
}

// A command that fails or hangs is told of once, killed with its children, and
// not repeated; ignore_error says nothing.
func TestCommandFails(t *testing.T) {
	r := start(t, config.Plugin{Type: "command", Command: []string{"sh", "-c", "echo why >&2; exit 7", "{}"}, Parallel: 1})
	r.arrive(t, "far", "a", "b")
	until(t, "failures", func() bool { return r.Stats()[0].Failed == 2 })
	if text := r.Stats()[0].LastError; !strings.Contains(text, "exit status 7") || !strings.Contains(text, "why") {
		t.Error(text)
	}
	if n := strings.Count(r.log.String(), "plugin failed"); n != 1 {
		t.Errorf("said %d times", n)
	}
	r = start(t, config.Plugin{Type: "command", Command: []string{"sh", "-c", "sleep 1000 & sleep 1000", "{}"}, Timeout: config.Duration(100 * time.Millisecond), IgnoreError: true})
	r.arrive(t, "far", "a")
	until(t, "the end of it", func() bool { return r.Stats()[0].Failed == 1 })
	if strings.Contains(r.log.String(), "plugin failed") {
		t.Error("ignore_error: it was said")
	}
}

// web is a real HTTP server that checks each post and answers as it is told to.
type web struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	got     []string
	wrong   []string
}

func newWeb(t *testing.T, answers ...int) *web {
	w := &web{answers: answers}
	w.Server = httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		body, err := io.ReadAll(req.Body)
		mac := hmac.New(sha256.New, []byte("the key"))
		mac.Write(body)
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Authorization") != "Bearer the token" ||
			req.Header.Get("X-Fansync-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			w.wrong = append(w.wrong, fmt.Sprint(req.Method, req.Header))
		}
		if len(w.answers) > 0 {
			answer := w.answers[0]
			w.answers = w.answers[1:]
			if answer == http.StatusFound {
				res.Header().Set("Location", "/elsewhere")
			}
			if answer != http.StatusOK {
				res.WriteHeader(answer)
				return
			}
		}
		var posted struct{ Changes []record }
		if err := json.Unmarshal(body, &posted); err != nil {
			w.wrong = append(w.wrong, err.Error())
		}
		for _, c := range posted.Changes {
			raw, _ := base64.StdEncoding.DecodeString(c.PathBase64)
			w.got = append(w.got, c.Event+" "+c.Path+string(raw))
		}
	}))
	t.Cleanup(w.Close)
	return w
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Posts carry batches, a token and a signature; what the server cannot take now
// is posted again, what it refuses is not.
func TestHTTP(t *testing.T) {
	w := newWeb(t, 503, 429, 200)
	conf := config.Plugin{Type: "http", URL: w.URL + "/hook?key=sesame", TokenFile: secretFile(t, "the token"), HMACFile: secretFile(t, "the key")}
	r := start(t, conf)
	r.arrive(t, "far", hostile...)
	var want []string
	for _, name := range hostile {
		want = append(want, "write "+r.root+"/"+name)
	}
	until(t, "all told", func() bool { return r.Stats()[0].Told == int64(len(hostile)) })
	w.mu.Lock()
	same(t, w.got, want)
	if len(w.wrong) > 0 {
		t.Errorf("wrong requests: %v", w.wrong)
	}
	w.answers = []int{http.StatusFound, 401}
	w.mu.Unlock()
	r.arrive(t, "far", "moved")
	until(t, "a redirect that is not followed", func() bool { return r.Stats()[0].Failed == 1 })
	r.arrive(t, "far", "refused")
	until(t, "a refusal", func() bool { return r.Stats()[0].Failed == 2 })
	w.CloseClientConnections()
	w.Close()
	r.arrive(t, "far", "nobody there")
	until(t, "a failure", func() bool { return r.Stats()[0].Failed == 3 })
	if said := r.log.String() + r.Stats()[0].LastError; strings.Contains(said, "sesame") || strings.Contains(said, "the token") {
		t.Errorf("a secret was told: %s", said)
	}
}

// Mistakes are found before anything runs.
func TestNewRefuses(t *testing.T) {
	open := secretFile(t, "x")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, conf := range map[string]config.Plugin{
		"chmod 600":         {Type: "http", URL: "http://h", TokenFile: open},
		"is empty":          {Type: "http", URL: "http://h", HMACFile: secretFile(t, "")},
		"no such file":      {Type: "cdn", Address: "h:1", Base: "http://h", PasswordFile: "/nowhere"},
		"has no group":      {Type: "cdn", Address: "h:1", Base: "http://h", Match: "x"},
		"control character": {Type: "cdn", Address: "h:1", Base: "http://h\r\n"},
		"is not known":      {Type: "pigeon"},
		"missing closing":   {Type: "socket", Address: "h:1", Include: []string{"(x"}},
	} {
		if _, err := New([]config.Plugin{conf}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
