package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fansync/fansync/coalesce"
	"github.com/fansync/fansync/watcher"
)

// spell is what a set of words prints as.
func (w words) spell() string {
	var s []string
	for i, name := range wordNames {
		if w&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, ",")
}

// What the coalescer makes of events is said in words.
func TestWordsOfEntries(t *testing.T) {
	const (
		written = watcher.Modified | watcher.Closed
		arrived = watcher.Created | watcher.Moved
		left    = watcher.Removed | watcher.Moved
		dir     = watcher.Dir
	)
	for name, c := range map[string]struct {
		events []watcher.Event
		want   string
	}{
		"a new file":        {[]watcher.Event{{Path: "f", Kind: watcher.Created}, {Path: "f", Kind: written}}, "f created,written"},
		"an old file":       {[]watcher.Event{{Path: "f", Kind: written}}, "f written"},
		"a mode":            {[]watcher.Event{{Path: "f", Kind: watcher.Attrib}}, "f attrib"},
		"a link":            {[]watcher.Event{{Path: "l", Kind: watcher.Created}}, "l created"},
		"gone":              {[]watcher.Event{{Path: "f", Kind: watcher.Removed}}, "f removed"},
		"came and went":     {[]watcher.Event{{Path: "f", Kind: watcher.Created}, {Path: "f", Kind: watcher.Removed}}, "f created,removed"},
		"went and came":     {[]watcher.Event{{Path: "f", Kind: watcher.Removed}, {Path: "f", Kind: watcher.Created}}, "f created"},
		"a rename":          {[]watcher.Event{{Path: "a", Kind: left}, {Path: "b", From: "a", Kind: arrived}}, "a removed; b moved from a"},
		"moved in":          {[]watcher.Event{{Path: "b", Kind: arrived}}, "b moved"},
		"a directory":       {[]watcher.Event{{Path: "d", Kind: watcher.Created | dir}, {Path: "d/f", Kind: watcher.Created}}, "d created,dir; d/f created"},
		"a directory moved": {[]watcher.Event{{Path: "d", Kind: left | dir}, {Path: "e", From: "d", Kind: arrived | dir}}, "d removed,dir; e moved,subtree,dir from d"},
		"removed with all":  {[]watcher.Event{{Path: "d/g", Kind: written}, {Path: "d/f", Kind: watcher.Removed}, {Path: "d", Kind: watcher.Removed | dir}}, "d removed,dir"},
		"made anew":         {[]watcher.Event{{Path: "d", Kind: watcher.Removed | dir}, {Path: "d", Kind: watcher.Created | dir}}, "d created,subtree,dir"},
		"saved by rename": {[]watcher.Event{
			{Path: ".f.tmp", Kind: watcher.Created}, {Path: ".f.tmp", Kind: written}, {Path: ".f.tmp", Kind: left}, {Path: "f", From: ".f.tmp", Kind: arrived},
		}, ".f.tmp created,written,removed; f moved"},
		"a hidden write": {[]watcher.Event{{Path: "f", Kind: watcher.Hidden}}, "f written,attrib,hidden"},
		"children":       {[]watcher.Event{{Path: "d", Kind: watcher.Children | dir}}, "d children,dir"},
		"nothing said":   {[]watcher.Event{{Path: "f"}}, "f attrib"},
	} {
		co := coalesce.NewCoalescer(coalesce.Config{})
		for i, ev := range c.events {
			ev.Time = int64(i + 1)
			co.Add(ev, int64(i+1))
		}
		var got []string
		for _, e := range co.Flush(100, true).Entries {
			r := entryRecord(e, 0)
			s := r.path + " " + r.words.spell()
			if r.from != "" {
				s += " from " + r.from
			}
			got = append(got, s)
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

// Every kind of event has words of its own.
func TestWordsOfEvents(t *testing.T) {
	seen := map[words]watcher.Kind{}
	for k := watcher.Created; k <= watcher.Hidden; k <<= 1 {
		if k == watcher.Barrier || k == watcher.Gone {
			continue
		}
		w := eventWords(k)
		if other, ok := seen[w]; ok || w.spell() != k.String() {
			t.Errorf("%v is %q, and so is %v", k, w.spell(), other)
		}
		seen[w] = k
	}
}

// A name that is said to be removed and is there was made anew.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{os.Mkdir(filepath.Join(dir, "d"), 0o755), os.WriteFile(filepath.Join(dir, "f"), nil, 0o644), os.Symlink("nowhere", filepath.Join(dir, "l"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"gone": "written,removed,dir", "gone/f": "written,removed,dir", "d": "created,written,subtree,dir", "f": "created,written", "l": "created,written",
	} {
		r := record{path: path, words: wordWritten | wordRemoved | wordDir}
		if r.settle(dir); r.words.spell() != want {
			t.Errorf("%s: %s, want %s", path, r.words.spell(), want)
		}
	}
}
