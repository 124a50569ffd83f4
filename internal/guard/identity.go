package guard

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Identity tells directories apart. Two of one program run that are equal are
// the same directory. Across a remount or a reboot, Dev (and on some
// filesystems FSID) may change though the directory is the same.
type Identity struct {
	// Dev and Ino are the device and inode numbers.
	Dev, Ino uint64
	// FSID is the filesystem's own id. It tells two filesystems apart that
	// were mounted from the same device one after the other.
	FSID uint64
}

// String is the identity in a form fit for a file or a log.
func (id Identity) String() string { return fmt.Sprintf("%s:%d", id.device(), id.Ino) }

func (id Identity) device() string {
	return fmt.Sprintf("%d:%d:%x", unix.Major(id.Dev), unix.Minor(id.Dev), id.FSID)
}

// identify reads the identity of an open directory.
func identify(dir *os.File) (Identity, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(dir.Fd()), &st) }); err != nil {
		return Identity{}, fmt.Errorf("stat root: %w", err)
	}
	var fs unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(int(dir.Fd()), &fs) }); err != nil {
		return Identity{}, fmt.Errorf("statfs root: %w", err)
	}
	fsid := uint64(uint32(fs.Fsid.Val[0])) | uint64(uint32(fs.Fsid.Val[1]))<<32
	return Identity{Dev: uint64(st.Dev), Ino: st.Ino, FSID: fsid}, nil
}

// hasEntries reports whether an open directory holds anything.
func hasEntries(dir *os.File) (bool, error) {
	if _, err := dir.Seek(0, 0); err != nil {
		return false, fmt.Errorf("read root: %w", err)
	}
	buf := make([]byte, 4096)
	for {
		var n int
		err := retry(func() (err error) {
			n, err = unix.Getdents(int(dir.Fd()), buf)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("read root: %w", err)
		}
		if n == 0 {
			return false, nil
		}
		if _, found, _ := unix.ParseDirent(buf[:n], 1, nil); found > 0 {
			return true, nil
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
