package transport

import (
	"context"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fansync/fansync/scheduler"
)

// bigSize is the size of the file whose transfer is cut.
const bigSize = 48 << 20

// writeBig makes a file that nothing can compress.
func writeBig(t *testing.T, path string) {
	t.Helper()
	data := make([]byte, bigSize)
	rand.New(rand.NewSource(1)).Read(data)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// newCut is a pair with a daemon that sends slowly, and with a source d/big.
func newCut(t *testing.T) *pair {
	t.Helper()
	d := newDaemon(t)
	p := newPair(t, Config{Dest: d.dest(t, "open"), Options: []string{"--bwlimit=40m"}}, d.dir)
	writeBig(t, filepath.Join(p.src, "d/big"))
	write(t, p.src, "d/small", "e/other")
	p.mustSend(scheduler.Flat, "d", "d/small", "e/other")
	return p
}

func (p *pair) piece() int64 {
	st, err := os.Stat(filepath.Join(p.dst, "d", pieceDir, "big"))
	if err != nil {
		return 0
	}
	return st.Size()
}

// received is how much of d/big the remote has, under whatever name.
func (p *pair) received() int64 {
	most := p.piece()
	temps, err := filepath.Glob(filepath.Join(p.dst, "d", ".big.*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range temps {
		if st, err := os.Stat(name); err == nil {
			most = max(most, st.Size())
		}
	}
	return most
}

func (p *pair) large(ctx context.Context, settled bool) scheduler.Result {
	return p.Send(ctx, scheduler.Batch{Items: items("d/big"), MaxDelete: -1, Keep: true, Settled: settled}, nil)
}

// cut ends a transfer of d/big halfway.
func (p *pair) cut() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	result := make(chan scheduler.Result)
	go func() { result <- p.large(ctx, false) }()
	eventually(p.t, "nothing was received", func() bool { return p.received() > bigSize/4 })
	cancel()
	if res := <-result; res.Class != scheduler.Canceled {
		p.t.Fatalf("%+v", res)
	}
	eventually(p.t, "the receiver kept nothing", func() bool { return p.piece() > bigSize/8 })
}

func (p *pair) hasPieces() bool {
	all, err := filepath.Glob(filepath.Join(p.dst, "*", pieceDir))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(all) > 0
}

func TestCutTransferGoesOn(t *testing.T) {
	p := newCut(t)
	if !p.Resumes() {
		t.Fatal("it does not resume")
	}
	p.cut()
	// Nothing else that runs meanwhile deletes the piece, or takes it for a file.
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Racy} {
		write(t, p.dst, "d/extra")
		if res := p.Send(t.Context(), scheduler.Batch{Form: form, Items: items("d/"), MaxDelete: -1, MaxSize: 1000}, nil); res.Class != scheduler.OK || res.Stats.Deleted != 1 {
			t.Fatalf("%s: %+v", form, res)
		}
	}
	for _, form := range []scheduler.Form{scheduler.Deep, scheduler.Full} {
		write(t, p.dst, "d/extra")
		b := scheduler.Batch{Form: form, MaxDelete: -1, MaxSize: 1000}
		if form == scheduler.Deep {
			b.Items = items("d", "e")
		}
		if res := p.Send(t.Context(), b, nil); res.Class != scheduler.OK || res.Stats.Deleted != 1 {
			t.Fatalf("%s: %+v", form, res)
		}
	}
	exists(t, p.dst, false, "d/big", "d/extra")
	have := p.piece()
	res := p.large(t.Context(), true)
	if res.Class != scheduler.OK || res.Stats.Wire > bigSize-have/2 {
		t.Errorf("%d bytes were there of %d: %+v", have, bigSize, res)
	}
	p.same()
}

// A file that is put together from pieces has the source's content, whatever
// the pieces were.
func TestPieceOfAnotherContent(t *testing.T) {
	p := newCut(t)
	p.cut()
	name := filepath.Join(p.src, "d/big")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(data)
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if res := p.large(t.Context(), false); res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	p.same()
}

// When nobody goes on with a piece it goes, and nothing else.
func TestPiecesAreDeleted(t *testing.T) {
	p := newCut(t)
	p.cut()
	write(t, p.dst, "d/.hidden", "d/sub/x", "e/extra")
	remove(t, p.src, "d/big")
	gone := scheduler.Batch{Items: items("!d/big"), MaxDelete: -1}
	if res := p.Send(t.Context(), gone, nil); res.Class != scheduler.OK || !p.hasPieces() {
		t.Errorf("not settled, but gone: %+v", res)
	}
	gone.Settled = true
	if res := p.Send(t.Context(), gone, nil); res.Class != scheduler.OK || !slices.Equal(res.Touched, []string{"d"}) {
		t.Errorf("%+v", res)
	}
	if p.hasPieces() {
		t.Error("the piece is still there")
	}
	exists(t, p.dst, true, "d/.hidden", "d/sub/x", "e/extra", "d/small")
	if res := p.Send(t.Context(), gone, nil); res.Class != scheduler.OK || len(res.Touched) > 0 {
		t.Errorf("once more: %+v", res)
	}
}

// A directory goes with the piece in it.
func TestPieceGoesWithItsDirectory(t *testing.T) {
	for _, item := range []string{"!d", "/"} {
		p := newCut(t)
		p.cut()
		remove(t, p.src, "d")
		p.mustSend(scheduler.Flat, item)
		p.same()
	}
}

// A program that starts anew hears of pieces from the run that only counts.
func TestPiecesOfAnEarlierProgram(t *testing.T) {
	p := newCut(t)
	p.cut()
	remove(t, p.src, "d/big")
	anew := func() { p.Rsync = newFrom(t, p.Rsync) }
	anew()
	count := scheduler.Batch{Form: scheduler.Full, MaxDelete: 0}
	if res := p.Send(t.Context(), count, nil); res.Class != scheduler.OK || res.Skipped != 0 || !p.hasPieces() {
		t.Errorf("%+v", res)
	}
	write(t, p.dst, "e/extra")
	anew()
	if res := p.Send(t.Context(), count, nil); res.Class != scheduler.DeleteLimit || res.Skipped != 1 || !p.hasPieces() {
		t.Errorf("with something to delete: %+v", res)
	}
	remove(t, p.dst, "e/extra")
	anew()
	count.Settled = true
	if res := p.Send(t.Context(), count, nil); res.Class != scheduler.OK || p.hasPieces() {
		t.Errorf("settled: %+v", res)
	}
	p.Send(t.Context(), scheduler.Batch{Items: items("d"), MaxDelete: -1}, nil)
	p.same()
}

// newFrom is a Rsync with the same configuration and no memory.
func newFrom(t *testing.T, r *Rsync) *Rsync {
	t.Helper()
	anew, err := New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return anew
}

func TestPiecesBySSH(t *testing.T) {
	s := newSSH(t)
	dst := t.TempDir()
	p := newPair(t, Config{Dest: Dest{Kind: SSH, User: "root", Host: "127.0.0.1", Path: dst}, SSH: s.command("user", "known"),
		Options: []string{"--bwlimit=40m"}}, dst)
	writeBig(t, filepath.Join(p.src, "d/big"))
	p.cut()
	have := p.piece()
	if res := p.large(t.Context(), true); res.Class != scheduler.OK || res.Stats.Wire > bigSize-have/2 {
		t.Errorf("%d bytes were there of %d: %+v", have, bigSize, res)
	}
	p.same()
}

func TestResumes(t *testing.T) {
	remote := Dest{Kind: SSH, Host: "h", Path: "p"}
	for _, c := range []struct {
		dest    Dest
		options []string
		want    bool
	}{
		{remote, nil, true},
		{remote, []string{"-z", "--bwlimit", "1m"}, true},
		{remote, []string{"--whole-file"}, false},
		{remote, []string{"-W"}, false},
		{remote, []string{"--inplace"}, false},
		{remote, []string{"--append-verify"}, false},
		{remote, []string{"--partial-dir=x"}, false},
		{remote, []string{"--no-partial"}, false},
		{Dest{Kind: Local, Path: "/p"}, nil, false},
		{Dest{Kind: Local, Path: "/p"}, []string{"--no-whole-file"}, true},
	} {
		if got := resumes(c.dest, c.options); got != c.want {
			t.Errorf("%v with %q resumes: %v", c.dest, c.options, got)
		}
	}
}

func TestIsPrivate(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "a/b": false, pieceDir: true, pieceDir + "/x": true, "a/" + pieceDir: true, "a/" + pieceDir + "/b": true,
		"a" + pieceDir: false, pieceDir + "s/x": false, "x/" + pieceDir + ".d/y": false,
	} {
		if IsPrivate(path) != want {
			t.Errorf("IsPrivate(%q) is %v", path, !want)
		}
	}
}

// An append sends little more than what was appended.
func TestAppendSendsADelta(t *testing.T) {
	p := newCut(t)
	if res := p.large(t.Context(), false); res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	f, err := os.OpenFile(filepath.Join(p.src, "d/big"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	res := p.large(t.Context(), false)
	if res.Class != scheduler.OK || res.Stats.Wire > 400<<10 {
		t.Errorf("%d bytes for 100 KiB more: %+v", res.Stats.Wire, res)
	}
	p.same()
}
