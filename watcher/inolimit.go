package watcher

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// manyBlind is how many parts that cannot be watched are rescanned one by one;
// if there are more, it is the whole root.
const manyBlind = 128

// block remembers a directory that could not be watched. The caller holds mu.
func (b *ino) block(parent inoID, name, path string, err error) {
	if !errors.Is(err, unix.ENOSPC) {
		b.r.w.cfg.Log.Warn("watch directory: it will be rescanned instead", "root", b.r.w.cfg.Root, "dir", path, "err", err)
	} else if !b.saidLimit && b.walk == nil {
		b.saidLimit = true
		b.sayLimit()
	}
	n := inoRoot
	if parent != 0 {
		n = b.tree.kid(parent, name)
	}
	if n == 0 || n != inoRoot && b.tree.node(n).wd != 0 {
		n = b.tree.add()
		b.tree.link(n, parent, name)
	}
	b.tree.node(n).seen = b.walkNo
	if _, ok := b.tree.blind[n]; !ok {
		b.tree.block(n, countDirs(b.ctx, b.abs(path), math.MaxUint64, b.buf))
		b.newBlind = append(b.newBlind, b.tree.ref(n))
	}
}

// sayLimit logs what to do about the limit.
func (b *ino) sayLimit() {
	need := uint64(b.tree.wds.n) + b.tree.unwatched
	b.r.w.cfg.Log.Error("limit of inotify watches reached: some directories are rescanned instead of watched",
		"root", b.r.w.cfg.Root, "directories", need, "limit", readLimit(), "remedy", limitRemedy(need, readLimit()))
}

// preflight warns when the directories at hand nearly take up the limit.
func (b *ino) preflight() {
	limit := readLimit()
	if have := uint64(b.tree.wds.n); limit > 0 && have > limit-limit/5 && !b.saidLimit {
		b.r.w.cfg.Log.Warn("the limit of inotify watches is nearly reached",
			"root", b.r.w.cfg.Root, "directories", have, "limit", limit, "remedy", limitRemedy(have, limit))
	}
}

// limitRemedy is the command that makes room for twice the directories there
// are, as a power of two, and for twice the limit at least.
func limitRemedy(need, limit uint64) string {
	n := uint64(8192)
	for n < 2*need || n < 2*limit {
		n *= 2
	}
	return fmt.Sprintf("sysctl -w fs.inotify.max_user_watches=%d", n)
}

// readLimit is the number of inotify watches a user may have, 0 if unknown.
func readLimit() uint64 {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// announce asks for what could not be watched since the last call. The caller
// holds mu.
func (b *ino) announce(now int64) {
	if len(b.newBlind) == 0 {
		return
	}
	b.rescanBlind(b.newBlind, now)
	b.newBlind = nil
	if len(b.tree.blind) <= manyBlind {
		// Else with the next repoll, so that none of many costs as much as all.
		b.nameUnwatched()
	}
}

func (b *ino) rescanBlind(nodes []inoRef, now int64) {
	if len(nodes) > manyBlind {
		b.r.rescan("", WatchLimit, now)
		return
	}
	for _, n := range nodes {
		if path, ok := b.tree.path(b.tree.at(n)); ok {
			b.r.rescan(path, WatchLimit, now)
		}
	}
}

// repoll tries again to watch what could not be watched, and asks for a Rescan
// of it in any case: after it, so that nothing falls between.
func (b *ino) repoll(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tree.blind) == 0 {
		return
	}
	if _, ok := b.tree.blind[inoRoot]; ok {
		b.lostLocked(WatchLimit)
		return
	}
	var paths []string
	for n := range b.tree.blind {
		if path, ok := b.tree.path(n); ok {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		dir, name := splitLast(path)
		if parent := b.tree.find(dir); parent != 0 {
			b.arm(parent, name, armMoved, now)
		}
	}
	b.newBlind = nil
	if len(paths) > manyBlind {
		paths = []string{""}
	}
	for _, path := range paths {
		b.r.rescan(path, WatchLimit, now)
	}
	b.nameUnwatched()
	b.counts()
}
