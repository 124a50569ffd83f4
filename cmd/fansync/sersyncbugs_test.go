package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/internal/sersync"
	"github.com/fansync/fansync/scheduler"
)

// The tests below are named after what sersync 2.5.4 gets wrong.

// hostile are names that a shell, a pattern or an option parser trips over.
var hostile = []string{
	"b`touch pw2`", `dq";touch pw4;"`, `bs\$(touch pw8)`, "$(touch pw5)", ";touch pw6", "|touch pw7", "&touch pw9",
	"new\nline", "-rf", "--exclude=zzz", "*", "?", "br[1]", `trail\`, `"`, "`", `\$`, "'", " ", "# x", "\xff\xfe", "%s",
}

// noneRan demands that nothing was executed.
func noneRan(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range append(dirs, ".") {
		ran, err := filepath.Glob(filepath.Join(dir, "pw[0-9]"))
		if err != nil || len(ran) > 0 {
			t.Errorf("a name was executed: %v %v", ran, err)
		}
	}
}

func started(t *testing.T, names ...string) *dropIn {
	t.Helper()
	d := newDropIn(t, shippedXML(t))
	for _, name := range names {
		putText(t, name, d.src, name)
	}
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// 1: names reached a shell.
func TestSersyncShellInjection(t *testing.T) {
	d := started(t)
	for _, name := range hostile {
		putText(t, name, d.src, name)
		putText(t, name, d.src, "d "+name, name)
	}
	d.equal(t)
	for _, name := range hostile {
		must(t, os.Remove(filepath.Join(d.src, name)))
		must(t, os.Rename(filepath.Join(d.src, "d "+name), filepath.Join(d.src, "e "+name)))
	}
	d.equal(t)
	noneRan(t, d.src, d.dst)
}

// 2 and 3: an unquoted * in the command line, and patterns taken from names,
// made a deletion hit other files.
func TestSersyncDeletesByPattern(t *testing.T) {
	d := newDropIn(t, shippedXML(t))
	names := []string{"--exclude=zzz", "*", "br[1]", "br1", "x?", "xy", `a\*`, "victim"}
	for _, name := range names {
		putText(t, name, d.src, name)
	}
	for _, theirs := range []string{"only here", "br1x"} {
		putText(t, "theirs", d.dst, theirs)
	}
	d.start(t, sersync.Options{}) // without -r, so that what only the remote has must stay
	d.flush(t)
	for _, name := range []string{"*", "br[1]", "x?", "victim", `a\*`} {
		must(t, os.Remove(filepath.Join(d.src, name)))
	}
	d.flush(t)
	wantDir(t, d.dst, "--exclude=zzz", "br1", "br1x", "only here", "xy")
}

// wantDir demands that a directory holds these names.
func wantDir(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

// 5: renames of directories that crashed it.
func TestSersyncCrashes(t *testing.T) {
	d := started(t, "a/x", "c0/y", "ex")
	for range 5 {
		must(t, os.Rename(filepath.Join(d.src, "a"), filepath.Join(d.src, "b")))
		must(t, os.Rename(filepath.Join(d.src, "b"), filepath.Join(d.src, "a")))
		putText(t, "more", d.src, "a", "z")
	}
	for i := range 5 {
		must(t, os.Rename(filepath.Join(d.src, fmt.Sprint("c", i)), filepath.Join(d.src, fmt.Sprint("c", i+1))))
		putText(t, "write", d.src, fmt.Sprint("c", i+1), fmt.Sprint("w", i))
	}
	must(t, os.MkdirAll(filepath.Join(d.src, "a1/b1"), 0o755))
	must(t, os.Chmod(filepath.Join(d.src, "a1/b1"), 0o700))
	must(t, os.Chmod(filepath.Join(d.src, "ex"), 0o700))
	putText(t, "later", d.src, "a1/b1/in")
	d.equal(t)
}

// 6 and 7: what was removed or replaced while it was being sent came back, or
// the old version stayed.
func TestSersyncInFlight(t *testing.T) {
	d := newDropIn(t, attribute(t, shippedXML(t), "commonParams", "params", "-artuz --bwlimit=20m --no-compress"))
	putText(t, "x", d.src, "stays")
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	content := strings.Repeat("version 1", 1<<20)
	for _, name := range []string{"removed", "renamed", "replaced"} {
		putText(t, content, d.src, name)
	}
	waitFor(t, "a transfer", func() bool { tmp, _ := filepath.Glob(filepath.Join(d.dst, ".re*.??????")); return len(tmp) > 0 })
	must(t, os.Remove(filepath.Join(d.src, "removed")))
	must(t, os.Rename(filepath.Join(d.src, "renamed"), filepath.Join(d.src, "renamed2")))
	putText(t, strings.Repeat("version 2", 1<<20), d.src, "new")
	must(t, os.Rename(filepath.Join(d.src, "new"), filepath.Join(d.src, "replaced")))
	d.equal(t)
}

// 8 and 9: a rewrite in the same second at the same size, and an older file put
// in place of a newer one, never arrived.
func TestSersyncRewrites(t *testing.T) {
	d := started(t, "f", "g", "old/h")
	for i := range 8 {
		putText(t, fmt.Sprint("v", i), d.src, "f")
		d.equal(t)
	}
	past := time.Unix(1e9, 0)
	putText(t, "restored", d.src, "g")
	must(t, os.Chtimes(filepath.Join(d.src, "g"), past, past))
	d.equal(t)
	must(t, os.Chtimes(filepath.Join(d.src, "old/h"), past, past))
	must(t, os.Rename(filepath.Join(d.src, "old/h"), filepath.Join(d.src, "f")))
	d.equal(t)
}

// 10: a file in the place of a directory, and a directory in the place of one
// that was moved away.
func TestSersyncReplacedDirectories(t *testing.T) {
	d := started(t, "d/1", "e/1", "e/2/3")
	must(t, os.RemoveAll(filepath.Join(d.src, "d")))
	putText(t, "file now", d.src, "d")
	must(t, os.Rename(filepath.Join(d.src, "e"), filepath.Join(d.src, "away")))
	putText(t, "9", d.src, "e/9")
	d.equal(t)
	wantDir(t, filepath.Join(d.dst, "e"), "9")
}

// 11: what changed during -r was lost.
func TestSersyncChangesDuringFirstRun(t *testing.T) {
	d := newDropIn(t, attribute(t, shippedXML(t), "commonParams", "params", "-artuz --bwlimit=20m --no-compress"))
	putText(t, strings.Repeat("long", 4<<20), d.src, "big")
	d.start(t, sersync.Options{Compare: true})
	waitFor(t, "the first run", func() bool { tmp, _ := filepath.Glob(filepath.Join(d.dst, ".big.??????")); return len(tmp) > 0 })
	putText(t, "during", d.src, "new/file")
	d.equal(t)
}

// 12: a root that is missing at the start, or goes and comes back.
func TestSersyncRootComesAndGoes(t *testing.T) {
	d := newDropIn(t, shippedXML(t))
	must(t, os.Remove(d.src))
	d.start(t, sersync.Options{Compare: true})
	waitFor(t, "a report", func() bool { return strings.Contains(d.log.String(), "is missing; mount it") })
	putText(t, "x", d.src, "f")
	mirrortest.WaitEqual(t, d.src, d.dst, patience, mirrortest.DiffOptions{})
	must(t, os.Rename(d.src, d.src+".away"))
	waitFor(t, "a stop", func() bool { return d.Status().Roots[0].Problem != "" })
	must(t, os.Rename(d.src+".away", d.src))
	putText(t, "y", d.src, "g")
	mirrortest.WaitEqual(t, d.src, d.dst, patience, mirrortest.DiffOptions{})
}

// 14: partial failures counted as success, and a blank in the watched path led
// rsync into another directory.
func TestSersyncPartialFailure(t *testing.T) {
	mirrortest.NeedRoot(t)
	d := newDropIn(t, shippedXML(t))
	// What dash would have made of "src b".
	other := strings.TrimSuffix(d.src, " b")
	putText(t, "other", other, "wrong")
	putText(t, "x", d.src, "good")
	putText(t, "in the way", d.dst, "d", "kept", "x")
	blocked := filepath.Join(d.dst, "d")
	mirrortest.Mount(t, blocked, blocked, "", unix.MS_BIND, "")
	putText(t, "a file, where the remote cannot take one", d.src, "d")
	d.start(t, sersync.Options{Compare: true})
	waitFor(t, "the failure in the status", func() bool {
		r := d.Status().Roots[0].Remotes
		return len(r) > 0 && r[0].Failing == 1 && r[0].Failures[0].Path == "d"
	})
	mirrortest.Unmount(t, blocked)
	d.equal(t)
	if _, err := os.Stat(filepath.Join(d.dst, "wrong")); err == nil {
		t.Error("another directory was mirrored")
	}
}

// 15: one rsync for each file, and a slow remote that holds up the others.
func TestSersyncManyFilesAndSlowRemote(t *testing.T) {
	// Nobody listens at the second remote.
	d := newDropIn(t, strings.Replace(shippedXML(t), "</localpath>", `<remote ip="127.0.0.3" name="m"/></localpath>`, 1))
	d.start(t, sersync.Options{Compare: true})
	inTime := func() { mirrortest.WaitEqual(t, d.src, d.dst, patience, mirrortest.DiffOptions{}) }
	putText(t, "x", d.src, "f")
	inTime()
	d.mu.Lock()
	before := d.runs
	d.mu.Unlock()
	for i := range 2000 {
		putText(t, "small", d.src, fmt.Sprintf("d%d", i%20), fmt.Sprint(i))
	}
	inTime()
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.runs - before; n > 100 {
		t.Errorf("%d runs for 2000 files", n)
	}
}

// 16: it set the machine's limits and a umask of 0.
func TestSersyncLeavesTheMachineAlone(t *testing.T) {
	limits := func() (all string) {
		for _, file := range sersyncLimits {
			text, err := os.ReadFile(file)
			must(t, err)
			all += string(text)
		}
		mask := syscall.Umask(0)
		syscall.Umask(mask)
		return all + fmt.Sprintf("umask %o", mask)
	}
	before := limits()
	started(t, "f")
	if after := limits(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// 17: one meaning of the filter for events, new directories and full runs, and
// several directories in one file.
func TestSersyncFilterAndDirectories(t *testing.T) {
	xml := attribute(t, shippedXML(t), "filter", "start", "true")
	xml = strings.Replace(xml, `"^static/*"`, `"^/a/f$"`, 1)
	second := t.TempDir()
	xml = strings.Replace(xml, "</localpath>", fmt.Sprintf(`</localpath><localpath watch="%s"><remote ip="127.0.0.1" name="m/two"/></localpath>`, second), 1)
	d := newDropIn(t, xml)
	putText(t, "x", d.src, "old.svn/x")
	putText(t, "x", d.src, "info/x")
	putText(t, "x", d.src, "sub/info/x")
	putText(t, "2", second, "in the second")
	putText(t, "theirs", d.dst, "info/theirs")
	d.start(t, sersync.Options{Compare: false})
	d.flush(t)
	putText(t, "x", d.src, "new/dir/y.svn")
	putText(t, "x", d.src, "new/dir/y")
	putText(t, "x", d.src, "a/f")
	putText(t, "x", d.src, "a/g")
	d.flush(t)
	wantDir(t, d.dst, "a", "info", "new", "sub", "two")
	wantDir(t, filepath.Join(d.dst, "info"), "theirs")
	wantDir(t, filepath.Join(d.dst, "a"), "g")
	wantDir(t, filepath.Join(d.dst, "new/dir"), "y")
	wantDir(t, filepath.Join(d.dst, "sub/info"), "x")
	wantDir(t, filepath.Join(d.dst, "two"), "in the second")
}

// 14: with ssh and auth nothing could be mirrored, and the port of ssh could not
// be chosen.
func TestSersyncSSH(t *testing.T) {
	sshd := mirrortest.StartSSHD(t)
	d := newDropIn(t, shippedXML(t))
	user, _, _ := strings.Cut(sshd.Dest(""), "@")
	// The port comes from <userDefinedPort>, all else of the command from -e.
	words := strings.Fields(sshd.SSH())
	for i, w := range words {
		if w == "-p" {
			words = append(words[:i:i], words[i+2:]...)
			break
		}
	}
	for _, set := range [][3]string{
		{"ssh", "start", "true"}, {"auth", "users", user}, {"userDefinedPort", "port", fmt.Sprint(sshd.Port())},
		{"commonParams", "params", "-artuz -e '" + strings.Join(words, " ") + "'"}, {"remote", "name", d.dst},
	} {
		d.xml = attribute(t, d.xml, set[0], set[1], set[2])
	}
	putText(t, "x", d.src, "before")
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	for _, name := range hostile {
		putText(t, "x", d.src, name)
	}
	d.equal(t)
	noneRan(t, d.src, d.dst)
}

// Bytes of a path pass through, whatever the header of the file says.
func TestSersyncPathInGBK(t *testing.T) {
	d := newDropIn(t, shippedXML(t))
	gbk := d.src + " \xd6\xd0\xce\xc4"
	must(t, os.Rename(d.src, gbk))
	d.xml = strings.Replace(d.xml, d.src, gbk, 1)
	d.src = gbk
	putText(t, "x", d.src, "before")
	d.start(t, sersync.Options{Compare: true})
	d.equal(t)
	putText(t, "x", d.src, "live")
	d.equal(t)
}

// Parameters without -a mirror what they say and no more, and that is no failure.
func TestSersyncWithoutArchive(t *testing.T) {
	d := newDropIn(t, attribute(t, shippedXML(t), "commonParams", "params", "-rtz --exclude=*.bak"))
	putText(t, "x", d.src, "a", "f")
	d.start(t, sersync.Options{Compare: true})
	d.flush(t)
	must(t, os.Symlink("f", filepath.Join(d.src, "a", "link")))
	must(t, syscall.Mkfifo(filepath.Join(d.src, "a", "pipe"), 0o600))
	putText(t, "x", d.src, "a", "g")
	putText(t, "x", d.src, "a", "h.bak")
	must(t, os.Chmod(filepath.Join(d.src, "a", "f"), 0o600))
	d.flush(t)
	wantDir(t, filepath.Join(d.dst, "a"), "f", "g")
	info, err := os.Stat(filepath.Join(d.dst, "a", "f"))
	must(t, err)
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
	if st := d.Status().Roots[0].Remotes[0]; st.Failing > 0 || st.State != scheduler.Live {
		t.Errorf("%+v", st)
	}
}
