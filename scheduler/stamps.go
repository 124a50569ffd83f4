package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fansync/fansync/coalesce"
)

// stampSlack is how far the kernel's clock of file times, which is read in
// other ways than ours, may be ahead of it, in nanoseconds.
const stampSlack = 1e6

// stampers are the filesystems whose times come from this kernel's clock and
// no other: not from a server's, a host's or a program's.
var stampers = []int64{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC,
	unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
}

// stamps are the times of a path, in nanoseconds since 1970.
type stamps struct {
	mtime, ctime int64
	born         int64 // when its inode was made; 0 if that is not known
	own          bool  // this kernel's clock gave them, unless they were set by hand
}

// stamps reads the times of path, which was just looked at.
func (l *looker) stamps(path string) (stamps, error) {
	at, err := l.look(path)
	if err != nil {
		return stamps{}, err
	}
	if at.missing || at.path != path {
		return stamps{}, fmt.Errorf("open %q: %w", path, unix.ENOENT)
	}
	// One descriptor, so that a file mounted over another is not taken for it.
	fd, err := unix.Openat(l.fds[len(l.names)], path[strings.LastIndexByte(path, '/')+1:], unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return stamps{}, fmt.Errorf("open %q: %w", path, err)
	}
	// Closing an O_PATH descriptor cannot fail in a way that matters.
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return stamps{}, fmt.Errorf("find the filesystem of %q: %w", path, err)
	}
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MTIME|unix.STATX_CTIME|unix.STATX_BTIME, &st); err != nil {
		return stamps{}, fmt.Errorf("stat %q: %w", path, err)
	}
	s := stamps{mtime: nano(st.Mtime), ctime: nano(st.Ctime), own: slices.Contains(stampers, int64(fs.Type))}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.born = nano(st.Btime)
	}
	return s, nil
}

func nano(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

// written is when the regular file's content was last written, by the clock
// that stamped it. False if the mtime may have been set by hand: then it is far
// from ctime, later, or has no fraction, as on a filesystem that keeps whole
// seconds.
func (s stamps) written() (int64, bool) {
	d := s.ctime - s.mtime
	return s.mtime, s.own && d >= 0 && d <= mtimeSlack && s.mtime%1e9 != 0
}

// made is when the inode was made; nobody sets that time by hand.
func (s stamps) made() (int64, bool) { return s.born, s.own && s.born%1e9 != 0 }

// wall reads the clock that stamps files. It keeps the most that it was ever
// ahead of our own: if it is set back, files may have times still to come.
func (r *remote) wall() int64 {
	w := r.cfg.Wall()
	r.ahead = max(r.ahead, w-r.cfg.Now())
	return w
}

// landed is a time that no file had from the kernel before f had ended.
func (r *remote) landed(f *flight) int64 { return max(f.wall, f.end+r.ahead) }

// unseen reports whether e, which is Racy and was found as at, is not so any
// more by what the kernel says of it now:
//
//   - A regular file last written after every flight that may have sent the
//     path: what they sent has an older mtime, and the quick check will see it.
//     A file that was read half, or rewritten within a tick of the clock, has
//     a time from before the end of the flight.
//   - A directory made after all of them. What they found at the path, if
//     anything, was another one, whose removal has an entry of its own, or is
//     in this one as Gone or Subtree.
//
// No flight is in the air there: what is blocked is not picked.
func (r *remote) unseen(e coalesce.Entry, at found, look *looker) bool {
	newDir := at.dir() && e.Has(coalesce.Name) && !e.Any(coalesce.Subtree|coalesce.Children|coalesce.Moved|coalesce.Gone)
	if at.path != e.Path || !newDir && !at.regular() {
		return false
	}
	s, err := r.cfg.stamps(look, e.Path)
	if err != nil {
		r.log.Debug("look up times", "path", e.Path, "err", err)
		return false
	}
	t, ok := s.written()
	if newDir {
		t, ok = s.made()
	}
	if !ok || t <= r.past+stampSlack {
		return false
	}
	return !slices.ContainsFunc(r.recent, func(f *flight) bool {
		return t <= r.landed(f)+stampSlack && f.touches(e)
	})
}
