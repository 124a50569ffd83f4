package watcher

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/internal/mirrortest"
)

const (
	// seedsEnv and fromEnv choose how many seeded histories are run, and from
	// which seed on.
	seedsEnv = "FANSYNC_SEEDS"
	fromEnv  = "FANSYNC_SEED_FROM"
	// seedRounds is how often a history rests to be judged, seedOps how many
	// operations lie between.
	seedRounds, seedOps = 4, 30
)

func envInt(t *testing.T, name string, fallback int) int {
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, text, err)
	}
	return n
}

// TestSeededHistories works random histories of whole mirrors into a tree that
// both backends watch at once. Whatever then differs must be explained by the
// Events of each of them alone.
func TestSeededHistories(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 12
	}
	n, from := envInt(t, seedsEnv, n), envInt(t, fromEnv, 1)
	for seed := from; seed < from+n; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) { seeded(t, uint64(seed)) })
	}
}

func seeded(t *testing.T, seed uint64) {
	root, watched := "", []Backend{BackendFanotify, BackendInotify}
	if os.Geteuid() == 0 {
		root = shared.root(t, []string{"ext4", "tmpfs", "xfs", "btrfs"}[seed%4])
	} else {
		root, watched = tempRoot(t, "disk"), watched[1:]
	}
	// One in four has what inotify says nothing of.
	all := seed/4%4 == 3 && len(watched) > 1
	n := &namesakes{root: root, ever: map[uint64]map[string]bool{}}
	h := mirrortest.NewHistory(seed, root, mirrortest.HistoryOptions{
		Inotify: !all, Owners: os.Geteuid() == 0, Pace: mirrortest.Burst,
		Between: func(int) { n.note(t) },
	})
	n.history = h
	defer h.Close()
	var g gate
	var probes []*probe
	for _, b := range watched {
		probes = append(probes, watch(t, Config{Root: root, Backend: b, hold: g.hold}))
	}
	before := look(t, root)
	for round := range seedRounds {
		clear(n.ever)
		n.note(t)
		work := func() { ok(t, h.Run(seedOps)) }
		if (seed+uint64(round))%3 == 0 {
			g.during(work)
		} else {
			work()
		}
		if round == seedRounds-1 {
			ok(t, h.Close())
		}
		var events [][]Event
		for _, p := range probes {
			events = append(events, p.sync())
		}
		after := look(t, root)
		for i, p := range probes {
			b, _ := p.w.Backend()
			if all && b == BackendInotify {
				continue
			}
			j := judge{before: before, after: after, events: events[i], names: after.names}
			if b == BackendInotify {
				j.names, j.past = n.names, true
			}
			if bad := j.unexplained(); len(bad) > 0 {
				t.Fatalf("round %d: %s does not explain:\n%s\nreproduce: %s=1 %s=%d go test ./watcher -run TestSeededHistories\nhistory:\n%s\nevents:\n%s",
					round, b, strings.Join(bad, "\n"), seedsEnv, fromEnv, seed, strings.Join(h.Log(), "\n"), listing(events[i]))
			}
		}
		before = after
	}
	for _, p := range probes {
		for why, n := range p.w.Stats().Rescans {
			if n > 0 {
				t.Errorf("%d rescans: %s", n, why)
			}
		}
	}
}

// view is a tree at rest.
type view struct {
	text map[string]string // as snapshot gives it
	// inodes are the numbers of regular files, times the modification times
	// of directories.
	inodes map[string]uint64
	times  map[string]unix.Timespec
}

func look(t *testing.T, root string) view {
	t.Helper()
	v := view{text: snapshot(t, root), inodes: map[string]uint64{}, times: map[string]unix.Timespec{}}
	for path := range v.text {
		var st unix.Stat_t
		ok(t, unix.Lstat(filepath.Join(root, path), &st))
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			v.inodes[path] = st.Ino
		case unix.S_IFDIR:
			v.times[path] = st.Mtim
		}
	}
	return v
}

// names are those that a file has now.
func (v view) names(inode uint64) (names []string) {
	for path, i := range v.inodes {
		if i == inode {
			names = append(names, path)
		}
	}
	return names
}

// namesakes are all names that regular files had since the last rest: inotify
// tells of a change under the name that was used, though it may be gone.
type namesakes struct {
	root    string
	history *mirrortest.History
	ever    map[uint64]map[string]bool
}

var (
	linkedTo  = regexp.MustCompile(`link ("(?:[^"\\]|\\.)*") to ("(?:[^"\\]|\\.)*")`)
	renamedTo = regexp.MustCompile(`rename ("(?:[^"\\]|\\.)*") to ("(?:[^"\\]|\\.)*")`)
)

// note takes down the names there are, and those that came and went within the
// last operation.
func (n *namesakes) note(t *testing.T) {
	t.Helper()
	now := look(t, n.root).inodes
	for path, inode := range now {
		n.add(inode, path)
	}
	log := n.history.Log()
	if len(log) == 0 {
		return
	}
	line := log[len(log)-1]
	for _, link := range linkedTo.FindAllStringSubmatch(line, -1) {
		from, name := unquote(t, link[1]), unquote(t, link[2])
		inode, is := now[from]
		if !is {
			continue
		}
		n.add(inode, name)
		for _, move := range renamedTo.FindAllStringSubmatch(line, -1) {
			if unquote(t, move[1]) == name {
				name = unquote(t, move[2])
				n.add(inode, name)
			}
		}
	}
}

func (n *namesakes) add(inode uint64, path string) {
	if n.ever[inode] == nil {
		n.ever[inode] = map[string]bool{}
	}
	n.ever[inode][path] = true
}

func (n *namesakes) names(inode uint64) []string { return slices.Collect(maps.Keys(n.ever[inode])) }

func unquote(t *testing.T, s string) string {
	t.Helper()
	s, err := strconv.Unquote(s)
	ok(t, err)
	return s
}

// judge holds the Events of one backend against two views.
type judge struct {
	before, after view
	events        []Event
	// names are those under which a change of a file may be told.
	names func(inode uint64) []string
	// past: some of these names may be gone.
	past bool
}

// unexplained lists what differs though no Event says so.
func (j judge) unexplained() []string {
	_, unknown := hiddenIn(j.events)
	told := func(path string) bool {
		one := map[string]string{path: "changed"}
		if _, is := j.after.text[path]; !is && j.past {
			return len(unexplained(one, nil, j.events)) == 0 || j.belowNew(path)
		}
		return len(unexplained(nil, one, j.events)) == 0
	}
	was := maps.Clone(j.before.text)
	for path, inode := range j.after.inodes {
		// The same file, changed under whatever name.
		if j.before.inodes[path] == inode && (unknown || slices.ContainsFunc(j.names(inode), told)) {
			was[path] = j.after.text[path]
		}
	}
	bad := unexplained(was, j.after.text, j.events)
	around := map[string]bool{}
	for _, e := range j.events {
		dir, _ := splitLast(e.Path)
		around[dir] = true
	}
	for path, time := range j.after.times {
		old, is := j.before.times[path]
		if is && old != time && !around[path] && !told(path) {
			bad = append(bad, fmt.Sprintf("%q: the directory's time: %v, now %v", path, old, time))
		}
	}
	return bad
}

// belowNew reports whether a directory above path is told as new: names that
// came and went in it before its watch stood are told of by nobody.
func (j judge) belowNew(path string) bool {
	by := kinds(j.events)
	for path != "" {
		path, _ = splitLast(path)
		if by[path].has(Created | Dir) {
			return true
		}
	}
	return false
}
