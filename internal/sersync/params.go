package sersync

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/fansync/fansync/transport"
)

// params are what commonParams says, in fansync's terms.
type params struct {
	options  []string
	rules    []string
	ssh      string
	password string
	port     string
	timeout  string
}

// split divides a line into words as sh does, without running anything: quotes
// and backslashes work, all else that a shell knows is refused.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'':
			if c == quote {
				quote = 0
			} else {
				word.WriteByte(c)
			}
		case c == '\\' && i+1 < len(line) && (quote == 0 || strings.IndexByte("\"\\$`", line[i+1]) >= 0):
			i++
			word.WriteByte(line[i])
			inWord = true
		case c == '$' || c == '`':
			return nil, fmt.Errorf("%q is for a shell, and fansync starts none; write its value, or put it between single quotes if it is meant to the letter", c)
		case quote == '"':
			if c == quote {
				quote = 0
			} else {
				word.WriteByte(c)
			}
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case strings.IndexByte(";&|<>()", c) >= 0:
			return nil, fmt.Errorf("%q is for a shell, and fansync starts none; only options of rsync may stand there", c)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %q is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// params judges every word of commonParams. watch is where sersync started
// rsync.
func (m *mapping) params(e *element, watch string) params {
	const name = "commonParams"
	var p params
	line := e.value("params", "-artuz")
	list, err := split(line)
	if err != nil {
		m.fail(e, name, "%v", err)
		return p
	}
	options, err := transport.ParseOptions(list)
	if err != nil {
		m.fail(e, name, "%v", err)
		return p
	}
	archive, recursive := false, false
	given := map[string]bool{}
	for _, o := range options {
		word := strings.Join(o.Words, " ")
		given[o.Name] = true
		archive = archive || o.Name == "archive"
		recursive = recursive || o.Name == "recursive"
		switch o.Name {
		case "exclude":
			p.rules = append(p.rules, ruleOf("- ", o.Value))
		case "include":
			p.rules = append(p.rules, ruleOf("+ ", o.Value))
		case "filter":
			p.rules = append(p.rules, o.Value)
		case "exclude-from", "include-from":
			p.rules = append(p.rules, m.rulesFrom(e, o, watch)...)
		case "rsh":
			p.ssh = o.Value
		case "password-file":
			p.password = o.Value
		case "port":
			p.port = o.Value
		case "timeout":
			p.timeout = o.Value
		case "update":
			m.once(e, name, "-u is left out: with it a file that was replaced by an older one never arrives")
		case "dry-run", "list-only":
			m.fail(e, name, "%s would mirror nothing; remove it", word)
		case "remove-source-files", "remove-sent-files":
			m.fail(e, name, "%s deletes the source, which fansync never touches; remove it", word)
		case "no-inc-recursive", "t", "times", "l", "links", "p", "perms", "o", "owner", "g", "group", "D", "devices", "specials":
			if o.Name == "no-inc-recursive" {
				p.options = append(p.options, o.Words...)
			} // the others are in -a
		default:
			switch {
			case o.Implied:
			case o.Name == "progress" && o.Words[0] == "-P":
				p.options = append(p.options, "--partial")
			case strings.HasPrefix(o.Name, "delete") || o.Name == "del":
				m.once(e, name, "%s is left out: key delete says what is deleted, %q now", word, m.delete)
			case o.Refused != "":
				m.once(e, name, "%s is left out: %s", word, o.Refused)
			default:
				p.options = append(p.options, o.Words...)
			}
		}
	}
	if !recursive && !archive {
		m.once(e, name, "-r is not there, without which sersync mirrors no directories; fansync does")
	}
	if !archive {
		p.options = append(p.options, m.withoutArchive(e, given)...)
	}
	return p
}

// ruleOf is an --exclude or --include as a rule; rsync takes the signs in the
// pattern too.
func ruleOf(sign, pattern string) string {
	if strings.HasPrefix(pattern, "- ") || strings.HasPrefix(pattern, "+ ") {
		return pattern
	}
	return sign + pattern
}

// withoutArchive turns off what -a has and the parameters have not.
func (m *mapping) withoutArchive(e *element, given map[string]bool) []string {
	var off []string
	for _, o := range []struct{ short, long string }{{"l", "links"}, {"p", "perms"}, {"g", "group"}, {"o", "owner"}} {
		if !given[o.short] && !given[o.long] {
			off = append(off, "--no-"+o.long)
		}
	}
	if !given["D"] && !given["devices"] {
		off = append(off, "--no-devices")
	}
	if !given["D"] && !given["specials"] {
		off = append(off, "--no-specials")
	}
	if len(off) > 0 {
		m.once(e, "commonParams", "without -a the mirror leaves out: %s. -a keeps all of it", strings.Join(off, " "))
	}
	if !given["t"] && !given["times"] {
		m.once(e, "commonParams", "-t is not there; fansync keeps the times all the same, or every comparison would send everything")
	}
	return off
}

// rulesFrom reads the patterns of an --exclude-from or --include-from.
func (m *mapping) rulesFrom(e *element, o transport.Option, watch string) []string {
	file := o.Value
	if !filepath.IsAbs(file) {
		file = filepath.Join(watch, file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		m.fail(e, "commonParams", "%s: %v; make it readable, or take the option out", strings.Join(o.Words, " "), errors.Unwrap(err))
		return nil
	}
	sign := map[string]string{"exclude-from": "- ", "include-from": "+ "}[o.Name]
	var rules []string
	for line := range bytes.Lines(data) {
		pattern := strings.TrimRight(string(line), "\r\n")
		if pattern != "" && pattern[0] != '#' && pattern[0] != ';' {
			rules = append(rules, ruleOf(sign, pattern))
		}
	}
	m.once(e, "commonParams", "the patterns of %s are read when fansync starts, and written out by import; put them into filters", file)
	return rules
}

// number reads a whole number above 0 out of an attribute.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n > 0 && n < 1<<31
}

// withPort adds a port to an ssh command, if it has none.
func withPort(ssh, port string) string {
	if ssh == "" {
		ssh = "ssh"
	}
	if slices.ContainsFunc(strings.Fields(ssh), func(w string) bool { return strings.HasPrefix(w, "-p") }) {
		return ssh
	}
	return ssh + " -p " + port
}
