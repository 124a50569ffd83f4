package mirrortest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

// DaemonConfig describes an rsync daemon.
type DaemonConfig struct {
	// Modules maps a module's name to the absolute path of its directory,
	// which is made if it is missing.
	Modules map[string]string
	// User and Password protect every module. Without a User anybody may
	// enter.
	User, Password string
	// ReadOnly refuses uploads; otherwise modules can be written.
	ReadOnly bool
	// Chroot confines each transfer to its module, for root only: the test is
	// skipped for others. Without it the daemon rewrites symbolic links as it
	// stores them: a leading slash goes, and so does each leading ".." that
	// would leave the module.
	Chroot bool
	// MaxConnections limits each module's connections. Zero means no limit.
	MaxConnections int
	// Global and Module are further lines of rsyncd.conf, for the head of the
	// file and for every module. They come last, so they win.
	Global, Module []string
}

// Daemon is a real rsync daemon on a port of 127.0.0.1. Its methods are for
// one goroutine at a time.
type Daemon struct {
	cfg   DaemonConfig
	tb    testing.TB
	rsync string
	dir   string
	port  int
	child *child
}

// StartDaemon starts a daemon that accepts connections when StartDaemon
// returns and that is gone, with its transfers, when the test ends.
func StartDaemon(tb testing.TB, cfg DaemonConfig) *Daemon {
	tb.Helper()
	if cfg.Chroot {
		NeedRoot(tb)
	}
	d := &Daemon{cfg: cfg, tb: tb, rsync: NeedProgram(tb, "rsync"), dir: tb.TempDir()}
	for name, path := range cfg.Modules {
		if !filepath.IsAbs(path) || strings.TrimSpace(path) != path || strings.ContainsAny(path, "\n%") {
			tb.Fatalf("path %q of module %q cannot stand in rsyncd.conf", path, name)
		}
		if err := os.MkdirAll(path, 0o755); err != nil {
			tb.Fatalf("make directory of module %q: %v", name, err)
		}
	}
	if cfg.User != "" {
		d.write("secrets", cfg.User+":"+cfg.Password+"\n")
		d.write("password", cfg.Password+"\n")
	}
	tb.Cleanup(d.Stop)
	var err error
	for range 5 {
		if d.port, err = freePort(); err != nil {
			tb.Fatal(err)
		}
		d.write("rsyncd.conf", d.config())
		if d.child, err = d.launch(); !errors.Is(err, errExited) {
			break // only a clash on the port is worth another try
		}
	}
	if err != nil {
		tb.Fatalf("start rsync daemon: %v\n%s%s", err, d.read("output"), d.Log())
	}
	return d
}

func (d *Daemon) launch() (*child, error) {
	return serve(d.file("output"), d.port, "@RSYNCD:", d.rsync, "--daemon", "--no-detach", "--config="+d.file("rsyncd.conf"))
}

func (d *Daemon) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("address = 127.0.0.1")
	line("port = %d", d.port)
	line("log file = %s", d.file("log"))
	line("lock file = %s", d.file("lock"))
	line("reverse lookup = no")
	line("use chroot = %t", d.cfg.Chroot)
	line("munge symlinks = no")
	if os.Geteuid() == 0 {
		// The default is nobody, who may own nothing and write nowhere.
		line("uid = 0\ngid = 0")
	}
	for _, l := range d.cfg.Global {
		line("%s", l)
	}
	names := make([]string, 0, len(d.cfg.Modules))
	for name := range d.cfg.Modules {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		line("[%s]", name)
		line("path = %s", d.cfg.Modules[name])
		line("read only = %t", d.cfg.ReadOnly)
		line("max connections = %d", d.cfg.MaxConnections)
		if d.cfg.User != "" {
			line("auth users = %s", d.cfg.User)
			line("secrets file = %s", d.file("secrets"))
		}
		for _, l := range d.cfg.Module {
			line("%s", l)
		}
	}
	return b.String()
}

func (d *Daemon) file(name string) string { return filepath.Join(d.dir, name) }

func (d *Daemon) write(name, text string) {
	d.tb.Helper()
	if err := os.WriteFile(d.file(name), []byte(text), 0o600); err != nil {
		d.tb.Fatalf("write %s of the rsync daemon: %v", name, err)
	}
}

func (d *Daemon) read(name string) string {
	b, err := os.ReadFile(d.file(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		d.tb.Errorf("read %s of the rsync daemon: %v", name, err)
	}
	return string(b)
}

// Port is the daemon's port; it stays the same over a Restart.
func (d *Daemon) Port() int { return d.port }

// Addr is the daemon's host and port.
func (d *Daemon) Addr() string { return address(d.port) }

// URL names a place in a module, sub may be "":
// rsync://user@127.0.0.1:port/module/sub.
func (d *Daemon) URL(module, sub string) string {
	return "rsync://" + d.login() + d.Addr() + "/" + place(module, sub)
}

// Dest names a place in a module in the form user@127.0.0.1::module/sub,
// which needs --port besides.
func (d *Daemon) Dest(module, sub string) string {
	return d.login() + "127.0.0.1::" + place(module, sub)
}

func (d *Daemon) login() string {
	if d.cfg.User == "" {
		return ""
	}
	return d.cfg.User + "@"
}

func place(module, sub string) string {
	if sub == "" {
		return module
	}
	return module + "/" + sub
}

// PasswordFile is for --password-file; "" if the modules are open to all.
func (d *Daemon) PasswordFile() string {
	if d.cfg.User == "" {
		return ""
	}
	return d.file("password")
}

// Stop kills the daemon and its transfers. Connections are refused from then
// on. Stopping twice is fine.
func (d *Daemon) Stop() {
	d.tb.Helper()
	if d.child == nil {
		return
	}
	if err := d.child.kill(); err != nil {
		d.tb.Errorf("stop rsync daemon: %v", err)
	}
	d.child = nil
}

// Restart stops the daemon and starts it again on the same port.
func (d *Daemon) Restart() {
	d.tb.Helper()
	d.Stop()
	var err error
	for end := time.Now().Add(startWithin); ; time.Sleep(pollEvery) {
		d.child, err = d.launch()
		if err == nil {
			return
		}
		if !errors.Is(err, errExited) || time.Now().After(end) {
			d.tb.Fatalf("restart rsync daemon: %v\n%s%s", err, d.read("output"), d.Log())
		}
	}
}

// Drop kills the transfers that run now; the daemon goes on accepting.
func (d *Daemon) Drop() {
	d.tb.Helper()
	if d.child == nil {
		return
	}
	if err := d.child.killDescendants(); err != nil {
		d.tb.Errorf("drop transfers of rsync daemon: %v", err)
	}
}

// Freeze makes the daemon and its transfers hang: the kernel still accepts
// connections, nobody answers. Thaw ends it.
func (d *Daemon) Freeze() { d.tb.Helper(); d.signal(syscall.SIGSTOP) }

// Thaw lets a frozen daemon go on.
func (d *Daemon) Thaw() { d.tb.Helper(); d.signal(syscall.SIGCONT) }

func (d *Daemon) signal(sig syscall.Signal) {
	d.tb.Helper()
	if d.child == nil {
		return
	}
	if err := d.child.signal(sig); err != nil {
		d.tb.Errorf("signal rsync daemon: %v", err)
	}
}

// Log is the daemon's log so far, over all its restarts.
func (d *Daemon) Log() string { return d.read("log") }

// runLine is what the daemon logs when a client has logged in and told its
// direction: "on" for a download, "to" for an upload.
var runLine = regexp.MustCompile(`(?m)^\S+ \S+ \[\d+\] rsync (on|to) `)

// Runs is how many transfers the daemon has begun to serve over all its
// restarts. A client that waits for its list of paths counts already; one
// that was refused does not.
func (d *Daemon) Runs() int { return len(runLine.FindAllString(d.Log(), -1)) }
