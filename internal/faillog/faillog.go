// Package faillog keeps a file that tells what could not be brought to the
// remotes, as a script of rsync commands that a person may read, and run.
//
// In flow Entries, all that are open; out flows the file. It is written whole,
// beside its place, with mode 0600, and then put there, so that nobody sees half
// of it. It is never read and never run: what is retried is retried from memory,
// so a file that somebody plants at its place does nothing. One that is not a
// plain file of ours is left alone, with an error.
//
// Every name in it is quoted for sh, and nothing from outside stands unquoted in
// a comment. The package owns no goroutine.
package faillog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Entry is one remote, or some paths of it, that failed more than once.
type Entry struct {
	Root, Remote string
	// Message is rsync's last word on it, Attempts how often it was tried.
	Message  string
	Attempts int
	// Paths are relative to Root. None: all of it.
	Paths []string
	// More is how many paths failed besides these.
	More int
	// Command is rsync's command line, run in Root. It reads the paths, each
	// ended by a NUL, from its standard input.
	Command []string
}

// Log is the file. Its methods are for one goroutine at a time.
type Log struct {
	path string
	text []byte
}

// New gives the log at an absolute path; nothing is written yet.
func New(path string) *Log { return &Log{path: path} }

const head = `#!/bin/sh
# What fansync could not bring to its remotes so far. It tries again by itself and
# never runs this file, which is written anew whenever something changes.
`

// Write makes the file tell these entries, and reports whether it had to.
func (l *Log) Write(entries []Entry) (bool, error) {
	text := script(entries)
	if bytes.Equal(text, l.text) {
		return false, nil
	}
	if err := l.mine(); err != nil {
		return false, err
	}
	if err := l.put(text); err != nil {
		return false, fmt.Errorf("write failure log: %w", err)
	}
	l.text = text
	return true, nil
}

// mine is an error if what is at the path is not a plain file of ours.
func (l *Log) mine() error {
	info, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at failure log: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("failure log %q is no plain file, so it is not written: remove it, or choose another path", l.path)
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		return fmt.Errorf("failure log %q belongs to user %d, so it is not written: remove it, or choose another path", l.path, uid)
	}
	return nil
}

// put replaces the file by one that nobody else has opened.
func (l *Log) put(text []byte) error {
	name := fmt.Sprintf("%s.%d.new", l.path, os.Getpid())
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name, l.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

func script(entries []Entry) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	if len(entries) == 0 {
		b.WriteString("# There is nothing.\n")
	}
	for _, e := range entries {
		fmt.Fprintf(&b, "\n# remote %+q, tried %d times: %+q\n", e.Remote, e.Attempts, e.Message)
		fmt.Fprintf(&b, "cd -- %s && ", quote(e.Root))
		if len(e.Paths) == 0 {
			b.WriteString(`printf '%s\0' ./`)
		} else {
			b.WriteString(`printf '%s\0'`)
			for _, p := range e.Paths {
				b.WriteString(" " + quote("./"+p))
			}
		}
		b.WriteString(" |")
		for _, word := range e.Command {
			b.WriteString(" " + quote(word))
		}
		b.WriteString("\n")
		if e.More > 0 {
			fmt.Fprintf(&b, "# and %d more paths\n", e.More)
		}
	}
	return b.Bytes()
}

// quote is a word that sh takes to the letter.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@-") == "" && s[0] != '=' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
