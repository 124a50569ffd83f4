package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// printStats prints the counters of all trees as notes.
func (j *watchJob) printStats() {
	for _, t := range j.trees {
		line := t.statsLine()
		if j.out.format.form == formJSON {
			line = t.statsJSON(time.Now())
		}
		_, _ = j.out.notes.Write(line)
	}
}

// stat is one counter.
type stat struct {
	name  string
	value uint64
}

// rescansOf is what the names of the counters by reason begin with.
const rescansOf = "rescans_"

// stats are the counters of a tree. The names are part of the interface.
func (t *tree) stats() []stat {
	s := t.watch.Stats()
	lines := t.lines.Load()
	all := []stat{
		{"read", s.Read}, {"outside", s.Outside}, {"excluded", s.Ignored}, {"nameless", s.Nameless},
		{"hidden", s.Hidden}, {"hidden_unknown", s.HiddenUnknown},
		{"events", uint64(t.events.Load())}, {"lines", uint64(lines)},
		{"merged", s.Merged + uint64(max(t.events.Load()-lines, 0))},
		{"backlog", s.Backlog}, {"lag_us", uint64(s.Lag.Microseconds())},
		{"directories", s.Nodes}, {"resolved", s.Resolved}, {"cache_hits", s.CacheHits}, {"cache_misses", s.CacheMisses},
		{"watches", s.Watches}, {"unwatched", s.UnwatchedDirs}, {"unwatched_mounts", uint64(len(s.UnwatchedMounts))},
		{"unreadable", s.Unreadable}, {"ring_high", s.RingHigh}, {"ring_dropped", s.RingDropped},
	}
	for _, why := range slices.Sorted(maps.Keys(s.Rescans)) {
		all = append(all, stat{rescansOf + strings.ReplaceAll(string(why), " ", "_"), s.Rescans[why]})
	}
	return all
}

// statsLine is the counters as words for people, without reasons for which
// there was no rescan.
func (t *tree) statsLine() []byte {
	backend, _ := t.watch.Backend()
	b := fmt.Appendf(nil, "fansync: stats of %q: backend=%s", t.name, backend)
	for _, s := range t.stats() {
		if s.value > 0 || !strings.HasPrefix(s.name, rescansOf) {
			b = fmt.Appendf(b, " %s=%d", s.name, s.value)
		}
	}
	return append(b, '\n')
}

// statsJSON is the counters as a JSON object and a newline.
func (t *tree) statsJSON(now time.Time) []byte {
	backend, _ := t.watch.Backend()
	f := formatter{form: formJSON, loc: now.Location()}
	b := append(f.time([]byte(`{"type":"stats","time":"`), now.UnixNano()), '"')
	b = f.jsonPath(b, "root", &t.place, "")
	b = fmt.Appendf(b, `,"backend":"%s"`, backend)
	for _, s := range t.stats() {
		b = fmt.Appendf(b, `,"%s":%d`, s.name, s.value)
	}
	return append(b, "}\n"...)
}
