package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

// vetoed excludes what ends in digits, which no pattern can say.
func vetoed(path string, _ bool) bool { return regexp.MustCompile(`[0-9]{3,}$`).MatchString(path) }

// TestVeto: comparing directories neither sends nor deletes what only Veto
// excludes, odd names among it.
func TestVeto(t *testing.T) {
	p := newPair(t, Config{Veto: vetoed}, "")
	write(t, p.src, "keep", "d/keep", "d/a123", "d/*456", "d/e\n789", "d000/x", "#111", "- 222", "\xff333", "\xfe/x/444", "\xfe/ok")
	write(t, p.dst, "old", "d/old", "d/far777", "far888/y", "nl\n999", "[x]555", "\xfe444")
	p.mustSend(scheduler.Full)
	wantNames(t, p.dst, "[x]555", "d", "d/far777", "d/keep", "far888", "far888/y", "keep", "nl\n999", "\xfe444", "\xfe", "\xfe/ok", "\xfe/x")
	write(t, p.src, "d/more", "d/b321")
	write(t, p.dst, "d/gone")
	p.mustSend(scheduler.Flat, "d/")
	wantNames(t, p.dst, "[x]555", "d", "d/far777", "d/keep", "d/more", "far888", "far888/y", "keep", "nl\n999", "\xfe444", "\xfe", "\xfe/ok", "\xfe/x")
	write(t, p.src, "new/f", "new/g100")
	p.mustSend(scheduler.Deep, "new", "d")
	wantNames(t, filepath.Join(p.dst, "new"), "f")
}

// TestFullFilters: a full run leaves alone what they name, other runs do not
// delete it unless they are told to.
func TestFullFilters(t *testing.T) {
	p := newPair(t, Config{FullFilters: []string{"- *.php", "- info/*"}}, "")
	write(t, p.src, "a.php", "b.txt", "info/src", "d/x")
	write(t, p.dst, "far.php", "far.txt", "info/far", "d/far.php", "d/far.txt")
	p.mustSend(scheduler.Full)
	wantNames(t, p.dst, "b.txt", "d", "d/far.php", "d/x", "far.php", "info", "info/far")
	write(t, p.dst, "d/far2.txt")
	p.mustSend(scheduler.Flat, "d/", "a.php", "info/src")
	wantNames(t, p.dst, "a.php", "b.txt", "d", "d/far.php", "d/x", "far.php", "info", "info/far", "info/src")
	remove(t, p.src, "a.php", "info")
	write(t, p.src, "d/y")
	p.mustSend(scheduler.Flat, "!a.php", "!info", "d/")
	wantNames(t, p.dst, "b.txt", "d", "d/far.php", "d/x", "d/y", "far.php")
	p.mustSend(scheduler.Deep, "d")
	wantNames(t, p.dst, "b.txt", "d", "d/far.php", "d/x", "d/y", "far.php")
}

func TestDeleteListed(t *testing.T) {
	p := newPair(t, Config{Delete: DeleteListed}, "")
	write(t, p.src, "a", "d/x")
	write(t, p.dst, "far", "d/far", "gone", "gone2/y")
	p.mustSend(scheduler.Full)
	p.mustSend(scheduler.Deep, "d")
	p.mustSend(scheduler.Flat, "d/", "/")
	wantNames(t, p.dst, "a", "d", "d/far", "d/x", "far", "gone", "gone2", "gone2/y")
	p.mustSend(scheduler.Flat, "!gone", "!gone2")
	wantNames(t, p.dst, "a", "d", "d/far", "d/x", "far")
	// A remote that refuses names: nothing else is deleted in their place.
	p.byRules.Store(true)
	write(t, p.src, "b")
	write(t, p.dst, "d/gone", "near")
	p.mustSend(scheduler.Flat, "!far", "!d/gone", "b")
	wantNames(t, p.dst, "a", "b", "d", "d/far", "d/x", "near")
}

func TestDeleteOff(t *testing.T) {
	p := newPair(t, Config{Delete: DeleteOff}, "")
	write(t, p.src, "a", "d/x")
	write(t, p.dst, "far", "d/far")
	p.mustSend(scheduler.Full)
	p.mustSend(scheduler.Deep, "d")
	p.mustSend(scheduler.Flat, "!far", "d/", "a")
	wantNames(t, p.dst, "a", "d", "d/far", "d/x", "far")
}

// TestManyRules: more rules than arguments can hold go in a file, which is gone
// afterwards.
func TestManyRules(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := newPair(t, Config{Veto: vetoed}, "")
	for i := range 4000 {
		write(t, p.src, fmt.Sprintf("d\n/a rather long name, to have many bytes in few files %d", 1000+i))
	}
	write(t, p.src, "keep")
	p.mustSend(scheduler.Full)
	wantNames(t, p.dst, "keep", "d\n")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "fansync-rules-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// wantNames demands that exactly these are below root.
func wantNames(t *testing.T, root string, want ...string) {
	t.Helper()
	got := tree(t, root)
	delete(got, "")
	delete(got, ".")
	for _, name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%q is missing", name)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%q is there", name)
	}
}
