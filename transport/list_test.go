package transport

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

type closer struct {
	io.Writer
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestListLines(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "d/f", "d/e/", "file", "l@d")
	for _, tc := range []struct {
		form   scheduler.Form
		list   []string
		want   string
		failed string
	}{
		{scheduler.Flat, []string{"file", "d/", "!d/gone", "d/f", "/"}, "./ ./d/ ./d/f ./d/gone ./file", ""},
		{scheduler.Racy, []string{"#x", "-y", ";z"}, "./#x ./-y ./;z", ""},
		{scheduler.Flat, []string{"file/", "file/x", "gone/", "!gone2/", "gone/x", "l/", "l/f", "l"}, "./gone2/ ./l", "file file/x gone gone/x l l/f"},
		{scheduler.Deep, []string{"d/", "l", "file"}, "./d ./file ./l", ""},
		{scheduler.DeepRacy, []string{""}, "./", ""},
		{scheduler.Full, []string{"ignored"}, "./", ""},
	} {
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		w := &closer{Writer: &buf}
		l := &list{root: root, batch: scheduler.Batch{Form: tc.form, Items: items(tc.list...)}}
		if err := l.feed(w); err != nil || !w.closed {
			t.Errorf("%s %q: closed %v, %v", tc.form, tc.list, w.closed, err)
		}
		var failed []string
		for _, f := range l.failed {
			failed = append(failed, f.Path)
		}
		got := strings.Join(strings.Split(strings.TrimSuffix(buf.String(), "\x00"), "\x00"), " ")
		if got != tc.want || strings.Join(failed, " ") != tc.failed {
			t.Errorf("%s %q: listed %q, failed %q; want %q, %q", tc.form, tc.list, got, failed, tc.want, tc.failed)
		}
		root.Close()
	}
}

func TestIsRealDir(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "d/e/f", "l@d", "abs@"+dir+"/d", "d/up@..", "loop@loop")
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for path, want := range map[string]bool{"d": true, "d/e": true, "d/e/f": false, "l": false, "l/e": false, "abs/e": false,
		"d/up": false, "d/up/d": false, "loop": false, "loop/x": false, "gone": false, "gone/x": false, "d/e/f/g": false} {
		if got := isRealDir(root, path); got != want {
			t.Errorf("isRealDir(%q) = %v", path, got)
		}
		if got := isRealDirByParts(root, path); got != want {
			t.Errorf("isRealDirByParts(%q) = %v", path, got)
		}
	}
}
