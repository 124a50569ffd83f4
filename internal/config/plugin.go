package config

import (
	"cmp"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fansync/fansync/internal/filter"
)

// PathWord is the word of a plugin's command that stands for the path.
const PathWord = "{}"

// Plugin is a listener that is told of what has arrived at the remotes. Which
// keys it takes depends on Type.
type Plugin struct {
	// Name stands for it in logs and status. Empty means Type.
	Name string `toml:"name,omitempty"`
	// Type is "command", "socket", "cdn" or "http".
	Type string `toml:"type,omitempty"`
	// Path limits it to what lies at or below an absolute path. Empty means all
	// roots.
	Path string `toml:"path,omitempty"`
	// Include are regular expressions of which one must match the whole absolute
	// path. Empty means all.
	Include []string `toml:"include,omitempty"`
	// EachRemote tells it of each remote's arrival by itself, instead of once
	// when all remotes that are up have a change.
	EachRemote bool `toml:"each_remote,omitempty"`
	// Queue is how many changes wait for it at most; what comes then is lost to
	// it, and counted. Zero means 10000.
	Queue int `toml:"queue,omitempty"`
	// Parallel is how many are worked at once. Zero means 1, for a command 4.
	Parallel int `toml:"parallel,omitempty"`
	// Timeout ends one command, connection or request. Zero means 30s.
	Timeout Duration `toml:"timeout,omitempty"`

	// Command is the program and its arguments; every word "{}" stands for the
	// absolute path. For type "command".
	Command []string `toml:"command,omitempty"`
	// IgnoreError discards what the command prints, and that it failed.
	IgnoreError bool `toml:"ignore_error,omitempty"`

	// Address is host:port, for types "socket" and "cdn".
	Address string `toml:"address,omitempty"`
	// Format of a socket is "path", a connection with the bare absolute path for
	// each change as sersync has it, or "json", lines over one connection. Empty
	// means "json".
	Format string `toml:"format,omitempty"`

	// User and Password are those of a CDN's interface; PasswordFile holds the
	// latter instead.
	User         string `toml:"user,omitempty"`
	Password     string `toml:"password,omitempty"`
	PasswordFile string `toml:"password_file,omitempty"`
	// Base is the URL that stands for the root, or for Path if that is set.
	Base string `toml:"base,omitempty"`
	// Match is a regular expression that is searched in the absolute path; the
	// URL then is Base, its first group and what follows the match. Empty means
	// that the relative path follows Base.
	Match string `toml:"match,omitempty"`

	// URL is where type "http" posts to.
	URL string `toml:"url,omitempty"`
	// TokenFile holds a bearer token, HMACFile a key to sign each body with.
	TokenFile string `toml:"token_file,omitempty"`
	HMACFile  string `toml:"hmac_file,omitempty"`
	// Batch is the most changes in one request. Zero means 500.
	Batch int `toml:"batch,omitempty"`
	// Retries is how often a request or connection that failed is tried again.
	// Zero means 3; negative means never.
	Retries int `toml:"retries,omitempty"`
}

// WithDefaults gives the plugin with everything filled in that was left out.
func (p Plugin) WithDefaults() Plugin {
	p.Name = cmp.Or(p.Name, p.Type)
	p.Queue = cmp.Or(p.Queue, 10_000)
	p.Timeout = cmp.Or(p.Timeout, Duration(30*time.Second))
	p.Retries = cmp.Or(p.Retries, 3)
	if p.Path != "" {
		p.Path = filepath.Clean(p.Path)
	}
	parallel, batch := 1, 1
	switch p.Type {
	case "command":
		parallel = 4
		if len(p.Command) > 0 && !slices.Contains(p.Command, PathWord) {
			p.Command = append(slices.Clone(p.Command), PathWord)
		}
	case "socket":
		p.Format = cmp.Or(p.Format, "json")
		if p.Format == "json" {
			batch = 500
		}
	case "http":
		batch = 500
	}
	p.Parallel = cmp.Or(p.Parallel, parallel)
	if p.Batch = cmp.Or(p.Batch, batch); batch == 1 {
		p.Batch = 1
	}
	return p
}

// plugin checks one plugin, with its defaults.
func (v *validation) plugin(key string, p Plugin) {
	bad := func(field, format string, args ...any) {
		v.add(key+"."+field, "plugin %q: "+format, append([]any{p.Name}, args...)...)
	}
	if p.Path != "" && !filepath.IsAbs(p.Path) {
		bad("path", "path %q is relative; write its whole path", p.Path)
	}
	for _, expr := range p.Include {
		if _, err := filter.ParseRegex(expr); err != nil {
			bad("include", "%v", err)
		}
	}
	if p.Queue < 0 || p.Queue > 1_000_000 {
		bad("queue", "queue is %d; write a number from 1 to 1000000", p.Queue)
	}
	if p.Parallel < 0 || p.Parallel > maxParallel {
		bad("parallel", "parallel is %d; write a number from 1 to %d", p.Parallel, maxParallel)
	}
	if p.Batch < 0 || p.Batch > 10_000 {
		bad("batch", "batch is %d; write a number from 1 to 10000", p.Batch)
	}
	if p.Timeout < 0 {
		bad("timeout", `timeout is %v; write a time above 0, such as "30s"`, p.Timeout)
	}
	for _, f := range [][2]string{{"password_file", p.PasswordFile}, {"token_file", p.TokenFile}, {"hmac_file", p.HMACFile}} {
		if f[1] != "" && !filepath.IsAbs(f[1]) {
			bad(f[0], "%s %q is relative; write its whole path", f[0], f[1])
		}
	}
	switch p.Type {
	case "command":
		if len(p.Command) == 0 || p.Command[0] == "" || p.Command[0] == PathWord {
			bad("command", "it has no command; write command = [\"/path/of/program\", \"{}\"]")
		} else if slices.ContainsFunc(p.Command, func(w string) bool { return strings.IndexByte(w, 0) >= 0 }) {
			bad("command", "its command holds a NUL byte; remove it")
		}
	case "socket", "cdn":
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			bad("address", "address %q is not HOST:PORT", p.Address)
		}
		if p.Type == "socket" && p.Format != "path" && p.Format != "json" {
			bad("format", `format %q is not known; write "path" or "json"`, p.Format)
		}
		if p.Type == "cdn" && p.Base == "" {
			bad("base", `it has no base; write base = "http://HOST/PATH", the URL of the directory`)
		}
	case "http":
		u, err := url.Parse(p.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("url", `its url is not of the form "https://HOST/PATH"`)
		}
	default:
		bad("type", `type %q is not known; write "command", "socket", "cdn" or "http"`, p.Type)
	}
}
