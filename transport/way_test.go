package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

// passing is an rsync during whose first run the directory "new" is a symlink to
// "other".
const passing = `#!/bin/sh
if mkdir %[1]s/once 2>/dev/null; then
	mv new %[1]s/held
	ln -s other new
	rsync "$@"
	code=$?
	rm new
	mv %[1]s/held new
	exit $code
fi
exec rsync "$@"
`

// A remote that was given a symlink for the new name is not written to through
// it.
func TestMoveOverAPassingSymlink(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "rsync")
	if err := os.WriteFile(program, fmt.Appendf(nil, passing, dir), 0o755); err != nil {
		t.Fatal(err)
	}
	p := newPair(t, Config{Program: program}, "")
	write(t, p.src, "new/f", "other/x")
	write(t, p.dst, "old/f", "other/x")
	res := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Move, From: "old", To: "new", Items: items("new"), MaxDelete: -1}, nil)
	if res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	exists(t, dir, true, "once")
	exists(t, p.dst, true, "other/x", "new/f")
	exists(t, p.dst, false, "other/f")
}
