package sersync

import (
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fansync/fansync/internal/config"
)

// plugin makes the plugin of that name, from its block below <head>. at is what
// asked for it. watch is what it alone watches, "" if its block does not say.
func (m *mapping) plugin(head, at *element, name string) (p config.Plugin, watch string, ok bool) {
	known := []string{"command", "socket", "refreshCDN", "http"}
	if !slices.Contains(known, name) {
		m.fail(at, "plugin", "name=%q is not known; sersync has %s", name, strings.Join(known, ", "))
		return p, "", false
	}
	var block *element
	for _, b := range head.all("plugin") {
		if b.value("name", "") == name {
			block = b
			break
		}
	}
	if block == nil {
		m.fail(at, "plugin", `there is no <plugin name=%q> block below <head>`, name)
		return p, "", false
	}
	lp := block.child("localpath")
	watch = m.path(lp.value("watch", ""))
	before := len(m.errs)
	switch name {
	case "command":
		p = m.command(block)
		watch = ""
	case "socket":
		p = m.socket(block, lp)
	case "refreshCDN":
		p = m.cdn(block, lp)
	case "http":
		p = m.http(block, lp)
	}
	p.Name, p.Path = name, watch
	return p, watch, len(m.errs) == before
}

func (m *mapping) command(block *element) config.Plugin {
	param := block.child("param")
	prefix, err := split(param.value("prefix", "/bin/sh"))
	if err != nil {
		m.fail(param, "param", "prefix: %v. Put it into a script", err)
	}
	suffix, err := split(param.value("suffix", ""))
	if err != nil {
		m.fail(param, "param", "suffix: %v. Put it into a script", err)
	}
	if len(prefix) == 0 {
		m.fail(param, "param", "prefix is empty: sersync would execute every file that changes; name a program that takes the path")
	} else if base := filepath.Base(prefix[0]); len(prefix) == 1 && strings.HasSuffix(base, "sh") {
		m.notes.add(param, "param", "prefix=%q makes each file that changes a script that runs as this user: whoever can write there can do anything. Name a program that takes the path", prefix[0])
	}
	p := config.Plugin{
		Type: "command", Command: slices.Concat(prefix, []string{config.PathWord}, suffix),
		IgnoreError: param.value("ignoreerror", "") == "true",
	}
	if f := block.child("filter"); f.on(false) {
		for _, x := range f.all("include") {
			if expr := x.value("expression", ""); expr != "" {
				p.Include = append(p.Include, expr)
			}
		}
	}
	return p
}

func (m *mapping) socket(block, lp *element) config.Plugin {
	hosts := lp.all("deshost")
	if len(hosts) == 0 {
		m.fail(block, "deshost", `it is missing; write <deshost ip="HOST" port="8009"/>`)
		return config.Plugin{}
	}
	if len(hosts) > 1 {
		m.notes.add(hosts[1], "deshost", "only the first one is used, as in sersync; more of them are more [[plugin]] tables")
	}
	return config.Plugin{Type: "socket", Format: "path", Address: net.JoinHostPort(hosts[0].value("ip", ""), hosts[0].value("port", "8009"))}
}

func (m *mapping) cdn(block, lp *element) config.Plugin {
	info, url, regex := lp.child("cdninfo"), lp.child("sendurl"), lp.child("regexurl")
	if info == nil || url == nil {
		m.fail(block, "cdninfo", "<cdninfo> and <sendurl> are required in its <localpath>")
		return config.Plugin{}
	}
	p := config.Plugin{
		Type: "cdn", Address: net.JoinHostPort(info.value("domainname", ""), info.value("port", "80")),
		User: info.value("username", ""), Password: info.value("passwd", ""), Base: url.value("base", ""),
	}
	if p.Password != "" {
		m.notes.add(info, "cdninfo", "the password stands in the file and goes over the network in the clear; it is in no log any more. Give the file mode 0600, or use password_file")
	}
	if regex.value("regex", "false") == "true" {
		p.Match = regex.value("match", "")
	}
	return p
}

func (m *mapping) http(block, lp *element) config.Plugin {
	h := lp.child("http")
	if h == nil {
		m.fail(block, "http", `sersync promised this plugin and never had it; fansync's needs <localpath watch="…"><http url="https://HOST/PATH" tokenfile="" hmacfile=""/></localpath>`)
		return config.Plugin{}
	}
	return config.Plugin{Type: "http", URL: h.value("url", ""), TokenFile: m.path(h.value("tokenfile", "")), HMACFile: m.path(h.value("hmacfile", ""))}
}

// plugins adds what <plugin start="true"> asks for.
func (m *mapping) plugins(conf *config.Config, head, sersync *element) {
	e := sersync.child("plugin")
	if !e.on(false) {
		return
	}
	p, watch, ok := m.plugin(head, e, e.value("name", ""))
	if !ok {
		return
	}
	conf.Plugins = append(conf.Plugins, p)
	if watch == "" || slices.ContainsFunc(conf.Roots, func(r config.Root) bool { return inside(watch, r.Path) || inside(r.Path, watch) }) {
		return
	}
	m.notes.add(e, "plugin", "%s, which it watches, is not mirrored, so it hears of nothing: sersync mirrored that directory in the place of <sersync>'s <localpath>, which fansync does not. Make one of them the other", watch)
}

// inside reports whether path is dir or lies in it.
func inside(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// only is the configuration of -m: one plugin, and nothing is mirrored.
func (m *mapping) only(conf *config.Config, head, sersync *element) {
	p, watch, ok := m.plugin(head, nil, m.opts.Only)
	if !ok {
		return
	}
	conf.Plugins = []config.Plugin{p}
	paths := []string{watch}
	if watch == "" {
		paths = nil
		for _, lp := range sersync.all("localpath") {
			paths = append(paths, m.path(lp.value("watch", "")))
		}
	}
	for _, path := range paths {
		if path == "" {
			m.fail(sersync, "localpath", `watch is missing; write <localpath watch="/directory">`)
			continue
		}
		conf.Roots = append(conf.Roots, config.Root{Path: path})
	}
}
