package receive

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// passwordLen gives 160 bits in the base32 alphabet of rand.Text.
const passwordLen = 32

// state is the daemon's own directory, locked against a second daemon.
type state struct {
	dir  string
	lock *os.File
}

// openState makes the directory if it is missing and locks it.
func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w; choose another with --state-dir", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("look at state directory: %w", err)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		return nil, fmt.Errorf("state directory %s belongs to another user (uid %d): choose another with --state-dir", dir, uid)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("close state directory to others: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, ownLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of state directory: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("state directory %s is in use by another fansync receive: stop it, or choose another name with --module", dir)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &state{dir: dir, lock: lock}, nil
}

func (s *state) close() error { return s.lock.Close() }

func (s *state) file(name string) string { return filepath.Join(s.dir, name) }

// claim refuses a state directory that served another directory before: its
// sources would delete there what they do not have.
func (s *state) claim(dir string) error {
	conf, err := os.ReadFile(s.file(confFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the last configuration: %w", err)
	}
	if was := confPath(string(conf)); was != "" && was != dir {
		return fmt.Errorf("this module received into %q before, and its sources would now write into %q: choose another name with --module, or remove %s", was, dir, s.file(confFile))
	}
	return nil
}

// write replaces a file at once: a daemon that reads it meanwhile gets the old
// one or the new one, whole.
func (s *state) write(name, text string) error {
	// CreateTemp gives it mode 0600 from the start.
	f, err := os.CreateTemp(s.dir, name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.file(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}

// password gives the kept password, or makes one.
func (s *state) password() (string, error) {
	data, err := os.ReadFile(s.file(passwordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		password := (rand.Text() + rand.Text())[:passwordLen]
		return password, s.write(passwordFile, password+"\n")
	case err != nil:
		return "", fmt.Errorf("read password: %w", err)
	}
	password, _, _ := strings.Cut(string(data), "\n")
	if len(password) < 8 || len(password) > 128 || strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("the first line of %s is no password of 8 to 128 plain characters: remove the file to have one made", s.file(passwordFile))
	}
	if err := os.Chmod(s.file(passwordFile), 0o600); err != nil {
		return "", fmt.Errorf("close password file to others: %w", err)
	}
	return password, nil
}
