package transport

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

func TestLimitsRefused(t *testing.T) {
	for _, c := range []struct {
		limits  Limits
		options []string
		want    string
	}{
		{Limits{BWLimit: "10x"}, nil, "bwlimit"},
		{Limits{BWLimit: "-1"}, nil, "bwlimit"},
		{Limits{BWLimit: "0"}, nil, "out of range"},
		{Limits{BWLimit: "0.5k"}, nil, "out of range"},
		{Limits{BWLimit: "99999999999999999999g"}, nil, "out of range"},
		{Limits{BWLimit: "1m"}, []string{"--bwlimit=2m"}, "twice"},
		{Limits{Nice: 20}, nil, "nice 20"},
		{Limits{Nice: -21}, nil, "nice -21"},
		{Limits{IONice: "realtime"}, nil, "ionice"},
		{Limits{IONice: "best-effort:8"}, nil, "ionice"},
		{Limits{IONice: "best-effort:"}, nil, "ionice"},
		{Limits{Compress: "gzip"}, nil, "compress"},
	} {
		_, err := New(Config{Root: "/s", Dest: Dest{Kind: Local, Path: "/d"}, Limits: c.limits, Options: c.options})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.limits, err, c.want)
		}
	}
}

func TestLimitsShown(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   map[string]string
	}{
		{Limits{}, map[string]string{}},
		{Limits{Compress: "off"}, map[string]string{}},
		{Limits{BWLimit: "10m", Nice: 5, IONice: "idle", Compress: "zstd"}, map[string]string{"bwlimit": "10m", "nice": "5", "ionice": "idle", "compress": "zstd"}},
	} {
		r, err := New(Config{Root: "/s", Dest: Dest{Kind: Local, Path: "/d"}, Limits: c.limits})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Limits(); !maps.Equal(got, c.want) {
			t.Errorf("%+v shows %v", c.limits, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "1": 1 << 10, "500k": 500 << 10, "10m": 10 << 20, "1.5M": 3 << 19, "2g": 2 << 30} {
		if got, err := parseRate(s); err != nil || got != want {
			t.Errorf("parseRate(%q) = %d, %v", s, got, err)
		}
	}
}

func TestBandwidthIsShared(t *testing.T) {
	b := bandwidth{total: 800}
	part := func(form scheduler.Form, want int64) func() {
		t.Helper()
		got, give := b.take(scheduler.Batch{Form: form})
		if got != want {
			t.Errorf("%s: %d, want %d", form, got, want)
		}
		return give
	}
	one := part(scheduler.Flat, 600)
	two := part(scheduler.Flat, 200)
	part(scheduler.Deep, 100)() // a third one
	one()
	one = part(scheduler.Flat, 600)
	one()
	two()
	part(scheduler.Full, 800)()
	for range 4 {
		if got, _ := b.take(scheduler.Batch{Form: scheduler.Deep, Shards: make([]scheduler.Shard, 4)}); got != 200 {
			t.Errorf("a shard of four has %d", got)
		}
	}
	if none, give := (&bandwidth{}).take(scheduler.Batch{}); none != 0 || bwArgs(none) != nil {
		t.Error("a limit where there is none")
	} else {
		give()
	}
}

// Real runs have the priorities, with all they start, and the bandwidth.
func TestLimitsOfRealRuns(t *testing.T) {
	p := newPair(t, Config{Limits: Limits{BWLimit: "200k", Nice: 7, IONice: "idle"}}, "")
	write(t, p.src, "big="+strings.Repeat("0123456789abcdef", 1<<15))
	done := make(chan scheduler.Result)
	begin := time.Now()
	go func() {
		done <- p.Send(t.Context(), scheduler.Batch{Form: scheduler.Full, MaxDelete: -1}, nil)
	}()
	var seen int
	eventually(t, "no rsync was seen", func() bool {
		seen = 0
		for _, pid := range rsyncsIn(t, p.src) {
			prio, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
			io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0)
			// The system call gives 20 less the number.
			if err == nil && errno == 0 && 20-prio == 7 && io>>ioClassShift == ioIdle {
				seen++
			}
		}
		return seen >= 2 // the sender and the receiver
	})
	if res := <-done; res.Class != scheduler.OK {
		t.Fatalf("%+v", res)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("it took %v", took)
	}
	p.same()
}

// rsyncsIn are the processes whose working directory is dir, or one beside it
// as a receiver's is.
func rsyncsIn(t *testing.T, dir string) (pids []int) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, proc := range procs {
		cwd, err := os.Readlink(proc + "/cwd")
		if err != nil || filepath.Dir(cwd) != filepath.Dir(dir) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Compression takes fewer bytes.
func TestCompression(t *testing.T) {
	d := newDaemon(t)
	sent := map[string]int64{}
	for _, way := range []string{"off", "on", "zstd", "lz4", "zlib"} {
		p := newPair(t, Config{Dest: d.dest(t, "open"), Limits: Limits{Compress: way}}, d.dir)
		remove(t, d.dir, "text")
		write(t, p.src, "text="+strings.Repeat("the same again ", 1<<14))
		res := p.mustSend(scheduler.Flat, "text")
		sent[way] = res.Stats.Wire
	}
	for way, n := range sent {
		if way != "off" && n > sent["off"]/4 {
			t.Errorf("%s sent %d bytes, none %d", way, n, sent["off"])
		}
	}
}
