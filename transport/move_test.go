package transport

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fansync/fansync/internal/mirrortest"
	"github.com/fansync/fansync/scheduler"
)

// fill makes n files of size bytes that nothing can compress, and a symlink, a
// pipe and an empty directory, below dir. It returns the sum of the sizes.
func fill(t *testing.T, dir string, n, size int) int64 {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), uint64(size)))
	data := make([]byte, size)
	for i := range n {
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		path := filepath.Join(dir, fmt.Sprintf("d%d", i/50), fmt.Sprintf("f%d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "link@d0/f0", "empty/")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return int64(n * size)
}

func (p *pair) rename(from, to string) {
	p.t.Helper()
	if err := os.Rename(filepath.Join(p.src, from), filepath.Join(p.src, to)); err != nil {
		p.t.Fatal(err)
	}
}

// move sends what was renamed; names are the Items, below to or that itself.
func (p *pair) move(form scheduler.Form, from, to string, names ...string) scheduler.Result {
	p.t.Helper()
	res := p.Send(p.t.Context(), scheduler.Batch{Form: form, From: from, To: to, Items: items(names...), MaxDelete: -1}, nil)
	if res.Class != scheduler.OK {
		p.t.Fatalf("%s of %q from %q: %+v", form, to, from, res)
	}
	return res
}

func inode(t *testing.T, path string) (ino, links uint64) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	sys := st.Sys().(*syscall.Stat_t)
	return sys.Ino, uint64(sys.Nlink)
}

// eachRemote runs a test with pairs whose remotes are reached in all ways.
func eachRemote(t *testing.T, test func(t *testing.T, p *pair)) {
	nearRemotes(t, test)
	sshRemotes(t, test)
}

func nearRemotes(t *testing.T, test func(t *testing.T, p *pair)) {
	t.Run("local", func(t *testing.T) { test(t, newPair(t, Config{}, "")) })
	for _, chroot := range []bool{false, true} {
		t.Run(fmt.Sprintf("daemon, chroot %v", chroot), func(t *testing.T) {
			dir := t.TempDir()
			d := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": dir}, Chroot: chroot})
			for _, sub := range []string{"", "below it"} {
				remove(t, dir, "below it")
				if sub != "" {
					write(t, dir, "below it/")
				}
				dest, err := ParseDest(d.URL("m", sub))
				if err != nil {
					t.Fatal(err)
				}
				p := newPair(t, Config{Dest: dest}, filepath.Join(dir, sub))
				test(t, p)
				remove(t, dir, "p", "q", "a", "b", "c")
			}
		})
	}
}

// sshRemotes has an absolute destination, and one that begins at the login's home.
func sshRemotes(t *testing.T, test func(t *testing.T, p *pair)) {
	t.Run("ssh", func(t *testing.T) {
		s := newSSH(t)
		dst := t.TempDir()
		for _, path := range []string{dst, strings.Repeat("../", 12) + dst[1:]} {
			to := Dest{Kind: SSH, User: "root", Host: "127.0.0.1", Path: path}
			p := newPair(t, Config{Dest: to, SSH: s.command("user", "known")}, dst)
			test(t, p)
			remove(t, dst, "p", "q", "a", "b", "c")
		}
	})
}

func TestMovedDirectory(t *testing.T) {
	eachRemote(t, func(t *testing.T, p *pair) {
		write(t, p.src, "p/stays")
		size := fill(t, filepath.Join(p.src, "p/old dir"), 200, 10_000)
		p.mustSend(scheduler.Deep, "p")
		write(t, p.src, "q/é/")
		p.rename("p/old dir", "q/é/new\ndir")
		res := p.move(scheduler.Move, "p/old dir", "q/é/new\ndir", "q/é/new\ndir")
		if res.Stats.Literal != 0 || res.Stats.Wire > size/50 {
			t.Errorf("%d bytes on the wire for %d bytes in files: %+v", res.Stats.Wire, size, res.Stats)
		}
		one, links := inode(t, filepath.Join(p.dst, "q/é/new\ndir/d0/f0"))
		two, _ := inode(t, filepath.Join(p.dst, "p/old dir/d0/f0"))
		if one != two || links != 2 {
			t.Errorf("inode %d with %d links, and %d under the old name", one, links, two)
		}
		for _, name := range []string{"link", "pipe"} {
			if _, links := inode(t, filepath.Join(p.dst, "q/é/new\ndir", name)); links != 1 {
				t.Errorf("%s has %d links", name, links)
			}
		}
		p.mustSend(scheduler.Flat, "p", "!p/old dir")
		p.same()
	})
}

// What has come to the new name before, with the sizes and times of what moved,
// is compared.
func TestMoveOntoSomething(t *testing.T) {
	nearRemotes(t, func(t *testing.T, p *pair) {
		write(t, p.src, "a/f=old", "a/g=old", "b/f=new", "b/extra")
		for _, name := range []string{"a/f", "a/g", "b/f"} {
			age(t, filepath.Join(p.src, name))
		}
		p.mustSend(scheduler.Deep, "a", "b")
		remove(t, p.src, "b")
		p.rename("a", "b")
		p.move(scheduler.Move, "a", "b", "b")
		p.mustSend(scheduler.Flat, "!a")
		p.same()
	})
}

// In the racy form nothing is taken for granted, though nothing is sent twice.
func TestRacyMove(t *testing.T) {
	nearRemotes(t, func(t *testing.T, p *pair) {
		size := fill(t, filepath.Join(p.src, "a"), 20, 100_000)
		p.mustSend(scheduler.Deep, "a")
		p.rename("a", "b")
		data, err := os.ReadFile(filepath.Join(p.src, "b/d0/f7"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(filepath.Join(p.src, "b/d0/f7"))
		if err != nil {
			t.Fatal(err)
		}
		data[50_000] ^= 1
		if err := os.WriteFile(filepath.Join(p.src, "b/d0/f7"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(p.src, "b/d0/f7"), st.ModTime(), st.ModTime()); err != nil {
			t.Fatal(err)
		}
		res := p.move(scheduler.MoveRacy, "a", "b", "b")
		if p.cfg.Dest.Kind != Local && res.Stats.Literal > size/50 {
			t.Errorf("%+v", res.Stats)
		}
		p.mustSend(scheduler.Flat, "!a")
		p.same()
	})
}

// Files, and directories, that went to another directory under their names.
func TestMovedEntries(t *testing.T) {
	eachRemote(t, func(t *testing.T, p *pair) {
		size := fill(t, filepath.Join(p.src, "a/sub"), 3, 200_000)
		write(t, p.src, "a/f="+strings.Repeat("x", 300_000), "a/stays", "b/there")
		p.mustSend(scheduler.Deep, "a", "b")
		p.rename("a/sub", "b/sub")
		p.rename("a/f", "b/f")
		res := p.move(scheduler.MoveRacy, "a", "b", "b/f", "b/sub")
		if p.cfg.Dest.Kind != Local && (res.Stats.Literal != 0 || res.Stats.Wire > (size+300_000)/50) {
			t.Errorf("%+v", res.Stats)
		}
		exists(t, p.dst, true, "b/there", "a/f", "a/stays")
		p.mustSend(scheduler.Flat, "!a/f", "!a/sub", "b")
		p.same()
		p.rename("b/f", "f")
		p.move(scheduler.MoveRacy, "b", "", "f")
		p.mustSend(scheduler.Flat, "!b/f")
		p.rename("f", "a/f")
		p.move(scheduler.MoveRacy, "", "a", "a/f")
		p.mustSend(scheduler.Flat, "!f")
		p.same()
		remove(t, p.dst, "f")
	})
}

func TestRenamedFile(t *testing.T) {
	nearRemotes(t, func(t *testing.T, p *pair) {
		fill(t, filepath.Join(p.src, "a"), 1, 4<<20)
		p.mustSend(scheduler.Deep, "a")
		p.rename("a/d0/f0", "a/d0/quite another name")
		res := p.send(scheduler.Fuzzy, "a/d0/quite another name")
		if p.cfg.Dest.Kind != Local && (res.Stats.Literal != 0 || res.Stats.Wire > 100_000) {
			t.Errorf("%+v", res.Stats)
		}
		p.mustSend(scheduler.Flat, "!a/d0/f0")
		p.same()
	})
}

// Where no move is possible, or the old name is not there, the data is sent.
func TestMovesThatAreNone(t *testing.T) {
	old := []string{"p/old/f=" + strings.Repeat("x", 5000), "p/old/g.tmp=" + strings.Repeat("y", 5000)}
	for _, tc := range []struct {
		name  string
		cfg   Config
		lost  bool
		moved bool
	}{
		{"as a check", Config{}, false, true},
		{"the remote lost it", Config{}, true, false},
		{"in place", Config{Options: []string{"--inplace"}}, false, false},
		{"appended", Config{Options: []string{"--append-verify"}}, false, false},
		{"a filter of the last component", Config{Filters: []string{"- *.tmp", "- cache/"}}, false, true},
		{"a filter elsewhere", Config{Filters: []string{"- /logs/", "- /p/other/old/g*"}}, false, true},
		{"a filter of the old name", Config{Filters: []string{"- /p/old/g.tmp"}}, false, false},
		{"a filter above", Config{Filters: []string{"+ /q*/", "- *.tmp"}}, false, false},
		{"a filter of two components", Config{Filters: []string{"- new/g.tmp"}}, false, false},
		{"a filter of any number", Config{Filters: []string{"- new**tmp"}}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPair(t, tc.cfg, "")
			write(t, p.src, slices.Concat(old, []string{"q/"})...)
			p.mustSend(scheduler.Deep, "p", "q")
			write(t, p.dst, "p/old/g.tmp=foreign")
			if tc.lost {
				remove(t, p.dst, "p/old")
			}
			p.rename("p/old", "q/new")
			p.move(scheduler.Move, "p/old", "q/new", "q/new")
			_, links := inode(t, filepath.Join(p.dst, "q/new/f"))
			if (links == 2) != tc.moved {
				t.Errorf("%d links", links)
			}
			if data, err := os.ReadFile(filepath.Join(p.dst, "q/new/g.tmp")); err == nil && bytes.Contains(data, []byte("foreign")) {
				t.Errorf("g.tmp holds %q", data)
			}
			full := p.mustSend(scheduler.Full)
			if full.Stats.Literal != 0 {
				t.Errorf("a full run sent more: %+v", full.Stats)
			}
		})
	}
}

func TestDaemonThatRefusesMoves(t *testing.T) {
	dir := t.TempDir()
	d := mirrortest.StartDaemon(t, mirrortest.DaemonConfig{Modules: map[string]string{"m": dir}, Module: []string{"refuse options = link-dest fuzzy"}})
	dest, err := ParseDest(d.URL("m", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []scheduler.Form{scheduler.Move, scheduler.MoveRacy, scheduler.Fuzzy} {
		p := newPair(t, Config{Dest: dest}, dir)
		write(t, p.src, "a/f="+strings.Repeat("x", 100_000), "b/f")
		p.mustSend(scheduler.Deep, "a", "b")
		for range 2 {
			p.rename("a", "c")
			p.move(form, "a", "c", "c", "c/f")
			p.mustSend(scheduler.Flat, "!a", "c/f")
			p.same()
			p.rename("c", "a")
			p.mustSend(scheduler.Deep, "!c", "a")
		}
		if p.moves.Load() {
			t.Errorf("%s: it is tried again and again", form)
		}
		remove(t, dir, "a", "b")
	}
}

// Names that a remote could take for patterns, and all other odd ones.
func TestMovesOfOddNames(t *testing.T) {
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "open")}, d.dir)
	for _, name := range oddNames {
		write(t, p.src, name+"/f="+name, name+"/sub/g")
	}
	write(t, p.src, "glxb2/f=other", "s2/f=other")
	p.mustSend(scheduler.Full)
	for _, name := range oddNames {
		p.rename(name, name+"2")
		p.move(scheduler.Move, name, name+"2", name+"2")
		p.mustSend(scheduler.Flat, "!"+name)
	}
	p.same()
}

// What fails is named as the batch named it.
func TestMoveThatFails(t *testing.T) {
	needRoot(t)
	p := newPair(t, Config{}, "")
	write(t, p.src, "a/d/f", "a/e/g", "b/")
	p.mustSend(scheduler.Deep, "a", "b")
	p.rename("a", "b/new")
	write(t, p.dst, "b/new/e/")
	immutable(t, filepath.Join(p.dst, "b/new/e"))
	res := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Move, From: "a", To: "b/new", Items: items("b/new"), MaxDelete: -1}, nil)
	var failed []string
	for _, pe := range res.Failed {
		failed = append(failed, pe.Path)
	}
	if res.Class != scheduler.Partial || !slices.Equal(failed, []string{"b/new/e", "b/new/e/g"}) {
		t.Errorf("failed %q of %+v", failed, res)
	}
	exists(t, p.dst, true, "b/new/d/f")
}

func TestMoveKeepsTheLimitOfDeletions(t *testing.T) {
	p := newPair(t, Config{}, "")
	write(t, p.src, "a/f")
	p.mustSend(scheduler.Deep, "a")
	write(t, p.dst, "b/1", "b/2", "b/3")
	p.rename("a", "b")
	res := p.Send(t.Context(), scheduler.Batch{Form: scheduler.Move, From: "a", To: "b", Items: items("b"), MaxDelete: 2}, nil)
	if res.Class != scheduler.DeleteLimit || res.Skipped != 1 || res.Stats.Deleted != 2 {
		t.Errorf("%+v", res)
	}
}

func TestOldPlace(t *testing.T) {
	for _, tc := range []struct{ dest, from, to, want string }{
		{"/dst", "a", "b/c", "/dst/a"},
		{"rsync://h/m", "a", "b/c", "/a"},
		{"rsync://h/m/x", "a", "", "/x/a"},
		{"rsync://h/m/x", "", "a", "/x"},
		{"rsync://h/m", "", "a", "/"},
		{"h:/dst", "a", "b/c", "/dst/a"},
		{"h:dst", "a/x", "b/c", "../../a/x"},
		{"h:dst", "a", "", "./a"},
		{"h:dst", "", "b", "../"},
	} {
		d, err := ParseDest(tc.dest)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.oldPlace(tc.from, tc.to); got != tc.want {
			t.Errorf("from %q to %q at %s: %q, want %q", tc.from, tc.to, tc.dest, got, tc.want)
		}
	}
}
