package mirrortest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// The methods of this file are the single acts that operations are made of.
// Each does its system call, moves the picture along and adds a part to the
// log line. After a failure they still move the picture, so that an operation
// need not look, but touch nothing any more.

func (h *History) act(do func() error, format string, args ...any) {
	if h.err != nil {
		return
	}
	if len(h.line) > 0 {
		h.pause(4)
	}
	h.line = append(h.line, fmt.Sprintf(format, args...))
	h.err = do()
}

// content makes up bytes that differ from those made up before.
func (h *History) content(size int64) (data []byte, id uint64) {
	h.serial++
	r := rand.NewPCG(h.seed, h.serial)
	data = make([]byte, (size+7)/8*8)
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], r.Uint64())
	}
	if size > 0 {
		data[0] = byte(h.serial)
	}
	return data[:size], h.serial
}

// put writes data to the file at path, which is no symbolic link.
func put(path string, flag int, data []byte, off int64) error {
	f, err := os.OpenFile(path, flag|os.O_WRONLY|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	if flag&os.O_APPEND != 0 {
		_, err = f.Write(data)
	} else {
		_, err = f.WriteAt(data, off)
	}
	return errors.Join(err, f.Close())
}

func (h *History) create(dir *entry, name string, size int64) *entry {
	data, id := h.content(size)
	e := (&entry{kind: regular, ino: &inode{size, h.round}}).attach(dir, name)
	h.act(func() error { return put(h.real(e), os.O_CREATE|os.O_EXCL, data, 0) },
		"create %s size %d content %d", h.show(e), size, id)
	return e
}

// overwrite replaces the whole content; a write of the same size leaves the
// file's blocks in place.
func (h *History) overwrite(e *entry, size int64) {
	data, id := h.content(size)
	flag := 0
	if size != e.ino.size {
		flag = os.O_TRUNC
	}
	e.ino.size = size
	h.act(func() error { return put(h.real(e), flag, data, 0) },
		"overwrite %s size %d content %d", h.show(e), size, id)
}

func (h *History) append(e *entry, size int64) {
	data, id := h.content(size)
	e.ino.size += size
	h.act(func() error { return put(h.real(e), os.O_APPEND, data, 0) },
		"append to %s size %d content %d", h.show(e), size, id)
}

// writeAt writes at an offset that may lie behind the end, which leaves a hole.
func (h *History) writeAt(e *entry, off, size int64) {
	data, id := h.content(size)
	e.ino.size = max(e.ino.size, off+size)
	h.act(func() error { return put(h.real(e), 0, data, off) },
		"write to %s at %d size %d content %d", h.show(e), off, size, id)
}

func (h *History) truncate(e *entry, size int64) {
	e.ino.size = size
	h.act(func() error { return unix.Truncate(h.real(e), size) }, "truncate %s to %d", h.show(e), size)
}

// mmap replaces the content of a file that is not empty through a mapping.
func (h *History) mmap(e *entry) {
	data, id := h.content(e.ino.size)
	h.act(func() error {
		f, err := os.OpenFile(h.real(e), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		m, err := unix.Mmap(int(f.Fd()), 0, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		copy(m, data)
		return unix.Munmap(m)
	}, "write by mmap %s content %d", h.show(e), id)
}

// tmpfile makes a file without a name and links it in. A filesystem that
// cannot do it gets an ordinary file, so that the history is the same.
func (h *History) tmpfile(dir *entry, name string, size int64) {
	data, id := h.content(size)
	e := (&entry{kind: regular, ino: &inode{size, h.round}}).attach(dir, name)
	h.act(func() error {
		f, err := os.OpenFile(h.real(dir), unix.O_TMPFILE|os.O_WRONLY, 0o644)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
			return put(h.real(e), os.O_CREATE|os.O_EXCL, data, 0)
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.Write(data); err != nil {
			return err
		}
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()),
			unix.AT_FDCWD, h.real(e), unix.AT_SYMLINK_FOLLOW)
	}, "create without a name and link %s size %d content %d", h.show(e), size, id)
}

func (h *History) mkdir(dir *entry, name string) *entry {
	e := (&entry{kind: directory}).attach(dir, name)
	h.act(func() error { return unix.Mkdir(h.real(e), 0o755) }, "mkdir %s", h.show(e))
	return e
}

func (h *History) symlink(dir *entry, name, target string) {
	e := (&entry{kind: symlink}).attach(dir, name)
	h.act(func() error { return unix.Symlink(target, h.real(e)) }, "symlink %s to %q", h.show(e), target)
}

func (h *History) mkfifo(dir *entry, name string) {
	e := (&entry{kind: fifo}).attach(dir, name)
	h.act(func() error { return unix.Mkfifo(h.real(e), 0o644) }, "mkfifo %s", h.show(e))
}

func (h *History) link(e *entry, dir *entry, name string) *entry {
	l := (&entry{kind: regular, ino: e.ino}).attach(dir, name)
	h.act(func() error { return unix.Link(h.real(e), h.real(l)) }, "link %s to %s", h.show(e), h.show(l))
	return l
}

func (h *History) unlink(e *entry) {
	path, shown := h.real(e), h.show(e)
	e.detach()
	h.act(func() error { return unix.Unlink(path) }, "unlink %s", shown)
}

func (h *History) removeAll(e *entry) {
	path, shown := h.real(e), h.show(e)
	e.detach()
	h.act(func() error { return os.RemoveAll(path) }, "remove all %s", shown)
}

// rename moves e, replacing what has the name there already; the caller sees
// to it that the kinds allow it.
func (h *History) rename(e, dir *entry, name string) {
	from, shown := h.real(e), h.show(e)
	old := dir.child(name)
	// The kernel does nothing when both names are the same file.
	if old != e && (old == nil || old.ino == nil || old.ino != e.ino) {
		if old != nil {
			old.detach()
		}
		e.detach()
		e.attach(dir, name)
	}
	to := h.join(dir, name)
	h.act(func() error { return unix.Rename(from, to) },
		"rename %s to %s", shown, h.show(&entry{parent: dir, name: name}))
}

// exchange swaps two entries of any kinds, neither of which lies in the other.
// A filesystem that cannot do it in one step gets three renames.
func (h *History) exchange(a, b *entry) {
	pa, pb := h.real(a), h.real(b)
	shown := fmt.Sprintf("exchange %s and %s", h.show(a), h.show(b))
	da, na, db, nb := a.parent, a.name, b.parent, b.name
	a.detach()
	b.detach()
	a.attach(db, nb)
	b.attach(da, na)
	h.act(func() error {
		err := unix.Renameat2(unix.AT_FDCWD, pa, unix.AT_FDCWD, pb, unix.RENAME_EXCHANGE)
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return err
		}
		tmp := h.outerPath + "/exchange"
		return errors.Join(unix.Rename(pa, tmp), unix.Rename(pb, pa), unix.Rename(tmp, pb))
	}, "%s", shown)
}

func (h *History) chmod(e *entry, mode uint32) {
	h.act(func() error { return unix.Fchmodat(unix.AT_FDCWD, h.real(e), mode, 0) },
		"chmod %s to %#o", h.show(e), mode)
}

func (h *History) chown(e *entry, uid, gid int) {
	h.act(func() error { return unix.Lchown(h.real(e), uid, gid) }, "chown %s to %d:%d", h.show(e), uid, gid)
}

// utimes sets the modification time, and the access time too if both.
func (h *History) utimes(e *entry, t [2]int64, both bool) {
	mtime := unix.Timespec{Sec: t[0], Nsec: t[1]}
	atime := unix.Timespec{Nsec: unix.UTIME_OMIT}
	if both {
		atime = mtime
	}
	h.act(func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, h.real(e), []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
	}, "set times of %s to %d.%09d both %t", h.show(e), t[0], t[1], both)
}

// keepTime runs change and sets the modification time back to what it was.
func (h *History) keepTime(e *entry, change func()) {
	if h.err != nil {
		return
	}
	var st unix.Stat_t
	if h.err = unix.Lstat(h.real(e), &st); h.err != nil {
		h.line = append(h.line, "lstat "+h.show(e))
		return
	}
	change()
	h.act(func() error {
		times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, st.Mtim}
		return unix.UtimesNanoAt(unix.AT_FDCWD, h.real(e), times, unix.AT_SYMLINK_NOFOLLOW)
	}, "set the former time of %s", h.show(e))
}

// hold opens a file for appending and keeps it open.
func (h *History) hold(e *entry) {
	h.act(func() error {
		f, err := os.OpenFile(h.real(e), os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0)
		if err == nil {
			h.held = append(h.held, heldFile{f, e, h.show(e)})
		}
		return err
	}, "open %s and keep it", h.show(e))
}

// writeHeld appends to a file that is open, wherever its names are by now.
func (h *History) writeHeld(f heldFile, size int64) {
	data, id := h.content(size)
	f.entry.ino.size += size
	h.act(func() error {
		_, err := f.file.Write(data)
		return err
	}, "append to open %s size %d content %d", f.was, size, id)
}
