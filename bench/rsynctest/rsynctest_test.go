package rsynctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A test goes on only with an rsync that deletes what it is told.
func TestNeedNames(t *testing.T) {
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Skip("rsync is not installed")
	}
	NeedNames(t)
	dst := t.TempDir()
	if err := os.WriteFile(filepath.Join(dst, "gone"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `echo ./gone | rsync -a --delete-missing-args --files-from=- "$1/" "$2/"`, "sh", t.TempDir(), dst)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dst, "gone")); !os.IsNotExist(err) {
		t.Errorf("gone is still there: %v", err)
	}
}
