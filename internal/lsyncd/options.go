package lsyncd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/transport"
)

// kept are what a file is mirrored with beside its content, which lsyncd leaves
// out unless it is asked for, with fansync's option to leave it out.
var kept = []struct {
	key, off string
	shipped  bool
}{
	{"links", "--no-links", true}, {"perms", "--no-perms", false}, {"group", "--no-group", false}, {"owner", "--no-owner", false},
	{"devices", "--no-devices", false}, {"specials", "--no-specials", false},
}

// switches are lsyncd's names of rsync's options without a value.
var switches = map[string]string{
	"acls": "--acls", "append": "--append", "append_verify": "--append-verify", "backup": "--backup", "checksum": "--checksum",
	"compress": "--compress", "copy_dirlinks": "--copy-dirlinks", "copy_links": "--copy-links", "copy_unsafe_links": "--copy-unsafe-links",
	"cvs_exclude": "--cvs-exclude", "dry_run": "--dry-run", "executability": "--executability", "existing": "--existing",
	"hard_links": "--hard-links", "ignore_times": "--ignore-times", "inplace": "--inplace", "ipv4": "--ipv4", "ipv6": "--ipv6",
	"keep_dirlinks": "--keep-dirlinks", "one_file_system": "--one-file-system", "omit_dir_times": "--omit-dir-times",
	"omit_link_times": "--omit-link-times", "partial": "--partial", "prune_empty_dirs": "--prune-empty-dirs", "quiet": "--quiet",
	"sparse": "--sparse", "update": "--update", "verbose": "--verbose", "whole_file": "--whole-file", "xattrs": "--xattrs",
	"fuzzy": "--fuzzy", "safe_links": "--safe-links", "super": "--super", "delay_updates": "--delay-updates",
	"numeric_ids": "--numeric-ids", "archive": "", "recursive": "", "dirs": "", "protect_args": "", "times": "",
	"links": "", "perms": "", "group": "", "owner": "", "devices": "", "specials": "",
}

// valued are those with one.
var valued = map[string]string{
	"backup_dir": "--backup-dir", "bwlimit": "--bwlimit", "chmod": "--chmod", "chown": "--chown", "suffix": "--suffix",
	"temp_dir": "--temp-dir", "usermap": "--usermap", "groupmap": "--groupmap", "rsync_path": "--rsync-path", "timeout": "",
	"password_file": "", "rsh": "", "binary": "",
}

// rsync takes the table of options.
func (s *syncing) rsync(f field) {
	t, ok := f.val.(*table)
	if !ok {
		s.fail(f.line, "rsync wants a table")
		return
	}
	var words []string
	for _, o := range t.fields {
		name, isSwitch := switches[o.key]
		long, isValued := valued[o.key]
		switch {
		case o.key == "_extra":
			words = append(words, s.texts(o)...)
		case isSwitch && o.val == true:
			if name != "" {
				words = append(words, name)
			}
		case isSwitch && (o.val == false || o.val == nil), isValued && (o.val == false || o.val == nil):
		case isSwitch:
			s.fail(o.line, "rsync: %s wants true or false", o.key)
		case isValued:
			s.valued(o, long, &words)
		default:
			s.fail(o.line, "rsync: %s is not known; put it into _extra", o.key)
		}
	}
	if len(t.list) > 0 {
		s.fail(t.line, "rsync: a value has no name; put options into _extra")
	}
	s.options(words, f.line)
}

// valued takes an option with a value.
func (s *syncing) valued(o field, long string, words *[]string) {
	var text string
	switch v := o.val.(type) {
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		s.fail(o.line, "rsync: %s wants a string or a number", o.key)
		return
	}
	switch o.key {
	case "binary":
		if text != "rsync" && text != "/usr/bin/rsync" {
			s.note(o.line, "rsync: binary is left out: fansync runs the rsync of its PATH")
		}
	case "rsh":
		s.remote.SSH = text
	case "password_file":
		s.remote.PasswordFile = text
	case "timeout":
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > math.MaxInt32 {
			s.fail(o.line, "rsync: timeout wants a number of seconds")
			return
		}
		s.seconds(n)
	default:
		*words = append(*words, long+"="+text)
	}
}

// seconds sets the timeout; 0 is rsync's word for none.
func (s *syncing) seconds(n int) {
	s.remote.Timeout = config.Duration(time.Duration(n) * time.Second)
	if n == 0 {
		s.remote.Timeout = -config.Duration(time.Second)
	}
}

// options judges words of rsync's own.
func (s *syncing) options(words []string, line int) {
	options, err := transport.ParseOptions(words)
	if err != nil {
		s.fail(line, "%v", err)
		return
	}
	for _, o := range options {
		word := strings.Join(o.Words, " ")
		switch {
		case o.Name == "update":
			s.note(line, "rsync: update is left out: with it a file that was replaced by an older one never arrives")
		case o.Name == "dry-run":
			s.fail(line, "rsync: dry_run would mirror nothing; remove it")
		case o.Name == "exclude":
			s.root.Exclude = append(s.root.Exclude, o.Value)
		case o.Name == "include":
			s.root.Filters = append(s.root.Filters, "+ "+o.Value)
		case o.Name == "filter":
			s.root.Filters = append(s.root.Filters, o.Value)
		case o.Name == "password-file":
			s.remote.PasswordFile = o.Value
		case o.Name == "rsh":
			s.remote.SSH = o.Value
		case o.Name == "timeout":
			n, err := strconv.Atoi(o.Value)
			if err != nil || n < 0 || n > math.MaxInt32 {
				s.fail(line, "rsync: %s is no number of seconds", word)
				continue
			}
			s.seconds(n)
		case o.Implied:
		case o.Refused != "":
			s.note(line, "rsync: %s is left out: %s", word, o.Refused)
		default:
			s.remote.RsyncOptions = append(s.remote.RsyncOptions, o.Words...)
		}
	}
}

// rsyncDefaults turns off what lsyncd does not mirror unless it is asked to.
func (s *syncing) rsyncDefaults() {
	if s.mode == "direct" {
		return // cp -p keeps as much as rsync's -a
	}
	v, line, _ := s.table.get("rsync")
	t, ok := v.(*table)
	if !ok {
		t = &table{line: s.line}
	}
	given := func(key string) (on, ok bool) {
		v, _, ok := t.get(key)
		return v == true, ok && v != nil
	}
	if on, _ := given("archive"); on || s.extraArchive(t) {
		return
	}
	var off []string
	for _, k := range kept {
		on, ok := given(k.key)
		if !ok {
			on = k.shipped
		}
		if !on {
			off = append(off, k.off)
		}
	}
	if len(off) > 0 {
		s.remote.RsyncOptions = append(s.remote.RsyncOptions, off...)
		s.note(line, "rsync: without archive = true lsyncd leaves out, and so does this: %s. Take these out for a full mirror", strings.Join(off, " "))
	}
}

// extraArchive reports whether -a stands among the extra options.
func (s *syncing) extraArchive(t *table) bool {
	v, _, _ := t.get("_extra")
	extra, ok := v.(*table)
	if !ok {
		return false
	}
	var words []string
	for _, w := range extra.list {
		if text, ok := w.(string); ok {
			words = append(words, text)
		}
	}
	options, err := transport.ParseOptions(words)
	for _, o := range options {
		if err == nil && o.Name == "archive" {
			return true
		}
	}
	return false
}

// sshTable takes the options of ssh.
func (s *syncing) sshTable(f field) {
	t, ok := f.val.(*table)
	if !ok {
		s.fail(f.line, "ssh wants a table")
		return
	}
	binary, args := "ssh", []string{}
	for _, o := range t.fields {
		word := func() string {
			switch v := o.val.(type) {
			case string:
				return quoted(v)
			case float64:
				return strconv.FormatFloat(v, 'f', -1, 64)
			}
			s.fail(o.line, "ssh: %s wants a string or a number", o.key)
			return ""
		}
		switch o.key {
		case "binary":
			binary = word()
		case "port":
			args = append(args, "-p", word())
		case "identityFile":
			args = append(args, "-i", word())
		case "_extra":
			for _, w := range s.texts(o) {
				args = append(args, quoted(w))
			}
		case "options":
			options, ok := o.val.(*table)
			if !ok {
				s.fail(o.line, "ssh: options wants a table")
				continue
			}
			for _, x := range options.fields {
				args = append(args, "-o", quoted(fmt.Sprintf("%s=%v", x.key, x.val)))
			}
		default:
			s.fail(o.line, "ssh: %s is not known; put it into _extra", o.key)
		}
	}
	s.ssh = append([]string{binary}, args...)
}

// quoted is a word of an ssh command, which is split at blanks.
func quoted(word string) string {
	if strings.ContainsAny(word, " \t\"") && !strings.Contains(word, "'") {
		return "'" + word + "'"
	}
	return word
}
