package sersync

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/filter"
)

// Options are what sersync's command line says besides the file.
type Options struct {
	// Dir is what relative paths of the file begin at. Empty means the working
	// directory.
	Dir string
	// Compare is -r: all that the remotes have and the source has not is
	// deleted when everything is compared.
	Compare bool
	// Only is -m: the name of a plugin that is told of changes, while nothing is
	// mirrored. Empty means that everything in the file is done.
	Only string
	// Threads is -n; 0 means that it was not given.
	Threads int
}

// Result is what a file says.
type Result struct {
	Config config.Config
	Notes  []Note
}

// mapping makes a configuration of a file.
type mapping struct {
	name   string
	opts   Options
	notes  notes
	errs   []error
	delete string
}

func lower(s string) string { return strings.ToLower(s) }

// fail notes a mistake that stops the file from being used.
func (m *mapping) fail(e *element, name, format string, args ...any) {
	at := m.name
	if e != nil {
		at += ":" + strconv.Itoa(e.line)
	}
	m.errs = append(m.errs, fmt.Errorf("%s: <%s>: %s", at, name, fmt.Sprintf(format, args...)))
}

// Load reads a file.
func Load(path string, opts Options) (Result, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Result{}, fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data, opts)
}

// Decode reads the bytes of a file; name stands for it in errors. The error
// names every mistake, one per line.
func Decode(name string, data []byte, opts Options) (Result, error) {
	head, err := parse(name, data)
	if err != nil {
		return Result{}, err
	}
	if head.name != "head" {
		return Result{}, fmt.Errorf("%s:%d: the outermost element is <%s>, and sersync's is <head>", name, head.line, head.name)
	}
	if opts.Dir == "" {
		if opts.Dir, err = os.Getwd(); err != nil {
			return Result{}, fmt.Errorf("find the working directory: %w", err)
		}
	}
	m := &mapping{name: name, opts: opts}
	m.notes.strangers(head, "head")
	conf := m.config(head)
	slices.SortStableFunc(m.notes.list, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return Result{Config: conf, Notes: m.notes.list}, errors.Join(m.errs...)
}

func (m *mapping) config(head *element) config.Config {
	var conf config.Config
	if h := head.child("host"); h != nil {
		m.notes.add(h, "host", "it is not used, as in sersync: fansync listens on a unix socket alone; ask it with fansync status")
	}
	if head.child("debug").on(false) {
		conf.LogLevel = "debug"
	}
	if fs := head.child("filesystem"); fs.value("xfs", "false") == "true" {
		m.notes.add(fs, "fileSystem", "xfs is without effect: every filesystem is walked right, and symbolic links are never followed")
	}
	sersync := head.child("sersync")
	if sersync == nil {
		m.fail(head, "sersync", "it is missing; it holds <localpath> and <remote>")
		return conf
	}
	if m.opts.Only != "" {
		m.only(&conf, head, sersync)
		exprs := m.filter(head.child("filter"))
		for i := range conf.Roots {
			conf.Roots[i].ExcludeRegex = exprs
		}
		return conf
	}
	m.failLog(&conf, sersync.child("faillog"))
	deletes := m.inotify(head.child("inotify"))
	crontab := m.crontab(sersync.child("crontab"))
	m.delete = m.deletion(deletes, crontab)
	exprs := m.filter(head.child("filter"))
	for i, lp := range sersync.all("localpath") {
		if root, ok := m.root(lp, i, sersync.child("rsync")); ok {
			root.Delete, root.ExcludeRegex = m.delete, exprs
			root.FullEvery, root.FullExclude = crontab.every, crontab.exclude
			conf.Roots = append(conf.Roots, root)
		}
	}
	m.plugins(&conf, head, sersync)
	if len(sersync.all("localpath")) == 0 {
		m.fail(sersync, "localpath", `it is missing; write <localpath watch="/directory"><remote ip="HOST" name="MODULE"/></localpath>`)
	}
	return conf
}

// failLog places the failure log, which sersync always has.
func (m *mapping) failLog(conf *config.Config, e *element) {
	conf.FailLog = m.path(cmp.Or(e.value("path", ""), "/tmp/rsync_fail_log.sh"))
	minutes, ok := number(e.value("timetoexecute", "60"))
	if !ok {
		minutes = 1
		m.notes.add(e, "failLog", "timeToExecute=%q is not a number of minutes above 0 and counts as 1, as in sersync", e.value("timetoexecute", ""))
	}
	conf.FailLogEvery = config.Duration(time.Duration(minutes) * time.Minute)
}

// deletion is the root's key delete.
func (m *mapping) deletion(deletes bool, c crontab) string {
	switch {
	case !deletes:
		return "off"
	case m.opts.Compare || c.every > 0:
		return ""
	}
	m.notes.add(nil, "sersync", `without -r and crontab sersync deletes only what it sees to be deleted, and so does fansync (delete = "listed"): what else the remotes have is left there. With -r, or delete = "mirror", they become equal to the source`)
	return "listed"
}

// filter reads the expressions of what is left out.
func (m *mapping) filter(e *element) []string {
	if !e.on(false) {
		return nil
	}
	var exprs []string
	for _, x := range e.all("exclude") {
		expr, ok := x.get("expression")
		if !ok || expr == "" {
			m.notes.add(x, "exclude", "it has no expression and is ignored")
			continue
		}
		re, err := filter.ParseRegex(expr)
		if err != nil {
			m.fail(x, "exclude", "%v. sersync skipped it without a word", err)
			continue
		}
		if _, exact := re.Rules(); !exact {
			m.notes.add(x, "exclude", "expression %q is no rsync pattern, so each comparison of directories is preceded by a walk and a trial run; key exclude is cheaper", expr)
		}
		exprs = append(exprs, expr)
	}
	return exprs
}

// crontab is the periodic comparison of everything.
type crontab struct {
	every   config.Duration
	exclude []string
}

func (m *mapping) crontab(e *element) crontab {
	var c crontab
	filters := e.child("crontabfilter")
	if !e.on(false) {
		if filters.on(false) {
			m.notes.add(filters, "crontabfilter", "it has no effect while crontab is off, as in sersync")
		}
		return c
	}
	minutes, ok := number(e.value("schedule", "600"))
	if !ok {
		m.notes.add(e, "crontab", "schedule=%q is not a number of minutes above 0, so it never runs, as in sersync", e.value("schedule", ""))
		return c
	}
	c.every = config.Duration(time.Duration(minutes) * time.Minute)
	if !filters.on(false) {
		return c
	}
	for _, x := range filters.all("exclude") {
		pattern, ok := x.get("expression")
		if !ok || pattern == "" {
			m.notes.add(x, "exclude", "it has no expression and is ignored")
			continue
		}
		c.exclude = append(c.exclude, pattern)
	}
	if len(c.exclude) > 0 {
		m.notes.add(filters, "crontabfilter", "every comparison of everything leaves these alone (full_exclude), the one at the start too: if events about them were lost, they stay old until they change again")
	}
	return c
}

// root makes one directory with its remotes.
func (m *mapping) root(lp *element, i int, rsync *element) (config.Root, bool) {
	watch := m.path(lp.value("watch", ""))
	switch {
	case watch == "":
		m.fail(lp, "localpath", `watch is missing; write <localpath watch="/directory">`)
		return config.Root{}, false
	case i > 0:
		m.notes.add(lp, "localpath", "sersync mirrored the first <localpath> alone; this one is mirrored now too")
	}
	root := config.Root{Path: watch}
	p := m.params(rsync.child("commonparams"), watch)
	root.Filters = p.rules
	seen := map[string]bool{}
	for _, r := range lp.all("remote") {
		remote, ok := m.remote(r, rsync, p)
		switch {
		case !ok:
		case seen[remote.Dest]:
			m.notes.add(r, "remote", "it is the same as one before and ignored")
		default:
			seen[remote.Dest] = true
			root.Remotes = append(root.Remotes, remote)
		}
	}
	if len(lp.all("remote")) == 0 {
		m.fail(lp, "remote", `there is none in <localpath>; write <remote ip="HOST" name="MODULE"/>`)
	}
	return root, len(root.Remotes) > 0
}

// path makes a path of the file absolute; "" stays.
func (m *mapping) path(p string) string {
	if p == "" {
		return ""
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(m.opts.Dir, p)
	}
	return filepath.Clean(p)
}

// remote makes one destination.
func (m *mapping) remote(r, rsync *element, p params) (config.Remote, bool) {
	ip, name := r.value("ip", ""), r.value("name", "")
	if ip == "" || name == "" {
		m.fail(r, "remote", `ip and name are required; write <remote ip="HOST" name="MODULE"/>`)
		return config.Remote{}, false
	}
	out := config.Remote{RsyncOptions: p.options}
	auth := rsync.child("auth")
	user := ""
	if auth.on(false) {
		user = auth.value("users", "root") + "@"
	}
	host := ip
	if strings.Count(ip, ":") > 1 && !strings.HasPrefix(ip, "[") {
		host = "[" + ip + "]"
	}
	port := ""
	if e := rsync.child("userdefinedport"); e.on(false) {
		port = strings.TrimSpace(e.value("port", "874"))
	}
	port = cmp.Or(port, p.port)
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		m.fail(rsync.child("userdefinedport"), "userDefinedPort", "port=%q is not a number from 1 to 65535", port)
		return out, false
	}
	m.timeout(&out, rsync.child("timeout"), p)
	if m.opts.Threads > 0 {
		out.Parallel = min(m.opts.Threads, 64)
	}
	if ssh := rsync.child("ssh"); ssh.on(false) || p.ssh != "" && !auth.on(false) {
		out.Dest, out.SSH = user+host+":"+name, p.ssh
		if port != "" {
			out.SSH = withPort(p.ssh, port)
			m.once(rsync.child("userdefinedport"), "userDefinedPort", "ssh now goes to port %s: sersync gave the port to rsync, which does not use it for ssh", port)
		}
		if auth.on(false) {
			m.once(auth, "auth", "with ssh the password file is left out: rsync refuses it, so that sersync could mirror nothing. Use a key")
		}
		return out, true
	}
	if p.ssh != "" {
		m.once(rsync.child("commonparams"), "commonParams", "-e is left out: <ssh> is off and <auth> is on")
	}
	out.PasswordFile = m.path(p.password)
	if auth.on(false) {
		out.PasswordFile = m.path(auth.value("passwordfile", "/etc/rsync.pas"))
	}
	out.Dest = user + host + "::" + name
	if port != "" {
		out.Dest = "rsync://" + user + host + ":" + port + "/" + name
	}
	return out, true
}

func (m *mapping) timeout(out *config.Remote, e *element, p params) {
	seconds := p.timeout
	if e.on(false) {
		seconds = e.value("time", "100")
	}
	if seconds == "" {
		return
	}
	if n, ok := number(seconds); ok {
		out.Timeout = config.Duration(time.Duration(n) * time.Second)
		return
	}
	m.once(e, "timeout", "time=%q is not a number of seconds above 0; the default of 60 holds", seconds)
}

// once is notes.add for what would be said of each remote.
func (m *mapping) once(e *element, name, format string, args ...any) {
	before := len(m.notes.list)
	m.notes.add(e, name, format, args...)
	added := m.notes.list[before]
	for _, n := range m.notes.list[:before] {
		if n == added {
			m.notes.list = m.notes.list[:before]
			return
		}
	}
}
