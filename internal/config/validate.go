package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/fansync/fansync/internal/filter"
)

// Checker says what is wrong with a remote of a root beyond what this package
// knows: the syntax of its destination, its shell and its options. Both have
// their defaults filled in. The error is one line that names the key.
type Checker func(root Root, r Remote) error

// maxSocket is what a unix socket's address can hold.
const maxSocket = 107

// maxParallel bounds the rsyncs to one remote at once.
const maxParallel = 64

// validation gathers the problems.
type validation struct {
	source *source
	found  []error
}

// Validate reports every problem of the configuration, one per line, in the
// order of the file. What was left out counts as its default. check may be
// nil.
func (c Config) Validate(check Checker) error {
	c = c.WithDefaults()
	v := validation{source: c.source}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		v.add("log_format", `log_format %q is not known; write "text" or "json"`, c.LogFormat)
	}
	if _, ok := levels[c.LogLevel]; !ok {
		v.add("log_level", `log_level %q is not known; write "debug", "info", "warn" or "error"`, c.LogLevel)
	}
	if !filepath.IsAbs(c.Socket) {
		v.add("socket", "socket %q is relative; write its whole path", c.Socket)
	} else if len(c.Socket) > maxSocket {
		v.add("socket", "socket %q is longer than the %d bytes a socket's path can have; choose a shorter one", c.Socket, maxSocket)
	}
	if c.MaxRsyncs < 0 {
		v.add("max_rsyncs", "max_rsyncs is %d; write a number above 0, or leave it out for no limit", c.MaxRsyncs)
	}
	if c.FailLog != "" && !filepath.IsAbs(c.FailLog) {
		v.add("fail_log", "fail_log %q is relative; write its whole path", c.FailLog)
	}
	if c.FailLogEvery < 0 {
		v.add("fail_log_every", `fail_log_every is %v; write a time above 0, such as "1h"`, c.FailLogEvery)
	}
	plugins := map[string]bool{}
	for i, p := range c.Plugins {
		v.plugin(element("plugin", i), p)
		if plugins[p.Name] {
			v.add(element("plugin", i)+".name", "plugin %q is there twice; give each a name of its own", p.Name)
		}
		plugins[p.Name] = true
	}
	if len(c.Roots) == 0 {
		v.add("root", "there is no root; add a [[root]] table with path and [[root.remote]]")
	}
	for i, r := range c.Roots {
		v.path(element("root", i), r.Path, c.Roots[:i])
		v.root(element("root", i), r, check)
	}
	return errors.Join(v.found...)
}

func (v *validation) add(key, format string, args ...any) {
	v.found = append(v.found, v.source.where(key, fmt.Sprintf(format, args...)))
}

// path checks a root's path by itself and against the roots before it.
func (v *validation) path(key, path string, before []Root) {
	key += ".path"
	switch {
	case path == "":
		v.add(key, "a root has no path; add path with the directory to mirror")
		return
	case !filepath.IsAbs(path):
		v.add(key, "root %q is relative; write its whole path", path)
		return
	case strings.IndexByte(path, 0) >= 0:
		v.add(key, "root %q holds a NUL byte, which no path can have; remove it", path)
		return
	}
	for _, r := range before {
		switch {
		case r.Path == path:
			v.add(key, "root %q is given twice; put all its remotes under one [[root]]", path)
		case inside(path, r.Path):
			v.add(key, "root %q lies inside root %q; keep one of the two", path, r.Path)
		case inside(r.Path, path):
			v.add(key, "root %q holds root %q; keep one of the two", path, r.Path)
		}
	}
}

// inside reports whether path lies below dir; both are clean and absolute.
func inside(path, dir string) bool {
	return dir != "" && path != dir && strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func (v *validation) root(key string, r Root, check Checker) {
	switch r.Backend {
	case "auto", "fanotify", "inotify":
	default:
		v.add(key+".backend", `root %q: backend %q is not known; write "auto", "fanotify" or "inotify"`, r.Path, r.Backend)
	}
	if r.Modify != "on" && r.Modify != "off" {
		v.add(key+".modify", `root %q: modify %q is not known; write "on" or "off"`, r.Path, r.Modify)
	}
	if r.HiddenWrites != "search" && r.HiddenWrites != "ignore" {
		v.add(key+".hidden_writes", `root %q: hidden_writes %q is not known; write "search" or "ignore"`, r.Path, r.HiddenWrites)
	}
	for i, s := range r.Filters {
		v.rule(element(key+".filters", i), r.Path, "filters", s)
	}
	for i, p := range r.Exclude {
		v.rule(element(key+".exclude", i), r.Path, "exclude", excludeRule(p))
	}
	for i, p := range r.FullExclude {
		v.rule(element(key+".full_exclude", i), r.Path, "full_exclude", excludeRule(p))
	}
	for i, expr := range r.ExcludeRegex {
		if _, err := filter.ParseRegex(expr); err != nil {
			v.add(element(key+".exclude_regex", i), "root %q: key %q: %v", r.Path, "exclude_regex", err)
		}
	}
	if r.Delete != "mirror" && r.Delete != "listed" && r.Delete != "off" {
		v.add(key+".delete", `root %q: delete %q is not known; write "mirror", "listed" or "off"`, r.Path, r.Delete)
	}
	if s := r.Guard.MaxDeleteShare; s < 0 || math.IsNaN(s) {
		v.add(key+".guard.max_delete_share", `root %q: key "max_delete_share" is %v; write a part of the tree such as 0.5, or 1 to turn the guard off`, r.Path, s)
	}
	if len(r.Remotes) == 0 {
		v.add(key+".remote", "root %q has no remote; add a [[root.remote]] table with dest", r.Path)
	}
	names, dests := map[string]bool{}, map[string]bool{}
	for i, m := range r.Remotes {
		at := element(key+".remote", i)
		if m.Dest == "" {
			v.add(at+".dest", `root %q: remote %q has no dest; add dest such as "host::module/path"`, r.Path, m.Name)
			continue
		}
		switch {
		case names[m.Name]:
			v.add(at+".name", "root %q: remote name %q is given twice; give each remote a name of its own", r.Path, m.Name)
		case dests[m.Dest]:
			v.add(at+".dest", "root %q: dest %q is given twice; keep one of the two", r.Path, m.Dest)
		}
		names[m.Name], dests[m.Dest] = true, true
		v.remote(at, r, m, check)
	}
}

func (v *validation) rule(key, root, list, rule string) {
	if _, err := filter.Parse([]string{rule}); err != nil {
		v.add(key, "root %q: key %q: %v", root, list, err)
	}
}

func (v *validation) remote(key string, r Root, m Remote, check Checker) {
	if m.PasswordFile != "" && !filepath.IsAbs(m.PasswordFile) {
		v.add(key+".password_file", "root %q: remote %q: password_file %q is relative; write its whole path", r.Path, m.Name, m.PasswordFile)
	}
	if m.MaxDirty < 0 {
		v.add(key+".max_dirty", `root %q: remote %q: key "max_dirty" is %d; write a number of paths above 0`, r.Path, m.Name, m.MaxDirty)
	}
	if n := *m.Standbys; n < 0 || n > maxStandbys {
		v.add(key+".standbys", `root %q: remote %q: key "standbys" is %d; write a number from 0 to %d`, r.Path, m.Name, n, maxStandbys)
	}
	if m.Parallel < 0 || m.Parallel > maxParallel {
		v.add(key+".parallel", `root %q: remote %q: key "parallel" is %d; write a number from 1 to %d`, r.Path, m.Name, m.Parallel, maxParallel)
	}
	if m.Shards < 0 {
		v.add(key+".shards", `root %q: remote %q: key "shards" is %d; write a number of rsyncs above 0`, r.Path, m.Name, m.Shards)
	}
	if check == nil {
		return
	}
	if err := check(r, m); err != nil {
		v.add(key, "root %q: remote %q: %v", r.Path, m.Name, err)
	}
}
