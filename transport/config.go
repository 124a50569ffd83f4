package transport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const defaultSSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15"

// Config says how batches reach one remote.
type Config struct {
	// Root is the source directory, absolute.
	Root string
	// Dest is where the content of Root goes.
	Dest Dest
	// PasswordFile holds the daemon's password in its first line. Empty means
	// none. Only a Daemon destination has one.
	PasswordFile string
	// SSH is the remote shell with its options, split at blanks as rsync does
	// (quotes group). "-o BatchMode=yes" is added if BatchMode is not in it.
	// Empty means ssh with sensible timeouts.
	SSH string
	// Options are further rsync options, one word each.
	Options []string
	// Filters are rsync filter rules, such as "- *.tmp" or "+ /keep/"; the
	// first that matches counts. What they exclude is not deleted either.
	Filters []string
	// FullFilters are rules "- PATTERN" for full runs alone, before Filters:
	// what they name is left alone there, and no comparison deletes it.
	FullFilters []string
	// Veto reports whether a path, relative to the root, is excluded though
	// Filters do not say so. Each run that compares directories then looks for
	// such paths first, which costs a walk and a second run. Nil: none is.
	Veto func(path string, isDir bool) bool
	// Delete says what is deleted. Empty means DeleteMirror.
	Delete Delete
	// Program is the rsync to run. Empty means "rsync" from PATH.
	Program string
	// Timeout ends a run in which nothing moved for so long, in whole seconds.
	// Zero means 60s; negative means never.
	Timeout time.Duration
	// ConnectTimeout is for the connection to a daemon, in whole seconds.
	// Zero means 10s; negative leaves it to the kernel.
	ConnectTimeout time.Duration
	// Standbys is how many rsyncs are kept connected and waiting for a list
	// while Keep runs and the remote is Live. Zero or negative means none.
	Standbys int
	// Limits are what the rsyncs to the remote may take.
	Limits Limits
	// OpenRoot opens Root after it has verified its identity. Send closes what
	// it gets. Nil means a plain open of Root.
	OpenRoot func() (*os.File, error)
	// Log hears each run at debug level. Nil discards.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Program == "" {
		c.Program = "rsync"
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.SSH == "" {
		c.SSH = defaultSSH
	} else if !strings.Contains(strings.ToLower(c.SSH), "batchmode") {
		c.SSH += " -o BatchMode=yes"
	}
	if c.OpenRoot == nil {
		root := c.Root
		c.OpenRoot = func() (*os.File, error) { return os.Open(root) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate names what is wrong; the options are checked apart.
func (c Config) validate() error {
	if !filepath.IsAbs(c.Root) {
		return fmt.Errorf("root %q is not absolute", c.Root)
	}
	switch c.Dest.Kind {
	case Local:
		if !filepath.IsAbs(c.Dest.Path) {
			return fmt.Errorf("destination %q is not absolute", c.Dest.Path)
		}
	case Daemon:
		if c.Dest.Host == "" || c.Dest.Module == "" {
			return fmt.Errorf("destination %q has no host or no module", c.Dest)
		}
	case SSH:
		if c.Dest.Host == "" || c.Dest.Path == "" {
			return fmt.Errorf("destination %q has no host or no path", c.Dest)
		}
	}
	for _, rule := range slices.Concat(c.Filters, c.FullFilters) {
		if strings.TrimSpace(rule) == "" || strings.ContainsAny(rule, "\x00\n") {
			return fmt.Errorf("filter rule %q: it is empty or has a newline or NUL in it", rule)
		}
	}
	if err := c.Limits.check(c.Options); err != nil {
		return err
	}
	if strings.ContainsRune(c.SSH, 0) {
		return fmt.Errorf("ssh command %q: it contains a NUL byte", c.SSH)
	}
	if c.PasswordFile == "" {
		return nil
	}
	if c.Dest.Kind != Daemon {
		return fmt.Errorf("password file %s: only an rsync daemon asks for a password, %s is not one", c.PasswordFile, c.Dest)
	}
	return checkPasswordFile(c.PasswordFile)
}

// checkPasswordFile applies rsync's own rules before any batch fails by them.
func checkPasswordFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("password file %s does not exist: write the password into it and chmod 600 %s", name, name)
	case err != nil:
		return fmt.Errorf("password file %s: %s", name, plain(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("password file %s is not a regular file", name)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("password file %s can be read by others: chmod 600 %s", name, name)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("password file %s belongs to another user: chown %d %s", name, os.Geteuid(), name)
	}
	data, err := readStart(name)
	if err != nil {
		return fmt.Errorf("password file %s: %s: chmod 600 %s as its owner", name, plain(err), name)
	}
	if line, _, _ := strings.Cut(data, "\n"); strings.TrimSpace(line) == "" {
		return fmt.Errorf("password file %s is empty: the password stands in its first line", name)
	}
	return nil
}

// readStart is the beginning of a small file.
func readStart(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(data), err
}
