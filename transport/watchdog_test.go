package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

// A named pipe takes a file's place after rsync has listed the file: rsync
// would wait for ever to open it, whatever its time-out.
func TestPipeInAFilesPlace(t *testing.T) {
	dir := t.TempDir()
	// Stands in for that moment: it opens the pipe as rsync does.
	p := newPair(t, standIn(t, "cat >/dev/null; exec 3<"+filepath.Join(dir, "pipe")), "")
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	res := p.send(scheduler.Flat, "f")
	if res.Class != scheduler.Transient || !strings.Contains(res.Message, "named pipe") {
		t.Errorf("%+v", res)
	}
}

func TestActivity(t *testing.T) {
	before, _, err := activity(os.Getpid())
	if err != nil {
		t.Skip("this process cannot be looked at:", err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	after, _, err := activity(os.Getpid())
	if err != nil || before == after || !strings.Contains(after, "wchar") {
		t.Errorf("before %q, after %q, %v", before, after, err)
	}
}
