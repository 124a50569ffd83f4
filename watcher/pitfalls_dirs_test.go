package watcher

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The handle of a directory leads to its new path for what happened under the
// old one.
func TestPitfall14DirectoryRenamedWhileEventsWait(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/a/sub")
		s := onStage(t, root, b)
		ev := s.merged(func() {
			write(t, s.path("a/sub/f"), "1")
			rename(t, s.path("a"), s.path("b"))
			write(t, s.path("b/sub/g"), "1")
		})
		// f may be told of under the old or the new name; b covers both.
		want(t, ev, "b", Created|Moved|Dir|Subtree)
		want(t, ev, "b/sub/g", Created)
	})
}

// A renamed directory takes the known paths of all below it along.
func TestPitfall15KnownPathsOfARenamedDirectory(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/a/sub/deep")
		s := onStage(t, root, b)
		want(t, s.live(func() { write(t, s.path("a/sub/deep/known"), "1") }), "a/sub/deep/known", Created)
		s.live(func() { rename(t, s.path("a"), s.path("b")) })
		ev := s.live(func() { write(t, s.path("b/sub/deep/f"), "1") })
		want(t, ev, "b/sub/deep/f", Created|Modified|Closed)
		wantNone(t, ev, "a/sub/deep/f")
		// The kernel folds the third rename into the first record, so that
		// the last one read names a place that is left again.
		ev = s.merged(func() {
			rename(t, s.path("b"), s.path("c"))
			rename(t, s.path("c"), s.path("b"))
			rename(t, s.path("b"), s.path("c"))
		})
		want(t, ev, "c", Created|Moved|Dir|Subtree)
		want(t, s.live(func() { write(t, s.path("c/sub/g"), "2") }), "c/sub/g", Created|Modified|Closed)
	})
}

// The path of a deleted directory that somebody holds open ends in
// " (deleted)", which may be the name of another.
func TestPitfall16DeletedDirectoryHeldOpen(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		write(t, root+"/d/f", "1")
		mkdir(t, root+"/d (deleted)")
		s := onStage(t, root, b)
		held, err := os.Open(s.path("d"))
		ok(t, err)
		defer held.Close()
		ev := s.live(func() {
			remove(t, s.path("d"))
			write(t, s.path("d (deleted)/g"), "1")
		})
		want(t, ev, "d", Removed|Dir)
		want(t, ev, "d (deleted)/g", Created|Closed)
		wantNone(t, ev, "d (deleted)/f")
	})
}

// A directory moved in comes with all its content and one record, one moved
// out goes so; neighbours of the root are in the stream too.
func TestPitfall21MovedInAndOut(t *testing.T) {
	scripts(t, "move-in-dir", "move-out-dir", "move-out-in", "neighbours")
}

// The Watcher sets no ignore mark: such a mark hides moves between what is
// ignored and what is not. Of inotify there is no such thing.
func TestPitfall24NoIgnoreMarks(t *testing.T) {
	scripts(t, "ignored-move")
	t.Run("none is set", func(t *testing.T) {
		eachFanotifyPlace(t, func(t *testing.T, root string) {
			mkdir(t, root+"/d.ign")
			mkdir(t, root+"/k")
			p := watch(t, Config{Root: root, Backend: BackendFanotify, Ignore: func(path string, _ bool) bool {
				return strings.HasSuffix(path, ".ign")
			}})
			write(t, p.path("d.ign/f"), "1")
			write(t, p.path("k/f"), "1")
			wantNone(t, p.sync(), "d.ign/f")
			marks := fdinfo(t, p.w.reader.group, "fanotify ")
			if len(marks) != 1 || !strings.HasPrefix(marks[0], "fanotify sdev:") ||
				!strings.Contains(marks[0], " mflags:0 ") || !strings.Contains(marks[0], " ignored_mask:0") {
				t.Errorf("want one mark on the filesystem that ignores nothing; there are %q", marks)
			}
		})
	})
}

// fdinfo lists the lines that the kernel has on a descriptor and that begin
// with a word.
func fdinfo(t *testing.T, fd int, word string) (lines []string) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprint("/proc/self/fdinfo/", fd))
	ok(t, err)
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, word) && !strings.HasPrefix(line, word+"flags:") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Nothing is left out for who did it: this process writes all that the tests
// see. It need not be, for a mirror inside its source is refused elsewhere, and
// reading, which a mirror does all the time, makes no events.
func TestPitfall25OwnReading(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		write(t, root+"/d/f", "1")
		s := onStage(t, root, b)
		ev := s.live(func() {
			_, err := os.ReadFile(s.path("d/f"))
			ok(t, err)
			_, err = os.ReadDir(s.path("d"))
			ok(t, err)
			_, err = os.Lstat(s.path("d/f"))
			ok(t, err)
		})
		if len(ev) > 0 {
			t.Error(ev)
		}
		want(t, s.live(func() { write(t, s.path("d/f"), "2") }), "d/f", Modified|Closed)
	})
}

// What happens to directories themselves is told, under their own names.
func TestPitfall26DirectoriesThemselves(t *testing.T) {
	scripts(t, "attrib-root", "remove")
	t.Run("all of it", func(t *testing.T) {
		eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
			s := onStage(t, root, b)
			want(t, s.live(func() { mkdir(t, s.path("d")) }), "d", Created|Dir)
			want(t, s.live(func() { ok(t, os.Chmod(s.path("d"), 0o700)) }), "d", Attrib|Dir)
			want(t, s.live(func() { rename(t, s.path("d"), s.path("e")) }), "e", Created|Moved|Dir|Subtree)
			want(t, s.live(func() { remove(t, s.path("e")) }), "e", Removed|Dir)
		})
	})
}

// Neither a change of inode flags nor one of the access time makes a record:
// they are not promised. They disturb nothing.
func TestPitfall32FlagsAndAccessTimes(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		write(t, root+"/f", "1")
		s := onStage(t, root, b)
		ev := s.live(func() {
			times := []unix.Timespec{{Sec: 1e9}, {Nsec: unix.UTIME_OMIT}}
			ok(t, unix.UtimesNanoAt(unix.AT_FDCWD, s.path("f"), times, 0))
			f, err := os.Open(s.path("f"))
			ok(t, err)
			defer f.Close()
			const noDump = 0x40
			if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, noDump); err != nil {
				t.Log("flags cannot be set here:", err)
			}
		})
		for path := range kinds(ev) {
			if path != "f" {
				t.Error("told:", ev)
			}
		}
		want(t, s.live(func() { write(t, s.path("f"), "2") }), "f", Modified|Closed)
	})
}

// The kernel tells that a directory was deleted when its last user lets go:
// its name may be another's by then.
func TestPitfall33SelfDeleteComesLate(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		mkdir(t, root+"/d")
		s := onStage(t, root, b)
		held, err := os.Open(s.path("d"))
		ok(t, err)
		ev := s.live(func() {
			remove(t, s.path("d"))
			mkdir(t, s.path("d"))
			write(t, s.path("d/f"), "1")
		})
		want(t, ev, "d/f", Created)
		ok(t, held.Close())
		s.sync()
		want(t, s.live(func() { write(t, s.path("d/g"), "1") }), "d/g", Created|Closed)
	})
}

// ext4 gives the number of a deleted inode to the next one made; others do not.
func TestPitfall34InodeNumbersComeBack(t *testing.T) {
	eachPlace(t, everywhere, func(t *testing.T, root string, b Backend) {
		p := watch(t, Config{Root: root, Backend: b})
		reused := 0
		var last uint64
		for i := range 50 {
			in, out := p.path(fmt.Sprint("in", i)), p.path(fmt.Sprint("../out", i))
			mkdir(t, in)
			write(t, in+"/f", "1")
			want(t, p.sync(), fmt.Sprint("in", i, "/f"), Created)
			var st unix.Stat_t
			ok(t, unix.Lstat(in, &st))
			if st.Ino == last {
				reused++
			}
			remove(t, in)
			p.sync()
			mkdir(t, out)
			write(t, out+"/f", "1")
			if ev := p.sync(); len(ev) > 0 {
				t.Fatal("outside taken for inside:", ev)
			}
			ok(t, unix.Lstat(out, &st))
			last = st.Ino
			remove(t, out)
		}
		t.Log("inode numbers used again:", reused)
		if reused == 0 && strings.HasPrefix(t.Name(), "TestPitfall34InodeNumbersComeBack/ext4") {
			t.Error("none; the test shows nothing")
		}
	})
}
