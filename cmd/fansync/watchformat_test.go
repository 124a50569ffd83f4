package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

var update = flag.Bool("update", false, "rewrite testdata/watch")

// at is 1 ms after the second, in a zone that is not the machine's.
var (
	at   = time.Date(2026, 5, 4, 3, 2, 1, 1_000_000, time.UTC).UnixNano()
	zone = time.FixedZone("", 2*60*60)
)

// samples are records of all types, with names of all sorts.
func samples() []record {
	entry := func(e coalesce.Entry) record {
		e.Since, e.Last = 0, 2_345_000
		return entryRecord(e, at)
	}
	event := func(ev watcher.Event) record {
		ev.Time = 7_000
		return eventRecord(ev, at)
	}
	return []record{
		{kind: recordWatching, time: at, backend: "inotify", reason: "asked for"},
		{kind: recordReady, time: at, after: 12_345_678},
		entry(coalesce.Entry{Path: "new", Flags: coalesce.Content | coalesce.Name | coalesce.Born | coalesce.Wrote}),
		entry(coalesce.Entry{Path: "a dir", Flags: coalesce.Name | coalesce.Dir}),
		entry(coalesce.Entry{Path: "f", Flags: coalesce.Content | coalesce.Wrote | coalesce.Attr}),
		entry(coalesce.Entry{Path: "to", From: "from here", Flags: coalesce.Content | coalesce.Name | coalesce.Moved}),
		entry(coalesce.Entry{Path: "d", From: "new\nline", Flags: coalesce.Name | coalesce.Moved | coalesce.Dir | coalesce.Subtree}),
		entry(coalesce.Entry{Path: "old", Flags: coalesce.Name | coalesce.Gone | coalesce.Dir | coalesce.Uncounted, Deletes: 12}),
		entry(coalesce.Entry{Path: "", Flags: coalesce.Attr | coalesce.Dir}),
		entry(coalesce.Entry{Path: "hard", Flags: coalesce.Content | coalesce.Attr | coalesce.Wrote | coalesce.Racy}),
		entry(coalesce.Entry{Path: "tab\tquote'back\\slash\r\x1b[31m\x00", Flags: coalesce.Attr}),
		entry(coalesce.Entry{Path: "l\xfftin", From: "l\xe4tin", Flags: coalesce.Name | coalesce.Moved}),
		entry(coalesce.Entry{Path: "blank ", Flags: coalesce.Attr}),
		entry(coalesce.Entry{Path: "Ünïcode 中文 \u202egnp.exe \U000e0001 \U0001f600", Flags: coalesce.Attr}),
		{kind: recordRescan, time: at, path: "part", words: wordRescan | wordDir, reason: string(watcher.WatchLimit)},
		{kind: recordHidden, time: at, words: wordHidden | wordDir, reason: hiddenReason},
		event(watcher.Event{Path: "raw", Kind: watcher.Created | watcher.Modified | watcher.Closed}),
		event(watcher.Event{Path: "raw to", From: "raw from", Kind: watcher.Created | watcher.Moved}),
		event(watcher.Event{Path: "raw gone", Kind: watcher.Removed | watcher.Dir, Below: 3}),
		event(watcher.Event{Path: "", Kind: watcher.Rescan | watcher.Dir, Reason: watcher.QueueOverflow}),
		{kind: recordGone, time: at},
	}
}

// TestWatchForms holds every form against what stands in testdata.
func TestWatchForms(t *testing.T) {
	for name, f := range map[string]form{"lines": formLines, "json": formJSON, "null": formNull} {
		format, p := formatter{form: f, loc: zone}, newPlace("./src/")
		var got []byte
		for _, r := range samples() {
			got = format.append(got, &p, &r)
		}
		file := filepath.Join("testdata", "watch", name+".golden")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s: -want +got\n%s", file, d)
		}
	}
}

func TestNewPlace(t *testing.T) {
	for name, want := range map[string]place{
		"src": {"src", "src/"}, "src//": {"src", "src/"}, ".": {".", "./"}, "/": {"/", "/"}, "///": {"/", "/"}, "/a/b": {"/a/b", "/a/b/"},
	} {
		if got := newPlace(name); got != want {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

// What appendShell writes is one line without anything that a terminal obeys,
// and it is bare only if it cannot be taken for something else.
func TestAppendShell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := oddPath().Draw(t, "path")
		got := string(appendShell(nil, []byte(path)))
		if !utf8.ValidString(got) || strings.IndexFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
			t.Fatalf("%q holds what does not print", got)
		}
		if strings.HasPrefix(got, "$'") == (got == path) {
			t.Fatalf("%q is ambiguous", got)
		}
		if strings.TrimSpace(got) != got {
			t.Fatalf("%q has blanks around it", got)
		}
	})
}

// A real shell reads what appendShell writes.
func TestAppendShellAgainstBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfN(oddPath(), 1, 50).Draw(t, "paths")
		var script, want bytes.Buffer
		for _, p := range paths {
			quoted := string(appendShell(nil, []byte(p)))
			if quoted == p {
				continue // bare is not for the shell
			}
			script.WriteString("printf '%s\\0' " + quoted + "\n")
			want.WriteString(p + "\x00")
		}
		cmd := exec.Command(bash)
		cmd.Stdin, cmd.Env = &script, []string{"LC_ALL=C"}
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("got  %q\nwant %q", got, want.Bytes())
		}
	})
}

// oddPath draws names that are odd in every way but for NUL.
func oddPath() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{" ", "'", "\\", "$'", "$", "\n", "\t", "\x1b", "\x7f", "\xff", "\xc3", "a", "7", "/", "中", "\u00a0", "\u0085", "\u2028", "\ufffd"}),
		rapid.StringN(1, 4, -1),
	)
	return rapid.Map(rapid.SliceOfN(part, 1, 8), func(parts []string) string {
		return strings.ReplaceAll(strings.Join(parts, ""), "\x00", "")
	}).Filter(func(s string) bool { return s != "" })
}

// Every path comes back out of the JSON as it went in.
func TestJSONIsLossless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path, from := oddPath().Draw(t, "path"), oddPath().Draw(t, "from")
		f, p := formatter{form: formJSON, loc: zone}, newPlace("s\x01rc")
		line := f.append(nil, &p, &record{kind: recordChange, time: at, path: path, from: from, words: wordMoved})
		if bytes.IndexFunc(line[:len(line)-1], func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
			t.Fatalf("%q holds what does not print", line)
		}
		got := decode(t, line)
		if got.path() != "s\x01rc/"+path || got.old() != "s\x01rc/"+from || got.Root != "s\x01rc" {
			t.Fatalf("%q: path %q, from %q, root %q", line, got.path(), got.old(), got.Root)
		}
	})
}

// object is a line of JSON as a user would read it.
type object struct {
	Type    string
	Time    time.Time
	Since   time.Time
	Root    string
	RootB64 []byte `json:"root_b64"`
	Path    *string
	PathB64 []byte `json:"path_b64"`
	From    *string
	FromB64 []byte `json:"from_b64"`
	Kinds   []string
	Flags   []string
	Deletes int
	Reason  string
	Backend string
	AfterMS float64 `json:"after_ms"`
}

func (o object) path() string { return either(o.Path, o.PathB64) }
func (o object) old() string  { return either(o.From, o.FromB64) }

func either(s *string, b []byte) string {
	if s != nil {
		return *s
	}
	return string(b)
}

// decode takes one line apart. It knows every member there is.
func decode(t interface {
	Helper()
	Fatalf(string, ...any)
}, line []byte) object {
	t.Helper()
	var o object
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if (o.Path != nil) && (o.PathB64 != nil) {
		t.Fatalf("two paths in %q", line)
	}
	return o
}

// BenchmarkWatchPrint is what a line costs from the Change on; ns/op and the
// allocations are for 1000 lines.
func BenchmarkWatchPrint(b *testing.B) {
	const lines = 1000
	var ch coalesce.Change
	for i := range lines {
		path := "some/directory/" + strconv.Itoa(i/100) + "/file number " + strconv.Itoa(i)
		ch.Entries = append(ch.Entries, coalesce.Entry{Path: path, Flags: coalesce.Content | coalesce.Name | coalesce.Wrote, Since: int64(i), Last: int64(i)})
	}
	for name, f := range map[string]form{"lines": formLines, "json": formJSON, "null": formNull} {
		b.Run(name, func(b *testing.B) {
			tr := &tree{place: newPlace("/srv/www"), root: "/srv/www"}
			out := newOutput(io.Discard, io.Discard, f, false)
			b.ReportAllocs()
			for b.Loop() {
				out.change(tr, ch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
		})
	}
}
