package watcher

import "golang.org/x/sys/unix"

// maxGraves bounds the directories that are remembered as gone. Each is
// forgotten when the record of its own removal comes, so few are ever kept.
const maxGraves = 1 << 16

// graves counts, by handle, the removals in directories that were gone before
// their path was looked up. The records of a removed tree come from the bottom
// up, so the counts are carried up to the topmost directory, whose removal can
// be told.
type graves map[string]uint32

// take gives what was counted in and below the directory whose removal the
// record is of.
func (g graves) take(s *slot, p payload) uint32 {
	const rmdir = unix.FAN_DELETE | unix.FAN_ONDIR
	if len(g) == 0 || s.mask&rmdir != rmdir {
		return 0
	}
	n := g[string(p[partChild])]
	delete(g, string(p[partChild]))
	return n
}

// add counts the record's removal, and those below it, for its directory.
func (g graves) add(s *slot, p payload, below uint32) {
	if s.mask&unix.FAN_DELETE == 0 || len(p[partDir]) == 0 {
		return
	}
	if len(g) >= maxGraves {
		clear(g)
	}
	g[string(p[partDir])] += below + 1
}
