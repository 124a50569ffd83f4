package receive

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrNoRsync says that there is no rsync to run.
var ErrNoRsync = errors.New("rsync is not installed: apt-get install rsync (or dnf install rsync)")

const (
	defaultListen = "127.0.0.1"
	defaultPort   = 8873
	defaultUser   = "fansync"
	// fallbackModule stands for a directory whose name has no usable letter.
	fallbackModule = "mirror"
	maxName        = 64
)

// Config says which directory is received into, and how it is reached.
type Config struct {
	// Dir is the directory to receive into. It is made if it is missing and
	// its parent is there. Required.
	Dir string
	// Listen is the IP address to listen on; "localhost" is taken too, and
	// "0.0.0.0" or "::" means every address. Empty means 127.0.0.1.
	Listen string
	// Port is the TCP port. Zero means 8873.
	Port int
	// Module is the name the daemon gives Dir: letters, digits, ".", "_" and
	// "-". Empty means Dir's own name, with "-" for what a name cannot have.
	Module string
	// User is who may write, a name of rsync's alone, not of the system. Empty
	// means "fansync".
	User string
	// StateDir holds the daemon's files; it must be a directory of this
	// daemon's own. Empty means /var/lib/fansync/receive/MODULE for root, else
	// fansync/receive/MODULE below XDG_STATE_HOME or ~/.local/state.
	StateDir string
	// Rsync is the program to run. Empty means rsync from PATH.
	Rsync string
	// Log hears what the daemon says. Nil discards it.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("no directory to receive into was named")
	}
	dir, err := resolve(c.Dir)
	if err != nil {
		return c, fmt.Errorf("resolve %q: %w", c.Dir, err)
	}
	c.Dir = dir
	c.Listen = cmp.Or(c.Listen, defaultListen)
	if c.Listen == "localhost" {
		c.Listen = defaultListen
	}
	c.Port = cmp.Or(c.Port, defaultPort)
	c.Module = cmp.Or(c.Module, moduleOf(dir))
	c.User = cmp.Or(c.User, defaultUser)
	c.Rsync = cmp.Or(c.Rsync, "rsync")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.StateDir == "" {
		base, err := stateBase()
		if err != nil {
			return c, err
		}
		c.StateDir = filepath.Join(base, "fansync", "receive", c.Module)
	}
	if c.StateDir, err = resolve(c.StateDir); err != nil {
		return c, fmt.Errorf("resolve %q: %w", c.StateDir, err)
	}
	return c, nil
}

// resolve makes path absolute and resolves its symlinks, as far as it exists.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for p := abs; ; p = filepath.Dir(p) {
		real, err := filepath.EvalSymlinks(p)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if p == filepath.Dir(p) {
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}

func stateBase() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/lib", nil
	}
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return d, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find a state directory: %w; name one with --state-dir", err)
	}
	return filepath.Join(home, ".local", "state"), nil
}

// moduleOf makes a module's name of a directory's.
func moduleOf(dir string) string {
	safe := strings.Map(func(r rune) rune {
		if r < 0x80 && nameForm.MatchString("x"+string(r)) {
			return r
		}
		return '-'
	}, filepath.Base(dir))
	safe = strings.Trim(safe[:min(len(safe), maxName)], "-.")
	if safe == "" || strings.EqualFold(safe, "global") {
		return fallbackModule
	}
	return safe
}

// nameForm is what rsyncd.conf, a secrets file and a URL all take as it is.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

func (c Config) validate() error {
	switch {
	case c.Dir == "/":
		return errors.New("a mirror deletes what its source does not have, so it may not go into /: name a directory of its own")
	case !nameForm.MatchString(c.Module) || len(c.Module) > maxName:
		return fmt.Errorf("module %q: write at most %d letters, digits, \".\", \"_\" or \"-\", with --module", c.Module, maxName)
	case strings.EqualFold(c.Module, "global"):
		return fmt.Errorf("module %q has a meaning of its own in rsyncd.conf: choose another with --module", c.Module)
	case !nameForm.MatchString(c.User) || len(c.User) > maxName:
		return fmt.Errorf("user %q: write at most %d letters, digits, \".\", \"_\" or \"-\", with --user", c.User, maxName)
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("port %d: give a number from 1 to 65535 with --port", c.Port)
	case within(c.StateDir, c.Dir):
		return fmt.Errorf("state directory %q lies in %q, where the source would read and delete it: choose another with --state-dir", c.StateDir, c.Dir)
	case within(c.Dir, c.StateDir):
		return fmt.Errorf("directory %q lies in the state directory %q: choose another with --state-dir", c.Dir, c.StateDir)
	}
	if addr, err := netip.ParseAddr(c.Listen); err != nil || addr.Zone() != "" {
		return fmt.Errorf("--listen %q is not an IP address: give one of this machine, or 0.0.0.0 for all", c.Listen)
	}
	if err := checkPath(c.Dir); err != nil {
		return fmt.Errorf("directory %q %w", c.Dir, err)
	}
	if err := checkPath(c.StateDir); err != nil {
		return fmt.Errorf("state directory %q %w, or choose another with --state-dir", c.StateDir, err)
	}
	return nil
}

// within reports whether path is dir or lies below it; both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// checkPath refuses what rsyncd.conf cannot hold. Its lines end at a newline,
// with no way to quote one. A "%" begins a variable of the environment, and
// rsync 3.5.0 expands even the "%%" that is meant to stand for one.
func checkPath(path string) error {
	for _, b := range []byte(path) {
		switch {
		case b == '%':
			return errors.New(`has a "%" in its path, which rsyncd.conf takes for a variable: rename it`)
		case b < ' ' || b == 0x7f:
			return errors.New("has a control character in its path, which rsyncd.conf cannot hold: rename it")
		}
	}
	return nil
}

// address is Listen, parsed; validate has seen it.
func (c Config) address() netip.Addr { return netip.MustParseAddr(c.Listen).Unmap() }
