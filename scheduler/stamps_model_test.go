package scheduler

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/fansync/fansync/coalesce"
)

// kernel is a simulated clock of file times, and one path of its filesystem.
type kernel struct {
	mono, wall int64
	tick       int64 // the clock's, and so the least difference of two times
	phase      int64 // by which its ticks are off the whole seconds
	own        stamps
	mode       uint32
	serial     int     // of the inode
	given      []int64 // times that files have had, to be set again by hand
}

func (k *kernel) pass(d int64) { k.mono, k.wall = k.mono+d, k.wall+d }

// now is the time that a file gets.
func (k *kernel) now() int64 { return (k.wall-k.phase)/k.tick*k.tick + k.phase }

func (k *kernel) write() {
	k.own.mtime, k.own.ctime = k.now(), k.now()
	k.given = append(k.given, k.own.mtime)
}

// TestUnseenAgainstKernelModel lets a file be written, rewritten, moved over,
// touched by hand and replaced by a directory, by a kernel of any tick, while
// the clock is set now and then, and flights look at it at any moment. Then
// nothing that a flight has seen may pass for unseen: not a file with the time
// that it has now, nor the directory that is there now.
func TestUnseenAgainstKernelModel(t *testing.T) {
	const ms = int64(1e6)
	unseen := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		k := &kernel{mono: 1, wall: 1.7e18 + 123456789, mode: 0o100644}
		k.tick = rapid.SampledFrom([]int64{1, 1e6, 4e6, 10e6, 1e9}).Draw(t, "tick")
		k.phase = rapid.Int64Range(0, k.tick-1).Draw(t, "phase")
		if k.tick == 1e9 {
			k.phase = 0 // of a filesystem, then, that keeps whole seconds
		}
		k.own.own = true
		k.write()
		k.own.born = k.now()
		cfg := Config{
			Now: func() int64 { return k.mono }, Wall: func() int64 { return k.wall },
			stamps: func(*looker, string) (stamps, error) { return k.own, nil },
		}.withDefaults()
		r := newRemote(cfg, RemoteConfig{MaxDirty: 100}, nil)
		var f *flight
		seenTimes, seenDirs := map[int64]bool{}, map[int]bool{}
		stepped := false // and nobody has looked at the clock since
		t.Repeat(map[string]func(*rapid.T){
			"pass":  func(t *rapid.T) { k.pass(rapid.Int64Range(0, 30*ms).Draw(t, "time")) },
			"write": func(*rapid.T) { k.write() },
			"chmod": func(*rapid.T) { k.own.ctime = k.now() },
			"touch": func(t *rapid.T) {
				k.own.mtime, k.own.ctime = rapid.SampledFrom(k.given).Draw(t, "time"), k.now()
			},
			"touch a whole second": func(t *rapid.T) {
				k.own.mtime, k.own.ctime = (k.wall/1e9+rapid.Int64Range(-1, 1).Draw(t, "second"))*1e9, k.now()
			},
			"move over": func(t *rapid.T) {
				k.serial++
				k.own.mtime, k.own.ctime, k.own.born = rapid.SampledFrom(k.given).Draw(t, "time"), k.now(), k.now()
				k.mode = 0o100644
			},
			"make a directory": func(*rapid.T) {
				k.serial++
				k.write()
				k.own.born, k.mode = k.now(), 0o040755
			},
			"set the clock": func(t *rapid.T) {
				if stepped {
					t.Skip("twice between two looks is more than can be told")
				}
				stepped = true
				k.wall += rapid.Int64Range(-50*ms, 50*ms).Draw(t, "by")
			},
			"begin": func(t *rapid.T) {
				if f != nil {
					t.Skip("one at a time")
				}
				f = &flight{batch: Batch{Items: []Item{{Path: "f"}}}}
				r.wall() // as launch does
				stepped = false
			},
			"see": func(t *rapid.T) {
				if f == nil {
					t.Skip("nothing in the air")
				}
				seenTimes[k.own.mtime] = true
				seenDirs[k.serial] = true
			},
			"end": func(t *rapid.T) {
				if f == nil {
					t.Skip("nothing in the air")
				}
				r.settle(ended{f, Result{}})
				f, stepped = nil, false
			},
			"forget": func(*rapid.T) {
				k.pass(recentFor + 1)
				r.prune(k.mono)
			},
			"": func(t *rapid.T) {
				if f != nil {
					return // what is in the air is not looked at
				}
				e := coalesce.Entry{Path: "f", Flags: coalesce.Name | coalesce.Racy}
				at := found{path: "f", mode: k.mode}
				got := r.unseen(e, at, nil)
				unseen[got]++
				switch {
				case got && at.dir() && seenDirs[k.serial]:
					t.Errorf("a flight has seen the directory born at %d: %+v", k.own.born, r.recent)
				case got && !at.dir() && seenTimes[k.own.mtime]:
					t.Errorf("a flight has seen a file of %d: %+v", k.own.mtime, r.recent)
				}
			},
		})
	})
	if unseen[true] == 0 || unseen[false] == 0 {
		t.Errorf("answers: %v", unseen)
	}
}
