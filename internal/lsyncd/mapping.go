package lsyncd

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fansync/fansync/internal/config"
)

// Note is one thing that is different, and why.
type Note struct {
	Line int
	Text string
}

// String is the note with its line.
func (n Note) String() string { return fmt.Sprintf("line %d: %s", n.Line, n.Text) }

// Result is what a file says.
type Result struct {
	Config config.Config
	Notes  []Note
}

// mapping makes a configuration of the calls.
type mapping struct {
	name  string
	conf  config.Config
	notes []Note
	errs  []error
}

// Decode reads the bytes of a file; name stands for it in errors. The error
// names every mistake, one per line.
func Decode(name string, data []byte) (Result, error) {
	calls, err := read(name, data)
	if err != nil {
		return Result{}, err
	}
	m := &mapping{name: name}
	for _, c := range calls {
		if c.name == "settings" {
			m.settings(c.arg)
		} else {
			m.sync(c.arg)
		}
	}
	if len(m.conf.Roots) == 0 && len(m.errs) == 0 {
		m.fail(1, "there is no sync{…} in it")
	}
	slices.SortStableFunc(m.notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return Result{m.conf, m.notes}, errors.Join(m.errs...)
}

func (m *mapping) note(line int, format string, args ...any) {
	n := Note{line, fmt.Sprintf(format, args...)}
	if !slices.Contains(m.notes, n) {
		m.notes = append(m.notes, n)
	}
}

func (m *mapping) fail(line int, format string, args ...any) {
	m.errs = append(m.errs, fmt.Errorf("%s:%d: %s", m.name, line, fmt.Sprintf(format, args...)))
}

// settingsNotes say what becomes of lsyncd's global settings.
var settingsNotes = map[string]string{
	"logfile": "fansync logs to its standard error, which systemd keeps", "logident": "", "logfacility": "",
	"log":        "log_level is what there is",
	"pidfile":    "a systemd unit needs none",
	"nodaemon":   "fansync stays in the foreground",
	"statusfile": "fansync status tells the same at any time", "statusinterval": "",
	"inotifymode":  "what is written is mirrored when it is closed, and while it stays open after a rest; modify = \"off\" leaves out the latter",
	"maxdelays":    "there is no such limit; max_dirty bounds the memory",
	"insist":       "fansync never gives up on a remote",
	"maxprocesses": "key parallel of a remote is what there is; all together run at most twice as many rsyncs as there are cores, and two",
}

func (m *mapping) settings(t *table) {
	if len(t.list) > 0 {
		m.fail(t.line, "settings has a value without a name")
	}
	for _, f := range t.fields {
		why, known := settingsNotes[strings.ToLower(f.key)]
		switch {
		case !known:
			m.note(f.line, "settings: %s is not known and left out", f.key)
		case why != "":
			m.note(f.line, "settings: %s is left out: %s", f.key, why)
		}
	}
}

// syncing is one sync{} under way.
type syncing struct {
	*mapping
	table  *table
	line   int
	mode   mode
	root   config.Root
	remote config.Remote
	ssh    []string
	init   bool
	delete string
}

func (m *mapping) sync(t *table) {
	s := &syncing{mapping: m, table: t, line: t.line, init: true, delete: "mirror"}
	before := len(m.errs)
	for i, v := range t.list {
		if mode, ok := v.(mode); ok && i == 0 {
			s.mode = mode
		} else {
			m.fail(t.line, "sync: value %d has no name", i+1)
		}
	}
	if s.mode != "rsync" && s.mode != "rsyncssh" && s.mode != "direct" {
		m.fail(t.line, "sync: its first value must be default.rsync, default.rsyncssh or default.direct, not %q", s.mode)
		return
	}
	for _, f := range t.fields {
		s.key(f)
	}
	s.destination()
	switch {
	case s.delete == "off":
		s.root.Delete = "off"
	case !s.init:
		s.root.Delete = "listed"
		m.note(t.line, `sync: init = false: fansync always compares everything at the start, but with delete = "listed" that deletes nothing`)
	case s.delete == "listed":
		s.root.Delete = "listed"
	}
	s.rsyncDefaults()
	if len(m.errs) == before {
		m.add(s.root, s.remote, t.line)
	}
}

// add puts the remote to the root of that path, or to a new one.
func (m *mapping) add(root config.Root, remote config.Remote, line int) {
	for i := range m.conf.Roots {
		r := &m.conf.Roots[i]
		if r.Path != root.Path {
			continue
		}
		if !slices.Equal(r.Exclude, root.Exclude) || !slices.Equal(r.Filters, root.Filters) || r.Delete != root.Delete {
			m.fail(line, "sync: source %q is there twice with other exclude, filter or delete; in fansync these belong to the source, so make them the same", root.Path)
			return
		}
		r.Remotes = append(r.Remotes, remote)
		return
	}
	root.Remotes = []config.Remote{remote}
	m.conf.Roots = append(m.conf.Roots, root)
}

// key takes one named value of a sync{}.
func (s *syncing) key(f field) {
	switch f.key {
	case "source":
		s.root.Path = s.text(f)
		if !filepath.IsAbs(s.root.Path) {
			s.fail(f.line, "source %q is relative; write its whole path", s.root.Path)
		} else {
			s.root.Path = filepath.Clean(s.root.Path)
		}
	case "target", "host", "targetdir":
		s.text(f) // destination takes them
	case "exclude":
		s.root.Exclude = append(s.root.Exclude, s.texts(f)...)
	case "excludeFrom":
		s.root.Exclude = append(s.root.Exclude, s.patterns(f)...)
	case "filter":
		s.root.Filters = append(s.root.Filters, s.texts(f)...)
	case "delete":
		s.deletion(f)
	case "init":
		s.init = f.val != false
	case "maxProcesses":
		if n, ok := f.val.(float64); ok && n >= 1 && n <= 64 && n == math.Trunc(n) {
			s.remote.Parallel = int(n)
		} else {
			s.fail(f.line, "maxProcesses wants a whole number from 1 to 64")
		}
	case "delay", "maxDelays":
		s.note(f.line, "sync: %s is left out: changes go at once, and in batches while an rsync runs", f.key)
	case "rsync":
		s.rsync(f)
	case "ssh":
		s.sshTable(f)
	case "collect", "action", "onCreate", "onModify", "onAttrib", "onDelete", "onMove", "onStartup", "prepare", "tunnel":
		s.fail(f.line, "sync: %s is code or needs code of lsyncd; fansync has no counterpart for it: write the TOML by hand", f.key)
	default:
		s.fail(f.line, "sync: key %q is not known; remove it if it does not matter", f.key)
	}
}

func (s *syncing) deletion(f field) {
	switch f.val {
	case true:
	case false:
		s.delete = "off"
	case "running":
		s.delete = "listed"
	case "startup":
		s.note(f.line, `delete = "startup" deletes at once what is removed, too: what the next start would delete is deleted now`)
	default:
		s.fail(f.line, `delete wants true, false, "running" or "startup"`)
	}
}

func (s *syncing) text(f field) string {
	text, ok := f.val.(string)
	if !ok || text == "" {
		s.fail(f.line, "%s wants a string", f.key)
	}
	return text
}

// texts are a string, or a table of them.
func (s *syncing) texts(f field) []string {
	if text, ok := f.val.(string); ok {
		return []string{text}
	}
	t, ok := f.val.(*table)
	if !ok || len(t.fields) > 0 {
		s.fail(f.line, "%s wants a string or a list of strings", f.key)
		return nil
	}
	var all []string
	for _, v := range t.list {
		text, ok := v.(string)
		if !ok {
			s.fail(f.line, "%s wants a list of strings", f.key)
			return nil
		}
		all = append(all, text)
	}
	return all
}

// patterns are the lines of a file of patterns.
func (s *syncing) patterns(f field) []string {
	file := s.text(f)
	data, err := os.ReadFile(file)
	if err != nil {
		s.fail(f.line, "%s: %v; make it readable", f.key, err)
		return nil
	}
	var all []string
	for line := range bytes.Lines(data) {
		if p := strings.TrimSpace(string(line)); p != "" && p[0] != '#' && p[0] != ';' {
			all = append(all, p)
		}
	}
	s.note(f.line, "%s: the patterns of %s are written out; fansync does not read that file", f.key, file)
	return all
}

// destination makes dest of target, or of host and targetdir.
func (s *syncing) destination() {
	text := func(key string) string {
		v, _, _ := s.table.get(key)
		out, _ := v.(string)
		return out
	}
	need := []string{"source", "target"}
	if s.mode == "rsyncssh" {
		need = []string{"source", "host", "targetdir"}
	}
	for _, key := range need {
		if _, _, ok := s.table.get(key); !ok {
			s.fail(s.line, "sync: default.%s needs %s", s.mode, key)
		}
	}
	switch s.mode {
	case "rsyncssh":
		s.remote.Dest = text("host") + ":" + text("targetdir")
	case "direct":
		s.remote.Dest = text("target")
		if s.remote.Dest != "" && !filepath.IsAbs(s.remote.Dest) {
			s.fail(s.line, "sync: target %q of default.direct is relative; write its whole path", s.remote.Dest)
		}
	default:
		s.remote.Dest = text("target")
		if d := s.remote.Dest; d != "" && !strings.Contains(d, ":") && !filepath.IsAbs(d) {
			s.fail(s.line, "sync: target %q is relative; write its whole path", d)
		}
	}
	if len(s.ssh) > 0 {
		s.remote.SSH = strings.Join(s.ssh, " ")
	}
}
