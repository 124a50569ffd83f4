package watcher

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	fanInit = unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK |
		unix.FAN_REPORT_DFID_NAME_TARGET | unix.FAN_UNLIMITED_MARKS
	fanMask = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_RENAME | unix.FAN_MODIFY |
		unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB | unix.FAN_ONDIR
)

// openFanotify opens a group with a mark on the root's filesystem and tries
// that handles can be opened. If it is impossible, fd is negative and why says
// so.
func openFanotify(cfg Config) (fd int, why string) {
	flags := uint(fanInit)
	if !cfg.boundedQueue {
		flags |= unix.FAN_UNLIMITED_QUEUE
	}
	fd, err := unix.FanotifyInit(flags, unix.O_RDONLY|unix.O_CLOEXEC)
	switch {
	case errors.Is(err, unix.EPERM):
		return -1, "fanotify needs root or CAP_SYS_ADMIN"
	case errors.Is(err, unix.EINVAL):
		return -1, "this kernel's fanotify does not report renames and names (needs 5.17)"
	case errors.Is(err, unix.ENOSYS):
		return -1, "this kernel has no fanotify"
	case errors.Is(err, unix.EMFILE):
		return -1, "no fanotify group is free (sysctl -w fs.fanotify.max_user_groups=1024)"
	case err != nil:
		return -1, fmt.Sprintf("open a fanotify group: %v", err)
	}
	err = markFilesystem(fd, cfg)
	if err == nil {
		err = tryHandles(cfg.Root)
	}
	if err == nil {
		return fd, ""
	}
	unix.Close(fd)
	return -1, refusal(cfg.Root, err)
}

// refusal says why the filesystem of root could not be marked, or its handles
// not be opened.
func refusal(root string, err error) string {
	fs, _ := fsName(root)
	switch {
	case errors.Is(err, unix.EPERM):
		return "fanotify needs root or CAP_SYS_ADMIN, and CAP_DAC_READ_SEARCH"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ESTALE):
		return fmt.Sprintf("filesystem %s gives no file handles", fs)
	case errors.Is(err, unix.EXDEV):
		return fmt.Sprintf("the root is a subvolume of a filesystem %s, which cannot be marked by itself", fs)
	}
	return fmt.Sprintf("mark the filesystem %s: %v", fs, err)
}

// markFilesystem asks for the events of the whole filesystem that holds the
// root. What others have asked for by the same group stays.
func markFilesystem(fd int, cfg Config) error {
	mask := uint64(fanMask)
	if cfg.NoModify {
		mask &^= unix.FAN_MODIFY
	}
	return unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, mask, unix.AT_FDCWD, cfg.Root)
}

// tryHandles sees whether a handle of the root leads back to it.
func tryHandles(root string) error {
	dir, err := openDir(root)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var buf, back handleBuf
	key, _, err := handleOf(dir, &buf)
	if err != nil {
		return err
	}
	fd, err := openHandle(dir, key)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	again, _, err := handleOf(fd, &back)
	if err != nil {
		return err
	}
	if string(again) != string(key) {
		return unix.ESTALE
	}
	if _, err := readlinkFD(fd, make([]byte, unix.PathMax)); err != nil {
		return fmt.Errorf("read /proc/self/fd: %w", err)
	}
	return nil
}

// anonymous reports whether name is what the kernel calls a file opened with
// O_TMPFILE, "#" and its inode number: linked under a real name later, its
// writes are still reported under this one.
func anonymous(name []byte) bool {
	if len(name) < 2 || len(name) > 1+len("18446744073709551615") || name[0] != '#' {
		return false
	}
	for _, c := range name[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
