package transport

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fansync/fansync/scheduler"
)

// standIn is a Config whose rsync is a shell script.
func standIn(t *testing.T, script string) Config {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rsync")
	writeScript(t, name, script)
	return Config{Program: name}
}

// alive is false for a zombie too.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// pidIn waits for a script to have written a number into a file.
func pidIn(t *testing.T, name string) int {
	t.Helper()
	var pid int
	eventually(t, "no process id in "+name, func() bool {
		data, err := os.ReadFile(name)
		if err != nil || !strings.HasSuffix(string(data), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil
	})
	return pid
}

func TestCancelKillsTheGroup(t *testing.T) {
	for name, script := range map[string]string{
		"obedient": "sleep 1000 & echo $! >%[1]s/child; echo $$ >%[1]s/leader; wait",
		"stubborn": "trap '' TERM; (trap '' TERM; sleep 1000) & echo $! >%[1]s/child; echo $$ >%[1]s/leader; while :; do wait; done",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := newPair(t, standIn(t, fmt.Sprintf(script, dir)), "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan scheduler.Result)
			go func() { result <- p.Send(ctx, scheduler.Batch{Items: items("f"), MaxDelete: -1}, nil) }()
			child, leader := pidIn(t, filepath.Join(dir, "child")), pidIn(t, filepath.Join(dir, "leader"))
			cancel()
			if res := <-result; res.Class != scheduler.Canceled {
				t.Errorf("%+v", res)
			}
			if alive(leader) {
				t.Error("the leader was left")
			}
			eventually(t, "the child was left", func() bool { return !alive(child) })
		})
	}
}

// What outlives rsync in its group is ended, even if it holds the outputs.
func TestStragglersAreEnded(t *testing.T) {
	dir := t.TempDir()
	p := newPair(t, standIn(t, fmt.Sprintf("sleep 1000 & echo $! >%s/child; exit 0", dir)), "")
	if res := p.send(scheduler.Flat, "f"); res.Class != scheduler.OK {
		t.Errorf("%+v", res)
	}
	child := pidIn(t, filepath.Join(dir, "child"))
	eventually(t, "the child was left", func() bool { return !alive(child) })
}

// What left the group, as a shared ssh connection does, cannot hold up Send.
func TestHeldOutputDoesNotBlock(t *testing.T) {
	dir := t.TempDir()
	p := newPair(t, standIn(t, fmt.Sprintf("setsid sh -c 'echo $$ >%s/child; exec sleep 1000' & while [ ! -s %[1]s/child ]; do :; done; exit 0", dir)), "")
	begin := time.Now()
	if res := p.send(scheduler.Flat, "f"); res.Class != scheduler.OK {
		t.Errorf("%+v", res)
	}
	if took := time.Since(begin); took > 8*outputGrace {
		t.Errorf("it took %v", took)
	}
	child := pidIn(t, filepath.Join(dir, "child"))
	if !alive(child) {
		t.Error("a process of another session was killed")
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestCancelRealRun(t *testing.T) {
	p := newPair(t, Config{Options: []string{"--bwlimit=100"}}, "")
	write(t, p.src, "big="+strings.Repeat("0123456789abcdef", 1<<17))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan scheduler.Result)
	go func() { result <- p.Send(ctx, scheduler.Batch{Form: scheduler.Full, MaxDelete: -1}, nil) }()
	temp := func() (found []string) {
		entries, err := os.ReadDir(p.dst)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			found = append(found, e.Name())
		}
		return found
	}
	// rsync removes the file on a signal once it has begun to write it.
	eventually(t, "no temporary file grew", func() bool {
		names := temp()
		if len(names) == 0 {
			return false
		}
		st, err := os.Stat(filepath.Join(p.dst, names[0]))
		return err == nil && st.Size() > 0
	})
	cancel()
	if res := <-result; res.Class != scheduler.Canceled {
		t.Errorf("%+v", res)
	}
	eventually(t, "the temporary file stayed", func() bool { return len(temp()) == 0 })
	if res := p.Send(ctx, scheduler.Batch{Form: scheduler.Full, MaxDelete: -1}, nil); res.Class != scheduler.Canceled || res.Code != -1 {
		t.Errorf("after the cancel: %+v", res)
	}
}

func TestFloodOfOutput(t *testing.T) {
	flood := "i=0; while [ $i -lt 2000 ]; do printf '%s' \"$lines\"; i=$((i+1)); done"
	p := newPair(t, standIn(t, "cat >/dev/null\nlines=$(i=0; while [ $i -lt 100 ]; do echo \"a line of chatter $i\"; i=$((i+1)); done)\n("+flood+") >&2 &\n"+flood+"\nwait\necho 'rsync: [sender] send_files failed to open \"f\": Permission denied (13)' >&2\nexit 23"), "")
	res := p.send(scheduler.Flat, "f")
	if res.Class != scheduler.Partial || res.Code != codePartial {
		t.Errorf("%+v", res)
	}
}

// An rsync that ends without reading the list is judged by its exit alone.
func TestListNotRead(t *testing.T) {
	p := newPair(t, standIn(t, "exec <&-; echo \"@ERROR: Unknown module 'm'\" >&2; exit 5"), "")
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprintf("name-%05d", i)
	}
	if res := p.send(scheduler.Flat, names...); res.Class != permanent || !strings.Contains(res.Message, "has no module m") {
		t.Errorf("%+v", res)
	}
}

func TestKilledRsync(t *testing.T) {
	p := newPair(t, standIn(t, "kill -9 $$"), "")
	if res := p.send(scheduler.Flat, "f"); res.Class != transient || res.Code != codeSignal || !strings.Contains(res.Message, "was killed") {
		t.Errorf("%+v", res)
	}
}

func TestProgramMissing(t *testing.T) {
	p := newPair(t, Config{Program: "no-such-rsync"}, "")
	if res := p.send(scheduler.Flat, "f"); res.Class != permanent || res.Code != -1 || !strings.Contains(res.Message, "apt-get install rsync") {
		t.Errorf("%+v", res)
	}
	p = newPair(t, Config{Program: "/nonexistent/rsync"}, "")
	if res := p.send(scheduler.Flat, "f"); res.Class != permanent || res.Code != -1 {
		t.Errorf("%+v", res)
	}
}

func TestRootNotOpened(t *testing.T) {
	p := newPair(t, Config{OpenRoot: func() (*os.File, error) { return nil, fmt.Errorf("the root was replaced: %w", fs.ErrInvalid) }}, "")
	write(t, p.dst, "keep")
	if res := p.send(scheduler.Full); res.Class != permanent || !strings.Contains(res.Message, "the root was replaced") {
		t.Errorf("%+v", res)
	}
	exists(t, p.dst, true, "keep")
}

// TestRootIsPinned: the tree that was opened is the one that is sent, though
// its name, by the time rsync starts, leads to another one.
func TestRootIsPinned(t *testing.T) {
	for name, swap := range map[string]struct {
		script string
		root   bool
	}{
		"renamed away":   {"mv src real; mkdir src; echo x >src/impostor", false},
		"mounted over":   {"mkdir other; echo x >other/impostor; mount --bind other src", true},
		"renamed, empty": {"mv src real; mkdir src", false},
	} {
		t.Run(name, func(t *testing.T) {
			if swap.root {
				needRoot(t)
			}
			for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Deep, scheduler.Full} {
				p := newPair(t, Config{}, "")
				dir := filepath.Dir(p.src)
				wrapper := filepath.Join(dir, "wrapper")
				writeScript(t, wrapper, fmt.Sprintf("(cd %s && %s) || exit 98\nexec rsync \"$@\"", dir, swap.script))
				p.cfg.Program = wrapper
				t.Cleanup(func() {
					if swap.root {
						_ = syscall.Unmount(p.src, syscall.MNT_DETACH) // it may not have been mounted
					}
				})
				write(t, p.src, "d/f", "g")
				write(t, p.dst, "d/f=old", "g=old")
				p.mustSend(form, map[scheduler.Form][]string{scheduler.Flat: {"/", "d/", "g"}, scheduler.Deep: {"d", "g"}}[form]...)
				exists(t, p.dst, true, "d/f", "g")
				exists(t, p.dst, false, "impostor")
				if data, err := os.ReadFile(filepath.Join(p.dst, "g")); err != nil || string(data) != "g" {
					t.Errorf("%s: g is %q, %v", form, data, err)
				}
			}
		})
	}
}

// A root that was deleted stops the run; nothing is deleted for it.
func TestRootDeleted(t *testing.T) {
	p := newPair(t, Config{}, "")
	wrapper := filepath.Join(filepath.Dir(p.src), "wrapper")
	writeScript(t, wrapper, "rm -rf "+p.src+"\nexec rsync \"$@\"")
	p.cfg.Program = wrapper
	write(t, p.dst, "keep")
	for _, form := range []scheduler.Form{scheduler.Flat, scheduler.Full} {
		if res := p.send(form, "!keep"); form == scheduler.Flat && res.Class == scheduler.OK {
			t.Errorf("%s: %+v", form, res)
		}
		exists(t, p.dst, true, "keep")
	}
}

func TestConcurrentSends(t *testing.T) {
	p := newPair(t, Config{}, "")
	var wg sync.WaitGroup
	for i := range 6 {
		name := fmt.Sprintf("d%d/f", i)
		write(t, p.src, name)
		wg.Go(func() {
			if res := p.Send(t.Context(), scheduler.Batch{Items: items(name), MaxDelete: -1}, nil); res.Class != scheduler.OK {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
	p.mustSend(scheduler.Full)
	p.same()
}

func TestNothingToSend(t *testing.T) {
	p := newPair(t, Config{Program: "no-such-rsync"}, "")
	p.mustSend(scheduler.Flat)
	p.mustSend(scheduler.Deep)
}
