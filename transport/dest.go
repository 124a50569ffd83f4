package transport

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Kind is the way a destination is reached.
type Kind uint8

const (
	// Local: a directory of this machine.
	Local Kind = iota
	// Daemon: a module of an rsync daemon.
	Daemon
	// SSH: rsync started at the remote through a remote shell.
	SSH
)

var kindNames = [...]string{"local", "daemon", "ssh"}

// String is the kind's name as it stands in logs.
func (k Kind) String() string { return kindNames[k] }

// Dest is a parsed destination.
type Dest struct {
	Kind Kind
	// Raw is the text as it was given.
	Raw string
	// User may be empty. Host is without brackets. Port is 0 for the default;
	// only a Daemon has one.
	User string
	Host string
	Port int
	// Module is the daemon's module.
	Module string
	// Path is absolute if Local; below the module if Daemon ("" is the module
	// itself); as the remote sees it if SSH. It has no trailing slash, except
	// "/" itself.
	Path string
}

// urlPrefix starts rsync's own URL; case does not matter in it.
const urlPrefix = "rsync://"

// ParseDest reads a destination in rsync's own syntax: a colon before the
// first slash makes it remote, two make it a daemon's.
func ParseDest(s string) (Dest, error) {
	d, err := parseDest(s)
	if err != nil {
		return Dest{}, fmt.Errorf("destination %q: %w", s, err)
	}
	d.Raw = s
	return d, nil
}

func parseDest(s string) (Dest, error) {
	switch {
	case s == "":
		return Dest{}, errors.New("it is empty")
	case strings.ContainsRune(s, 0):
		return Dest{}, errors.New("it contains a NUL byte")
	case len(s) >= len(urlPrefix) && strings.EqualFold(s[:len(urlPrefix)], urlPrefix):
		return parseURL(s[len(urlPrefix):])
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "/:@") {
		return Dest{}, fmt.Errorf("%s:// is not known to rsync: write rsync://HOST/MODULE or HOST:/PATH (%s)", scheme, rest)
	}
	colon := hostEnd(s)
	if colon < 0 {
		return parseLocal(s)
	}
	d, err := parseHost(s[:colon])
	if err != nil {
		return Dest{}, err
	}
	if rest, ok := strings.CutPrefix(s[colon:], "::"); ok {
		return parseModule(d, rest)
	}
	return parseRemotePath(d, s[colon+1:])
}

// hostEnd is the index of the colon that ends a host, or -1 if s is local.
func hostEnd(s string) int {
	i := strings.IndexAny(s, "/:[")
	if i >= 0 && s[i] == '[' && (i == 0 || s[i-1] == '@') {
		end := strings.IndexByte(s, ']')
		if end > i && strings.HasPrefix(s[end+1:], ":") {
			return end + 1
		}
		return -1
	}
	i = strings.IndexAny(s, "/:")
	if i < 0 || s[i] == '/' {
		return -1
	}
	return i
}

func parseLocal(s string) (Dest, error) {
	abs, err := filepath.Abs(s)
	if err != nil {
		return Dest{}, fmt.Errorf("make it absolute: %w", err)
	}
	return Dest{Kind: Local, Path: abs}, nil
}

// parseHost reads [user@]host, the host in brackets or not.
func parseHost(s string) (Dest, error) {
	var d Dest
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		d.User, s = s[:i], s[i+1:]
		if d.User == "" {
			return d, errors.New("nothing stands before the @: write USER@HOST")
		}
	}
	if strings.ContainsRune(d.User, ':') {
		return d, errors.New("a password does not belong there, everybody could see it: use --password-file")
	}
	d.Host = s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		d.Host = s[1 : len(s)-1]
	}
	switch {
	case d.Host == "":
		return d, errors.New("the host is missing")
	case strings.HasPrefix(d.Host, "-") || strings.HasPrefix(d.User, "-"):
		return d, errors.New("a host or user may not start with a dash")
	case strings.ContainsAny(d.Host, "[]/@ \t\n"):
		return d, fmt.Errorf("%q is not a host", d.Host)
	}
	return d, nil
}

func parseURL(s string) (Dest, error) {
	authority, rest, slash := strings.Cut(s, "/")
	user := strings.LastIndexByte(authority, '@')
	host := authority[user+1:]
	port := 0
	if end := strings.LastIndexByte(host, ':'); end > strings.LastIndexByte(host, ']') {
		if strings.HasPrefix(host, "[") || strings.IndexByte(host, ':') == end {
			var err error
			if port, err = parsePort(host[end+1:]); err != nil {
				return Dest{}, err
			}
			host = host[:end]
		} else {
			return Dest{}, errors.New("an IPv6 address stands in brackets: rsync://[::1]/MODULE")
		}
	}
	d, err := parseHost(authority[:user+1] + host)
	if err != nil {
		return Dest{}, err
	}
	d.Port = port
	if !slash || rest == "" {
		return Dest{}, errors.New("the module is missing: rsync://HOST/MODULE")
	}
	return parseModule(d, rest)
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("the port %q is not a number from 1 to 65535", s)
	}
	return int(n), nil
}

func parseModule(d Dest, s string) (Dest, error) {
	d.Kind = Daemon
	module, path, _ := strings.Cut(s, "/")
	if module == "" {
		return Dest{}, errors.New("the module is missing: write HOST::MODULE or rsync://HOST/MODULE")
	}
	d.Module, d.Path = module, strings.Trim(path, "/")
	return d, checkRemotePath(s)
}

func parseRemotePath(d Dest, s string) (Dest, error) {
	d.Kind = SSH
	if at := strings.IndexByte(s, '@'); at >= 0 && strings.Contains(s[at:], "::") {
		return Dest{}, errors.New("a password does not belong there, everybody could see it: use --password-file")
	}
	path := strings.TrimRight(s, "/")
	switch {
	case s == "":
		return Dest{}, errors.New("the path is missing: write HOST:/PATH")
	case path == "":
		path = "/"
	case path == "~":
		return Dest{}, errors.New("a whole home directory is no place for a mirror: name a directory in it")
	case strings.HasPrefix(path, "~/"):
		path = strings.TrimLeft(path[2:], "/") // a relative path starts at home
	case strings.HasPrefix(path, "~"):
		return Dest{}, errors.New("~USER is not expanded: write the whole path")
	}
	d.Path = path
	return d, checkRemotePath(path)
}

// checkRemotePath refuses what the remote rsync would expand: a pattern that
// matches another directory would be taken for that directory.
func checkRemotePath(s string) error {
	if strings.ContainsAny(s, "*?[") {
		return errors.New("the remote rsync expands *, ? and [ in a path: name the directory without them")
	}
	return nil
}

// String is the destination without trailing slash, for logs and messages.
func (d Dest) String() string {
	switch d.Kind {
	case Daemon:
		s := urlPrefix + d.at()
		if d.Port != 0 {
			s += ":" + strconv.Itoa(d.Port)
		}
		s += "/" + d.Module
		if d.Path != "" {
			s += "/" + d.Path
		}
		return s
	case SSH:
		return d.at() + ":" + d.Path
	default:
		return d.Path
	}
}

// at is [user@]host with an IPv6 address in brackets.
func (d Dest) at() string {
	host := d.Host
	if strings.ContainsRune(host, ':') {
		host = "[" + host + "]"
	}
	if d.User != "" {
		return d.User + "@" + host
	}
	return host
}

// Arg is what rsync is given: it always ends in a slash, so that the content
// of the source goes into the destination.
func (d Dest) Arg() string { return strings.TrimRight(d.String(), "/") + "/" }
