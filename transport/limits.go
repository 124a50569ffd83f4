package transport

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/scheduler"
)

// Limits say how much of this machine and its network a remote's rsyncs may
// take. The zero value sets none.
type Limits struct {
	// BWLimit is what all rsyncs to the remote may send together, as rsync's
	// --bwlimit has it: KiB a second, or with a suffix: "500k", "10m", "1.5g".
	// Empty means as much as there is.
	BWLimit string
	// Nice is added to the priority number of the CPU, -20 to 19; only root may
	// give less than 0.
	Nice int
	// IONice is the class of disk access: "idle", "best-effort" or
	// "best-effort:N" with N from 0, the first, to 7, the last. Empty leaves it.
	IONice string
	// Compress is "off" or empty, "on" for the best way both sides know, or
	// the name of one way: "zstd", "lz4", "zlibx" or "zlib".
	Compress string
}

// shown are the limits that are set, by name.
func (l Limits) shown() map[string]string {
	all := map[string]string{"bwlimit": l.BWLimit, "ionice": l.IONice, "compress": l.Compress}
	if l.Nice != 0 {
		all["nice"] = strconv.Itoa(l.Nice)
	}
	if l.Compress == "off" {
		all["compress"] = ""
	}
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}

var (
	rate    = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)$`)
	factors = map[string]float64{"": 1 << 10, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
	ways    = []string{"", "off", "on", "zstd", "lz4", "zlibx", "zlib"}
)

// parseRate reads a BWLimit as bytes a second; 0 if it is empty.
func parseRate(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	m := rate.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf(`bwlimit %q is not a rate; write KiB a second, or "500k", "10m", "1g"`, s)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	n *= factors[strings.ToLower(m[2])]
	if err != nil || n < 1<<10 || n > math.MaxInt64/2 {
		return 0, fmt.Errorf(`bwlimit %q is out of range; write at least "1k", or leave it out for no limit`, s)
	}
	return int64(n), nil
}

// The words of ioprio_set(2).
const (
	ioWhoGroup   = 2
	ioClassShift = 13
	ioBestEffort = 2
	ioIdle       = 3
)

// ioPriority reads an IONice; 0 if it is empty.
func ioPriority(s string) (int, error) {
	class, level, leveled := strings.Cut(s, ":")
	n, err := strconv.Atoi(level)
	switch {
	case s == "":
		return 0, nil
	case s == "idle":
		return ioIdle << ioClassShift, nil
	case s == "best-effort":
		return ioBestEffort<<ioClassShift | 4, nil
	case class == "best-effort" && leveled && err == nil && n >= 0 && n <= 7 && len(level) == 1:
		return ioBestEffort<<ioClassShift | n, nil
	}
	return 0, fmt.Errorf(`ionice %q is not known; write "idle", or "best-effort:N" with N from 0 to 7`, s)
}

// check names the key that is wrong.
func (l Limits) check(options []string) error {
	bytes, err := parseRate(l.BWLimit)
	if err != nil {
		return err
	}
	if bytes > 0 && slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(o, "--bwlimit") }) {
		return errors.New("bwlimit is given twice; take --bwlimit out of the rsync options")
	}
	if l.Nice < -20 || l.Nice > 19 {
		return fmt.Errorf("nice %d is out of range; write a number from -20 to 19", l.Nice)
	}
	if l.Nice < 0 && os.Geteuid() != 0 {
		return fmt.Errorf("nice %d is only for root; write 0 to 19", l.Nice)
	}
	if _, err := ioPriority(l.IONice); err != nil {
		return err
	}
	if !slices.Contains(ways, l.Compress) {
		return fmt.Errorf(`compress %q is not known; write "off", "on", "zstd", "lz4", "zlibx" or "zlib"`, l.Compress)
	}
	return nil
}

// args are the rsync options of the limits, but for bandwidth.
func (l Limits) args() []string {
	switch l.Compress {
	case "", "off":
		return nil
	case "on":
		return []string{"--compress"}
	}
	return []string{"--compress", "--compress-choice=" + l.Compress}
}

// apply sets the priorities of the process group pid, which has just begun.
// What it starts inherits them.
func (l Limits) apply(pid int) error {
	var errs []error
	if l.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PGRP, pid, l.Nice); err != nil {
			errs = append(errs, fmt.Errorf("set nice %d: %w", l.Nice, err))
		}
	}
	if prio, _ := ioPriority(l.IONice); prio != 0 {
		if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoGroup, uintptr(pid), uintptr(prio)); errno != 0 {
			errs = append(errs, fmt.Errorf("set ionice %s: %w", l.IONice, errno))
		}
	}
	return errors.Join(errs...)
}

// bandwidth divides a remote's limit among the rsyncs that are in the air.
type bandwidth struct {
	total int64 // bytes a second; 0: no limit

	mu    sync.Mutex
	given int64
}

// take is the part of the limit, in bytes a second, for a run, and a func that
// gives it back. One rsync leaves a quarter to others, except a full run, which
// is alone, or is divided into equal parts. Two together never have more than
// the limit; each further one has at least an eighth.
func (b *bandwidth) take(batch scheduler.Batch) (part int64, give func()) {
	if b.total == 0 {
		return 0, func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	part = b.total - b.given
	switch {
	case len(batch.Shards) > 0:
		part = b.total / int64(len(batch.Shards))
	case batch.Form != scheduler.Full:
		part = min(part, b.total-b.total/4)
	}
	part = max(part, b.total/8)
	b.given += part
	return part, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.given -= part
	}
}

// bwArgs are the options for a part of the bandwidth.
func bwArgs(part int64) []string {
	if part == 0 {
		return nil
	}
	return []string{"--bwlimit=" + strconv.FormatInt(max(1, part>>10), 10)}
}

// Limits are the limits that are set, by the name of their key.
func (r *Rsync) Limits() map[string]string { return r.cfg.Limits.shown() }
