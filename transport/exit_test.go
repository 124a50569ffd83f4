package transport

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/fansync/fansync/scheduler"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestExit reads what real rsyncs said and checks what is made of it. The
// source is /src in all of them.
func TestExit(t *testing.T) {
	files, err := filepath.Glob("testdata/exit/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := exitCase(t, ar)
			want := ""
			if len(ar.Files) > 2 {
				want = string(ar.Files[2].Data)
			}
			if *update {
				ar.Files = append(ar.Files[:2:2], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func exitCase(t *testing.T, ar *txtar.Archive) string {
	t.Helper()
	var d Dest
	b := scheduler.Batch{MaxDelete: -1}
	o := outcome{err: &transcript{}}
	for line := range strings.Lines(string(ar.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch key {
		case "dest":
			d, err = ParseDest(value)
		case "form":
			for f := scheduler.Flat; f <= scheduler.Full; f++ {
				if f.String() == value {
					b.Form = f
				}
			}
		case "items":
			b.Items = parseItems(t, value)
		case "code":
			o.code, err = strconv.Atoi(value)
		default:
			t.Fatalf("unknown key %q", key)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out := &stdout{}
	out.read(strings.NewReader(string(ar.Files[0].Data)))
	o.err.read(strings.NewReader(string(ar.Files[1].Data)))
	o.out, o.stats = &out.transcript, out.stats
	return formatResult(o.result(d, newResolver(nil, "/src", d, b)))
}

// parseItems reads words: -p is missing, p/ has its children, "p" is quoted.
func parseItems(t *testing.T, s string) []scheduler.Item {
	t.Helper()
	var items []scheduler.Item
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var word string
		if s[0] == '"' {
			q, err := strconv.QuotedPrefix(s)
			if err != nil {
				t.Fatal(err)
			}
			s = s[len(q):]
			if word, err = strconv.Unquote(q); err != nil {
				t.Fatal(err)
			}
		} else {
			word, s, _ = strings.Cut(s, " ")
		}
		var it scheduler.Item
		word, it.Missing = strings.CutPrefix(word, "-")
		it.Path, it.Children = strings.CutSuffix(word, "/")
		items = append(items, it)
	}
	if !slices.IsSortedFunc(items, func(a, b scheduler.Item) int { return strings.Compare(a.Path, b.Path) }) {
		t.Fatalf("items are not sorted: %v", items)
	}
	return items
}

func formatResult(r scheduler.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s code=%d\n%s\n", r.Class, r.Code, r.Message)
	if r.Skipped > 0 || r.DeletesSkipped {
		fmt.Fprintf(&b, "skipped=%d deletes-skipped=%v\n", r.Skipped, r.DeletesSkipped)
	}
	if r.Stats != (scheduler.Stats{}) {
		fmt.Fprintf(&b, "%+v\n", r.Stats)
	}
	for _, f := range r.Failed {
		fmt.Fprintf(&b, "%q vanished=%v %q\n", f.Path, f.Vanished, f.Message)
	}
	return b.String()
}
