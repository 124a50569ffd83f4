package coalesce

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/watcher"
)

var update = flag.Bool("update", false, "rewrite the expected part of testdata/*.txt")

// TestGolden runs every script of testdata. What stands before the line "---"
// is the script, what follows is what must come out:
//
//	window|quiet|max DURATION     configures
//	TIME KINDS PATH [from=PATH] [reason=TEXT] [n=N]   an event; first everything due by then is flushed
//	TIME force                    flushes all
//	add|older PATH FLAGS [k=v…]   works on a Set instead
//	prune PATH, clear             likewise
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(raw), "---\n")
			got := runScript(t, script)
			if *update {
				if err := os.WriteFile(file, []byte(script+"---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func runScript(t *testing.T, script string) string {
	var out strings.Builder
	var cfg Config
	var c *Coalescer
	var set *Set
	durations := map[string]*time.Duration{"window": &cfg.Window, "quiet": &cfg.Quiet, "max": &cfg.MaxDelay}
	for line := range strings.Lines(script) {
		f := fields(t, line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if d := durations[f[0]]; d != nil {
			*d = time.Duration(nanos(t, f[1]))
			continue
		}
		if strings.Contains("add older prune clear", f[0]) {
			if set == nil {
				set = NewSet()
			}
			setOp(t, set, f, &out)
			continue
		}
		if c == nil {
			c = NewCoalescer(cfg)
		}
		now := nanos(t, f[0])
		flushUntil(c, now, &out)
		if f[1] == "force" {
			printChange(&out, now, c.Flush(now, true))
			continue
		}
		c.Add(event(t, f, now), now)
	}
	if c != nil {
		flushUntil(c, 1<<62, &out)
	}
	if set != nil {
		set.Ascend(func(e Entry) bool { printEntry(&out, e); return true })
	}
	return out.String()
}

// flushUntil flushes at every deadline not after now.
func flushUntil(c *Coalescer, now int64, out *strings.Builder) {
	for {
		at, ok := c.Next()
		if !ok || at > now {
			return
		}
		printChange(out, at, c.Flush(at, false))
	}
}

func setOp(t *testing.T, s *Set, f []string, out *strings.Builder) {
	switch f[0] {
	case "add":
		s.Add(entry(t, f[1:]))
	case "older":
		s.AddOlder(entry(t, f[1:]))
	case "prune":
		fmt.Fprintf(out, "pruned %d\n", s.PruneUnder(f[1]))
	case "clear":
		s.Clear()
	}
}

func event(t *testing.T, f []string, now int64) watcher.Event {
	ev := watcher.Event{Kind: watcher.Kind(bits(t, f[1], func(i int) string { return watcher.Kind(1 << i).String() })), Time: now}
	for _, v := range f[2:] {
		k, v, ok := strings.Cut(v, "=")
		switch {
		case !ok:
			ev.Path = k
		case k == "from":
			ev.From = v
		case k == "reason":
			ev.Reason = watcher.Reason(v)
		case k == "n":
			ev.Barrier = uint64(number(t, v))
		}
	}
	return ev
}

func entry(t *testing.T, f []string) Entry {
	e := Entry{Path: f[0], Flags: Flags(bits(t, f[1], func(i int) string { return Flags(1 << i).String() }))}
	for _, v := range f[2:] {
		k, v, _ := strings.Cut(v, "=")
		switch k {
		case "from":
			e.From = v
		case "since":
			e.Since = nanos(t, v)
		case "last":
			e.Last = nanos(t, v)
		case "deletes":
			e.Deletes = uint32(number(t, v))
		case "seq":
			e.Seq = uint64(number(t, v))
		}
	}
	return e
}

func printChange(out *strings.Builder, now int64, ch Change) {
	fmt.Fprintf(out, "%v\n", time.Duration(now))
	for _, e := range ch.Entries {
		printEntry(out, e)
	}
	for _, r := range ch.Rescans {
		fmt.Fprintf(out, "  rescan %s reason=%q\n", quoted(r.Path), r.Reason)
	}
	for _, b := range ch.Barriers {
		fmt.Fprintf(out, "  barrier %d\n", b)
	}
	if ch.Gone {
		fmt.Fprintf(out, "  root gone\n")
	}
	if ch.Hidden != 0 {
		fmt.Fprintf(out, "  hidden since=%v\n", time.Duration(ch.Hidden))
	}
}

func printEntry(out *strings.Builder, e Entry) {
	fmt.Fprintf(out, "  %s %v since=%v last=%v", quoted(e.Path), e.Flags, time.Duration(e.Since), time.Duration(e.Last))
	if e.From != "" {
		fmt.Fprintf(out, " from=%s", quoted(e.From))
	}
	if e.Deletes != 0 {
		fmt.Fprintf(out, " deletes=%d", e.Deletes)
	}
	if e.Seq != 0 {
		fmt.Fprintf(out, " seq=%d", e.Seq)
	}
	out.WriteByte('\n')
}

func quoted(path string) string {
	if q := strconv.Quote(path); path == "" || strings.Contains(path, " ") || q != `"`+path+`"` {
		return q
	}
	return path
}

// fields splits a line at spaces; a field or its value may be a Go string.
func fields(t *testing.T, line string) []string {
	var f []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		n := strings.IndexAny(line, " \"")
		word := line
		if n >= 0 {
			word = line[:n]
		}
		line = line[len(word):]
		if strings.HasPrefix(line, `"`) {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			line = line[len(q):]
			q, _ = strconv.Unquote(q)
			word += q
		}
		f = append(f, word)
	}
	return f
}

func bits(t *testing.T, names string, name func(int) string) (all uint64) {
	for _, n := range strings.Split(names, "|") {
		i := 0
		for ; i < 16 && name(i) != n; i++ {
		}
		if i == 16 {
			t.Fatalf("no such bit: %q", n)
		}
		all |= 1 << i
	}
	return all
}

func nanos(t *testing.T, s string) int64 {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return int64(d)
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
