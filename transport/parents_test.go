package transport

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
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
	p.mustSend(scheduler.Deep, "d", "!gone")
	p.same()
	if n := strings.Count(log.String(), "refuses names to delete"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}

// What can be told by name and what cannot end in the same tree.
func TestDeletionsByParents(t *testing.T) {
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
			p.byParents.Store(true)
			write(t, p.src, "d/f", "d/e/f", "new")
			for _, name := range []string{"d/gone", "d/e/gone", "gone", "d/tree/x/y", "tree/z"} {
				write(t, p.dst, name)
			}
			write(t, p.dst, "d/a.keep", "other/f")
			p.mustSend(tc.form, tc.list...)
			for _, it := range items(tc.list...) {
				exists(t, p.dst, !it.Missing, it.Path)
			}
			exists(t, p.dst, true, "d/a.keep")
			// Where nothing was to be deleted, nothing was.
			if !strings.Contains(strings.Join(tc.list, " "), "!gone") {
				exists(t, p.dst, true, "other/f", "gone")
			}
		})
	}
}

func TestDeletionsByParentsKeepTheLimit(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byParents.Store(true)
	write(t, p.src, "d/f")
	write(t, p.dst, "d/f", "d/1", "d/2", "d/3")
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Deep} {
		if res := p.limited(0, form, "!d/1"); res.Class != scheduler.DeleteLimit || res.Skipped != 3 {
			t.Errorf("%s: %+v", form, res)
		}
	}
	exists(t, p.dst, true, "d/1", "d/2", "d/3")
}

// A directory that is none any more is looked at again by the names it held.
func TestDeletionsByParentsOfAReplacedDirectory(t *testing.T) {
	p := newPair(t, Config{}, "")
	p.byParents.Store(true)
	write(t, p.src, "real/x", "d@real", "keep")
	write(t, p.dst, "d/gone", "real/gone")
	res := p.send(scheduler.Flat, "!d/gone", "keep")
	if res.Class != scheduler.Partial || len(res.Failed) != 1 || res.Failed[0].Path != "d/gone" || !res.Failed[0].Vanished {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "d/gone", "real/gone", "keep")
}

func TestComplaintsAboutParents(t *testing.T) {
	batch := scheduler.Batch{Form: scheduler.Deep, Items: items("!d/1", "!d/2", "!e/x", "deep", "one/")}
	for _, tc := range []struct {
		name           string
		failed, want   []string
		deletesSkipped bool
	}{
		{"an item", []string{"deep", "one"}, []string{"deep", "one"}, false},
		{"below a deep item", []string{"deep/a/b"}, []string{"deep/a/b"}, false},
		{"a directory", []string{"d"}, []string{"d/1", "d/2"}, false},
		{"a name", []string{"d/2"}, []string{"d/2"}, false},
		{"below a name", []string{"e/x/y"}, []string{"e/x"}, false},
		{"another entry", []string{"d/other"}, nil, false},
		{"something unknown", []string{"far/away"}, []string{"far/away"}, false},
		{"deletions skipped", []string{"d/other"}, []string{"d/1", "d/2", "e/x"}, true},
	} {
		res := scheduler.Result{Class: scheduler.Partial, Message: "some failed", DeletesSkipped: tc.deletesSkipped}
		for _, path := range tc.failed {
			res.Failed = append(res.Failed, scheduler.PathError{Path: path, Message: "no"})
		}
		res = byParents(batch).translate(res)
		var got []string
		for _, pe := range res.Failed {
			got = append(got, pe.Path)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || (res.Class == scheduler.OK) != (len(tc.want) == 0) {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, res.Class, diff)
		}
	}
}
