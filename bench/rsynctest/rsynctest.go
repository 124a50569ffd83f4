// Package rsynctest tells tests what the rsync of this machine can do.
package rsynctest

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NeedNames skips a test in which rsync is told names to delete if its receiver
// takes these for an attack: 3.4.3 does (RsyncProject/rsync#910), and older ones
// with the security patches of that time.
func NeedNames(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("rsync")
	if err != nil {
		return // the test says itself whether it needs one
	}
	cmd := exec.CommandContext(t.Context(), program, "-a", "--delete-missing-args", "--files-from=-", t.TempDir(), filepath.Join(t.TempDir(), "to"))
	cmd.Stdin = strings.NewReader("./gone\n")
	if out, err := cmd.CombinedOutput(); err != nil && bytes.Contains(out, []byte("invalid file mode")) {
		t.Skip("this rsync refuses names to delete: install 3.5.0 or newer")
	}
}
