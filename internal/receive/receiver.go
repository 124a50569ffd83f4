package receive

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Receiver is one directory ready to be received into. Run it once, or Close
// it.
type Receiver struct {
	conf  Config
	rsync string
	state *state
	ready chan struct{}
}

// Prepare checks everything that can be checked and writes the daemon's files.
// Nothing runs yet. The error says what to do.
func Prepare(c Config) (*Receiver, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(c.Rsync)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoRsync
	}
	if err != nil {
		return nil, fmt.Errorf("find rsync: %w", err)
	}
	if err := prepareDir(c.Dir); err != nil {
		return nil, err
	}
	if err := checkPort(c); err != nil {
		return nil, err
	}
	s, err := openState(c.StateDir)
	if err != nil {
		return nil, err
	}
	if err := writeState(s, c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if os.Geteuid() != 0 {
		c.Log.Warn("not root: received files belong to this user, and symbolic links that are absolute or lead out of the directory are changed")
	}
	return &Receiver{conf: c, rsync: program, state: s, ready: make(chan struct{})}, nil
}

func prepareDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("directory %q and the one above it are missing: check the name, or make it with mkdir -p", dir)
		} else if err != nil {
			return fmt.Errorf("make the directory to receive into: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("look at the directory to receive into: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%q is not a directory: name one", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("directory %q cannot be written by this user: %w", dir, err)
	}
	return nil
}

// checkPort tells what rsync would say less clearly.
func checkPort(c Config) error {
	l, err := net.Listen("tcp", c.listenAddr())
	switch {
	case err == nil:
		if err := l.Close(); err != nil {
			return fmt.Errorf("free port %d again: %w", c.Port, err)
		}
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("port %d of %s is in use: stop what listens there, or choose another with --port", c.Port, c.Listen)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine: choose another with --listen", c.Listen)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d is for root alone: choose one above 1023 with --port", c.Port)
	}
	return fmt.Errorf("listen on %s: %w", c.listenAddr(), err)
}

func (c Config) listenAddr() string { return net.JoinHostPort(c.Listen, strconv.Itoa(c.Port)) }

func writeState(s *state, c Config) error {
	if err := s.claim(c.Dir); err != nil {
		return err
	}
	password, err := s.password()
	if err != nil {
		return err
	}
	if err := s.write(secretsFile, c.User+":"+password+"\n"); err != nil {
		return err
	}
	return s.write(confFile, rsyncdConf(c, os.Geteuid() == 0))
}

// Close gives up a Receiver that is not run.
func (r *Receiver) Close() error { return r.state.close() }

// Ready is closed when the daemon answers.
func (r *Receiver) Ready() <-chan struct{} { return r.ready }

// PasswordFile is where the password stands.
func (r *Receiver) PasswordFile() string { return r.state.file(passwordFile) }

// SourceLine is the command to run at the source, for a shell. If the source
// can be another machine, a comment before it says where the password is.
func (r *Receiver) SourceLine(src string) string {
	c := r.conf
	if strings.HasPrefix(src, "-") {
		src = "./" + src
	}
	addr := c.address()
	host, password, note := c.Listen, r.PasswordFile(), ""
	if addr.IsUnspecified() {
		host = c.Listen
		if name, err := os.Hostname(); err == nil && name != "" {
			host = name
		}
	}
	if !addr.IsLoopback() {
		copied := "fansync-" + c.Module + ".password"
		note = fmt.Sprintf("# first copy %s of this machine to the source, as %s with mode 0600\n", quote(password), copied)
		password = copied
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	url := fmt.Sprintf("rsync://%s@%s:%d/%s/", c.User, host, c.Port, c.Module)
	return note + strings.Join([]string{"fansync", quote(src), quote(url), "--password-file", quote(password)}, " ")
}

// quote makes s one word of a shell's command line.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:@%+=,-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
