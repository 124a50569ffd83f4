package measure

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch watches a directory until the test's end.
func watch(t *testing.T, dir string) *Arrivals {
	t.Helper()
	a, err := WatchArrivals(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (a *Arrivals) names(t *testing.T) []string {
	t.Helper()
	seen, err := a.Seen()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(seen))
}

// awaitNames waits until just these names have arrived.
func awaitNames(t *testing.T, a *Arrivals, want ...string) {
	t.Helper()
	await(t, fmt.Sprintf("the arrival of %q", want), func() bool { return slices.Equal(a.names(t), want) })
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestArrivals makes names visible in every way, one after the other. That the
// ones before have not arrived too early shows as names come in order.
func TestArrivals(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	a := watch(t, dir)

	write(t, dir+"/.a.XyZ", "1")
	before := monotonic()
	if err := os.Rename(dir+"/.a.XyZ", dir+"/a"); err != nil {
		t.Fatal(err)
	}
	awaitNames(t, a, "a")
	seen, err := a.Seen()
	if at := seen["a"]; err != nil || at < before || at > monotonic() {
		t.Errorf("stamp %d is not between the rename's %d and now", at, before)
	}

	f, err := os.Create(dir + "/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/c", 0o755); err != nil {
		t.Fatal(err)
	}
	awaitNames(t, a, "a", "c") // b is not whole yet
	before = monotonic()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	awaitNames(t, a, "a", "b", "c")
	if seen, err := a.Seen(); err != nil || seen["b"] < before {
		t.Errorf("b arrived at %d, before it was closed at %d: %v", seen["b"], before, err)
	}

	if err := os.Symlink("a", dir+"/d"); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(dir+"/a", dir+"/e"); err != nil {
		t.Fatal(err)
	}
	write(t, out+"/f", "1")
	if err := os.Rename(out+"/f", dir+"/f"); err != nil {
		t.Fatal(err)
	}
	awaitNames(t, a, "a", "b", "c", "d", "e", "f")

	// A second arrival does not change the first.
	first, err := a.Seen()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/a", "2")
	write(t, dir+"/.hidden", "")
	write(t, dir+"/g", "last")
	awaitNames(t, a, "a", "b", "c", "d", "e", "f", "g")
	if seen, err := a.Seen(); err != nil || seen["a"] != first["a"] {
		t.Errorf("a arrived at %d, now at %d: %v", first["a"], seen["a"], err)
	}
}

// TestArrivalsByRsync: real writers, with and without temporary files.
func TestArrivalsByRsync(t *testing.T) {
	rsync, err := exec.LookPath("rsync")
	if err != nil {
		t.Skip("rsync is not installed: install it to test what it makes visible")
	}
	for _, option := range []string{"--no-inplace", "--inplace"} {
		src, dst := t.TempDir(), t.TempDir()
		var want []string
		for i := range 50 {
			want = append(want, fmt.Sprintf("file%02d", i))
			write(t, filepath.Join(src, want[i]), strings.Repeat("x", i))
		}
		a := watch(t, dst)
		if out, err := exec.Command(rsync, "-a", option, src+"/", dst).CombinedOutput(); err != nil {
			t.Fatalf("rsync %s: %v\n%s", option, err, out)
		}
		awaitNames(t, a, want...)
	}
}

// TestArrivalsTellOfLoss: a full queue is an error, for latencies of names that
// seem never to have come would be wrong.
func TestArrivalsTellOfLoss(t *testing.T) {
	a := &Arrivals{dir: t.TempDir(), seen: map[string]int64{}}
	ev := unix.InotifyEvent{Wd: -1, Mask: unix.IN_Q_OVERFLOW}
	buf := make([]byte, unix.SizeofInotifyEvent)
	copy(buf, (*[unix.SizeofInotifyEvent]byte)(unsafe.Pointer(&ev))[:])
	a.take(buf, 1)
	if _, err := a.Seen(); err == nil || !strings.Contains(err.Error(), "max_queued_events") {
		t.Errorf("an overflow gives the error %v", err)
	}

	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := watch(t, dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	await(t, "the loss of the directory", func() bool { _, err := b.Seen(); return err != nil })
}

func TestWatchErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	write(t, file, "")
	for _, path := range []string{file, file + "/none"} {
		if _, err := WatchArrivals(path); err == nil {
			t.Errorf("%s can be watched", path)
		}
	}
}
