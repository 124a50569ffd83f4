package transport

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fansync/fansync/scheduler"
)

// refusing is a program that takes names to delete for an attack, as patched
// receivers do, and otherwise is rsync.
const refusing = `#!/bin/sh
for a; do
	if [ "$a" = --delete-missing-args ] && tr '\0' '\n' | grep -q gone; then
		echo 'invalid file mode 00 for gone [Receiver]' >&2
		echo 'rsync error: protocol incompatibility (code 2) at flist.c(874) [Receiver=3.2.7]' >&2
		exit 2
	fi
done
exec rsync "$@"
`

func TestRemoteThatRefusesNames(t *testing.T) {
	program := filepath.Join(t.TempDir(), "rsync")
	if err := os.WriteFile(program, []byte(refusing), 0o755); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := newPair(t, Config{Program: program, Log: slog.New(slog.NewTextHandler(&log, nil))}, "")
	write(t, p.src, "d/f", "d/new")
	write(t, p.dst, "d/f", "d/gone", "gone/x/y", "e/z")
	p.mustSend(scheduler.Flat, "d/new", "!d/gone")
	exists(t, p.dst, false, "d/gone")
	exists(t, p.dst, true, "d/new", "gone/x/y", "e/z")
	// Known now, and so it is not tried again.
	write(t, p.dst, "d/gone")
	p.mustSend(scheduler.Racy, "d/f", "!d/gone")
	exists(t, p.dst, false, "d/gone")
	p.mustSend(scheduler.Deep, "d", "!gone", "!e")
	p.same()
	if n := strings.Count(log.String(), "refuses names to delete"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}

// What can be told by name and what cannot end in the same tree.
func TestDeletionsByRules(t *testing.T) {
	for _, tc := range []struct {
		name string
		form scheduler.Form
		list []string
	}{
		{"file", scheduler.Flat, []string{"!d/gone"}},
		{"with others", scheduler.Flat, []string{"d/f", "!d/gone", "!d/e/gone", "new"}},
		{"directory and its own", scheduler.Flat, []string{"d", "!d/gone", "!d/e/gone", "new"}},
		{"one level too", scheduler.Flat, []string{"d/", "!d/gone", "!d/e/gone", "new"}},
		{"directory", scheduler.Flat, []string{"!d/tree", "!gone"}},
		{"racy", scheduler.Racy, []string{"!d/gone", "!gone", "d/f"}},
		{"deep", scheduler.Deep, []string{"d", "!gone", "!tree"}},
		{"racy and deep", scheduler.DeepRacy, []string{"!d/tree", "d/e", "!gone"}},
		{"nothing else", scheduler.Deep, []string{"!d/gone"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPair(t, Config{Filters: []string{"P *.keep"}}, "")
			p.byRules.Store(true)
			write(t, p.src, "d/f", "d/e/f", "new")
			for _, name := range []string{"d/gone", "d/e/gone", "gone", "d/tree/x/y", "tree/z"} {
				write(t, p.dst, name)
			}
			write(t, p.dst, "d/a.keep", "other/f", "d/stranger", "d/e/stranger")
			p.mustSend(tc.form, tc.list...)
			for _, it := range items(tc.list...) {
				exists(t, p.dst, !it.Missing, it.Path)
			}
			// Nothing else is touched, but by what is listed with all it has.
			exists(t, p.dst, true, "d/a.keep", "other/f")
			if !slices.ContainsFunc(tc.list, func(name string) bool { return slices.Contains([]string{"d", "d/", "d/e"}, name) }) {
				exists(t, p.dst, true, "d/stranger", "d/e/stranger")
			}
		})
	}
}

func TestDeletionsByRulesKeepTheLimit(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byRules.Store(true)
	write(t, p.src, "d/f")
	write(t, p.dst, "d/f", "d/1", "d/2", "d/3")
	write(t, p.dst, "e/1", "e/2", "e/3")
	write(t, p.src, "e/4")
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Deep} {
		if res := p.limited(0, form, "!d/1"); res.Class != scheduler.DeleteLimit || res.Skipped != 1 {
			t.Errorf("%s: %+v", form, res)
		}
	}
	// Of two runs the first takes from the limit of the second.
	res := p.limited(4, scheduler.Flat, "e/", "!d/1", "!d/2")
	if res.Class != scheduler.DeleteLimit || res.Skipped != 1 || res.Stats.Deleted != 4 {
		t.Errorf("%+v", res)
	}
	// What the first finds is counted in the second too.
	write(t, p.dst, "d/1", "d/2", "e/1", "e/2", "e/3")
	if res = p.limited(1, scheduler.Flat, "e/", "!d/1", "!d/2"); res.Class != scheduler.DeleteLimit || res.Skipped != 4 {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "d/1", "d/2", "d/3")
}

// Every name is one rule, whatever it has in it, and takes nothing with it.
func TestDeletionsByRulesOfOddNames(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byRules.Store(true)
	dirs := []string{"", "a*b/", "[x]/", `\/`, `a\*/?/`, "nl\n/", " /", "**/", "#/"}
	names := []string{"*", "**", "***", "?", "[a-z]", `\`, `\*`, `a\b`, `a\`, "nl\nx", " ", "x ", "- x", "P *", "!", "\xff\xfe", strings.Repeat("n", 255)}
	var gone []string
	for _, dir := range dirs {
		if dir != "" {
			write(t, p.src, dir)
		}
		write(t, p.dst, dir+"stranger", dir+"s", dir+"zzz/f")
		for _, name := range names {
			if slices.Contains(dirs, name+"/") && dir == "" {
				continue
			}
			write(t, p.dst, dir+name)
			gone = append(gone, "!"+dir+name)
		}
	}
	p.mustSend(scheduler.Flat, gone...)
	for _, name := range gone {
		exists(t, p.dst, false, name[1:])
	}
	for _, dir := range dirs {
		exists(t, p.dst, true, dir+"stranger", dir+"s", dir+"zzz/f")
	}
}

// A name that came back is sent, not deleted.
func TestDeletionsByRulesOfWhatCameBack(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byRules.Store(true)
	write(t, p.src, "d/back", "d/dir/f", "d/unasked")
	write(t, p.dst, "d/gone", "d/dir/f")
	p.mustSend(scheduler.Flat, "!d/back", "!d/dir", "!d/gone")
	exists(t, p.dst, true, "d/back", "d/dir/f")
	exists(t, p.dst, false, "d/gone", "d/unasked")
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct{ path, plain, wild string }{
		{"a", "a", "a"}, {`a\b`, `a\b`, `a\\b`}, {`a\*`, `a\\\*`, `a\\\*`}, {"[x]?", `\[x]\?`, `\[x]\?`}, {" #", " #", " #"},
	} {
		if plain, wild := pattern(tc.path, false), pattern(tc.path, true); plain != tc.plain || wild != tc.wild {
			t.Errorf("%q: %q, %q", tc.path, plain, wild)
		}
	}
}

func TestSumOfRuns(t *testing.T) {
	named := []scheduler.PathError{{Path: "a"}}
	ok := scheduler.Result{}
	partial := scheduler.Result{Class: scheduler.Partial, Code: 23, Failed: named}
	nameless := scheduler.Result{Class: scheduler.Partial, Code: 23}
	limit := scheduler.Result{Class: scheduler.DeleteLimit, Code: 25, Skipped: 2, Failed: named}
	down := scheduler.Result{Class: scheduler.Transient, Code: 12}
	for _, tc := range []struct {
		name   string
		a, b   scheduler.Result
		class  scheduler.Class
		failed int
	}{
		{"both well", ok, ok, scheduler.OK, 0},
		{"first partial", partial, ok, scheduler.Partial, 1},
		{"second partial", ok, partial, scheduler.Partial, 1},
		{"both partial", partial, partial, scheduler.Partial, 2},
		{"first nameless", nameless, partial, scheduler.Partial, 0},
		{"second nameless", partial, nameless, scheduler.Partial, 0},
		{"limit, then partial", limit, partial, scheduler.DeleteLimit, 2},
		{"partial, then limit", partial, limit, scheduler.DeleteLimit, 2},
		{"limit, then well", limit, ok, scheduler.DeleteLimit, 1},
		{"partial, then down", partial, down, scheduler.Transient, 1},
	} {
		got := sum(tc.a, tc.b)
		if got.Class != tc.class || len(got.Failed) != tc.failed || got.Skipped != tc.a.Skipped+tc.b.Skipped {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// A directory that is none any more is looked at again by the names it held.
func TestDeletionsByRulesOfAReplacedDirectory(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byRules.Store(true)
	write(t, p.src, "real/x", "d@real", "keep")
	write(t, p.dst, "d/gone", "real/gone")
	res := p.send(scheduler.Flat, "!d/gone", "keep")
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "d/gone" || !res.Failed[0].Vanished {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "d/gone", "real/gone", "keep")
}

func TestComplaintsAboutRules(t *testing.T) {
	batch := scheduler.Batch{Form: scheduler.Deep, Items: items("!d/1", "!d/2", "!e/x", "deep", "one/")}
	for _, tc := range []struct {
		name           string
		failed, want   []string
		deletesSkipped bool
	}{
		{"an item", []string{"deep", "one"}, []string{"deep", "one"}, false},
		{"below a deep item", []string{"deep/a/b"}, []string{"deep/a/b"}, false},
		{"a directory", []string{"d"}, []string{"d", "d/1", "d/2"}, false},
		{"a name", []string{"d/2"}, []string{"d/2"}, false},
		{"below a name", []string{"e/x/y"}, []string{"e/x"}, false},
		{"something unknown", []string{"far/away"}, []string{"far/away"}, false},
		{"deletions skipped", []string{"one"}, []string{"d/1", "d/2", "e/x", "one"}, true},
	} {
		res := scheduler.Result{Class: scheduler.Partial, Message: "some failed", DeletesSkipped: tc.deletesSkipped}
		for _, path := range tc.failed {
			res.Failed = append(res.Failed, scheduler.PathError{Path: path, Message: "no"})
		}
		res = byRules(batch).translate(res)
		var got []string
		for _, pe := range res.Failed {
			got = append(got, pe.Path)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || (res.Class == scheduler.OK) != (len(tc.want) == 0) {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, res.Class, diff)
		}
	}
}
