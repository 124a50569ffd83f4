package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fansync/fansync/bench/engine/session"
)

// Module is one mirror.
type Module struct {
	// Name is the module's, of letters, digits, "-" and "_".
	Name string
	// Path is the absolute path of its directory, which must be there. A Dead
	// one needs none.
	Path string
	// KBs slows what is sent to it, to so many KiB/s for all connections
	// together. Zero does not.
	KBs int
	// Dead: connections to it are refused.
	Dead bool
}

// Config describes the mirrors of one cell.
type Config struct {
	// Dir is a directory for the daemon's configuration and log. The caller
	// removes it.
	Dir string
	// Port is the port of all modules. Zero takes a free one.
	Port int
	// Modules are one or more.
	Modules []Module
}

// Daemon is a running rsync daemon with its relays.
type Daemon struct {
	cfg     Config
	port    int
	addrs   map[string]netip.Addr // by module
	session *session.Session
	relays  []*relay
	dead    []*placeholder
	wire    *wire // nil: the kernel does not tell
	log     *logReader
	stopped bool
}

// local is where the daemon itself listens; further addresses follow it.
var local = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Stopping the daemon, it has stopGrace to remove its temporary files. Starting
// it, it has startWithin to answer.
const (
	stopGrace   = 3 * time.Second
	startWithin = 10 * time.Second
)

// Start starts the daemon and returns when every module that is not dead answers.
// ctx is for the starting alone; the caller must Stop the Daemon.
func Start(ctx context.Context, cfg Config) (*Daemon, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	rsync, err := exec.LookPath("rsync")
	if err != nil {
		return nil, fmt.Errorf("start an rsync daemon: %w; install rsync", err)
	}
	for tries := 1; ; tries++ {
		d, err := start(ctx, cfg, rsync)
		if err == nil {
			return d, nil
		}
		// A port that was free a moment ago can be somebody's now.
		if cfg.Port != 0 || tries == 5 || !errors.Is(err, errInUse) {
			return nil, err
		}
	}
}

// errInUse says that a port belongs to somebody else.
var errInUse = errors.New("it is in use: choose another port or end what listens there")

func start(ctx context.Context, cfg Config, rsync string) (_ *Daemon, err error) {
	d := &Daemon{cfg: cfg, port: cfg.Port, addrs: map[string]netip.Addr{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Stop())
		}
	}()
	if d.port == 0 {
		if d.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	at := local
	for _, m := range cfg.Modules {
		d.addrs[m.Name] = local
		switch {
		case m.Dead:
			at = at.Next()
			p, err := hold(netip.AddrPortFrom(at, uint16(d.port)))
			if err != nil {
				return nil, err
			}
			d.dead = append(d.dead, p)
			d.addrs[m.Name] = at
		case m.KBs > 0:
			at = at.Next()
			r, err := newRelay(netip.AddrPortFrom(at, uint16(d.port)), d.daemon(), m.KBs)
			if err != nil {
				return nil, err
			}
			d.relays = append(d.relays, r)
			d.addrs[m.Name] = at
		}
	}
	d.wire = watchWire(d.daemon())
	d.log = &logReader{path: d.file("log")}
	if err := os.Remove(d.log.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("clear the rsync daemon's log: %w", err)
	}
	if err := os.WriteFile(d.file("rsyncd.conf"), []byte(d.config()), 0o600); err != nil {
		return nil, fmt.Errorf("configure the rsync daemon: %w", err)
	}
	output, err := os.Create(d.file("output"))
	if err != nil {
		return nil, fmt.Errorf("start an rsync daemon: %w", err)
	}
	d.session, err = session.Start(session.Config{
		Argv: []string{rsync, "--daemon", "--no-detach", "--config=" + d.file("rsyncd.conf")},
		Dir:  cfg.Dir, Output: output, Cgroup: -1,
	})
	if err = errors.Join(err, output.Close()); err != nil {
		return nil, err
	}
	return d, d.ready(ctx)
}

func (c Config) validate() error {
	if len(c.Modules) == 0 {
		return errors.New("start an rsync daemon: no modules")
	}
	seen := map[string]bool{}
	for _, m := range c.Modules {
		plain := func(r rune) bool {
			return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
		}
		if m.Name == "" || strings.TrimFunc(m.Name, plain) != "" || seen[m.Name] || m.Name == "global" {
			return fmt.Errorf("start an rsync daemon: the module name %q is empty, odd or taken", m.Name)
		}
		seen[m.Name] = true
		if m.Dead {
			continue
		}
		// rsyncd.conf trims values and replaces %VAR%.
		if !filepath.IsAbs(m.Path) || strings.TrimSpace(m.Path) != m.Path || strings.ContainsAny(m.Path, "\n%\\") {
			return fmt.Errorf("start an rsync daemon: the path %q of module %s cannot stand in rsyncd.conf", m.Path, m.Name)
		}
		if st, err := os.Stat(m.Path); err != nil || !st.IsDir() {
			return errors.Join(fmt.Errorf("start an rsync daemon: the path %s of module %s is no directory", m.Path, m.Name), err)
		}
	}
	return nil
}

func (d *Daemon) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("address = %s", local)
	line("port = %d", d.port)
	line("log file = %s", d.file("log"))
	line("lock file = %s", d.file("lock"))
	line("reverse lookup = no")
	line("munge symlinks = no")
	line("max connections = 0")
	line("read only = no")
	root := os.Geteuid() == 0
	line("use chroot = %t", root)
	if root {
		// The default is nobody, who may own nothing.
		line("uid = 0\ngid = 0")
	}
	for _, m := range d.cfg.Modules {
		if !m.Dead {
			line("[%s]\npath = %s", m.Name, m.Path)
		}
	}
	return b.String()
}

func (d *Daemon) file(name string) string { return filepath.Join(d.cfg.Dir, name) }

func (d *Daemon) daemon() netip.AddrPort { return netip.AddrPortFrom(local, uint16(d.port)) }

// Addr is where a module is to be reached.
func (d *Daemon) Addr(module string) netip.AddrPort {
	return netip.AddrPortFrom(d.addrs[module], uint16(d.port))
}

// PID is the daemon's process.
func (d *Daemon) PID() int { return d.session.PID() }

// Stop ends the daemon with all its transfers and relays. What was Served stays.
// Stopping twice is fine.
func (d *Daemon) Stop() error {
	if d.stopped {
		return nil
	}
	d.stopped = true
	var errs []error
	if d.session != nil {
		_, err := d.session.Stop(stopGrace)
		errs = append(errs, err)
	}
	for _, r := range d.relays {
		errs = append(errs, r.close())
	}
	for _, p := range d.dead {
		errs = append(errs, p.close())
	}
	if d.wire != nil {
		errs = append(errs, d.wire.close())
	}
	return errors.Join(errs...)
}
