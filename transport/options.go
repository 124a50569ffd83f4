package transport

import (
	"fmt"
	"strings"
)

// Options that need a value, which may stand in the next word.
const shortValued = "eBTM@f"

var longValued = words(`address backup-dir block-size bwlimit cc checksum-choice checksum-seed chmod
	chown compare-dest compress-choice compress-level compress-threads copy-as copy-dest debug
	early-input exclude exclude-from files-from filter groupmap iconv include include-from info
	link-dest log-file log-file-format log-format max-alloc max-delete max-size min-size
	modify-window only-write-batch out-format outbuf partial-dir password-file port protocol
	read-batch remote-option rsh rsync-path skip-compress sockopts stderr stop-after stop-at
	suffix temp-dir time-limit timeout contimeout usermap write-batch zc zl zt`)

const (
	whyDelete  = "fansync decides what is deleted"
	whyFilter  = "use fansync's --exclude and --include, so that watching and sending agree"
	whyOutput  = "it changes the output that fansync reads"
	whyList    = "fansync makes the list of files itself"
	whyDry     = "a mirror that changes nothing would be taken for a good one"
	whyShell   = "use fansync's --ssh"
	whyDaemon  = "it makes rsync something else than a sender"
	whyTree    = "the tree at the remote would not be the source's"
	whySecret  = "use fansync's --password-file"
	whyTimeout = "use fansync's timeout setting"
)

// refused are the long options that may not be given, with the reason.
var refused = map[string]string{
	"del": whyDelete, "ignore-errors": whyDelete, "ignore-missing-args": whyDelete, "max-delete": whyDelete,
	"force": whyDelete, "no-force": whyDelete, "prune-empty-dirs": whyTree,
	"exclude": whyFilter, "exclude-from": whyFilter, "include": whyFilter, "include-from": whyFilter,
	"filter": whyFilter, "cvs-exclude": whyFilter,
	"out-format": whyOutput, "log-format": whyOutput, "info": whyOutput, "debug": whyOutput, "stats": whyOutput,
	"itemize-changes": whyOutput, "progress": whyOutput, "verbose": whyOutput, "quiet": whyOutput,
	"human-readable": whyOutput, "8-bit-output": whyOutput, "msgs2stderr": whyOutput, "stderr": whyOutput,
	"outbuf": whyOutput, "list-only": whyOutput, "help": whyOutput, "version": whyOutput, "iconv": "names are bytes",
	"files-from": whyList, "from0": whyList, "dirs": whyList, "relative": whyList, "implied-dirs": whyList,
	"old-dirs": whyList, "old-args": whyList, "mkpath": whyTree, "compare-dest": whyTree,
	"dry-run": whyDry, "read-batch": whyDry, "write-batch": whyDry, "only-write-batch": whyDry,
	"rsh": whyShell, "blocking-io": whyShell, "password-file": whySecret, "early-input": whySecret,
	"timeout": whyTimeout, "contimeout": whyTimeout,
	"daemon": whyDaemon, "server": whyDaemon, "sender": whyDaemon, "config": whyDaemon,
	"remove-source-files": "fansync never touches the source", "remove-sent-files": "fansync never touches the source",
}

// longOf gives short options that are refused, dropped or warned of their name.
var longOf = map[byte]string{
	'a': "archive", 'r': "recursive", 's': "secluded-args", 'n': "dry-run", 'd': "dirs", 'R': "relative",
	'0': "from0", 'v': "verbose", 'q': "quiet", 'i': "itemize-changes", 'h': "human-readable", 'P': "progress",
	'8': "8-bit-output", 'f': "filter", 'F': "filter", 'C': "cvs-exclude", 'e': "rsh", 'm': "prune-empty-dirs",
	'u': "update", 'L': "copy-links", 'k': "copy-dirlinks", 'K': "keep-dirlinks", '@': "modify-window",
}

// implied are options that every run has, or has where it must: given again
// they change nothing, and -r would make a flat batch a deep one.
var implied = words("archive recursive secluded-args protect-args inc-recursive")

// warned are the options that are honoured though they weaken the mirror.
var warned = map[string]string{
	"update":           "a remote file that is newer is never replaced, not even by an older one put back at the source",
	"copy-links":       "what symlinks point to is sent, but changes there are not watched",
	"copy-dirlinks":    "what symlinks to directories point to is sent, but changes there are not watched",
	"keep-dirlinks":    "a symlink at the remote is followed, and what it points to may be deleted",
	"modify-window":    "a file rewritten within the window at the same size is not sent",
	"size-only":        "a file rewritten at the same size is not sent",
	"existing":         "new files are not sent",
	"ignore-existing":  "changed files are not sent",
	"max-size":         "larger files are not sent",
	"min-size":         "smaller files are not sent",
	"append":           "a file rewritten at the same or a larger size is not sent whole",
	"append-verify":    "a file rewritten at the same or a smaller size is not sent",
	"no-times":         "unchanged files are compared again each time",
	"one-file-system":  "what is mounted below the source is not sent",
	"omit-dir-times":   "directories keep their own times at the remote",
	"omit-link-times":  "symlinks keep their own times at the remote",
	"no-inc-recursive": "a full run holds the whole file list in memory",
}

// warnedAs are other names of warned options.
var warnedAs = map[string]string{"no-t": "no-times", "ignore-non-existing": "existing"}

// checkOptions passes on the options a user may give, without those that are
// implied, and says what speaks against them.
func checkOptions(options []string) (pass, warnings []string, err error) {
	for i := 0; i < len(options); i++ {
		word := options[i]
		long, isLong := strings.CutPrefix(word, "--")
		switch {
		case strings.ContainsRune(word, 0):
			return nil, nil, fmt.Errorf("rsync option %q: it contains a NUL byte", word)
		case len(word) < 2 || word == "--" || word[0] != '-':
			return nil, nil, fmt.Errorf("rsync option %q: it does not start with a dash and no option before it takes a value", word)
		}
		var name string
		var needsValue bool
		if isLong {
			var hasValue bool
			name, _, hasValue = strings.Cut(long, "=")
			needsValue = longValued[name] && !hasValue
		} else if word, needsValue, err = checkShort(word, &warnings); err != nil {
			return nil, nil, err
		}
		if isLong {
			drop, err := checkLong(name, &warnings)
			if err != nil {
				return nil, nil, err
			}
			if drop {
				continue
			}
		}
		if word != "-" {
			pass = append(pass, word)
		}
		if needsValue {
			if i++; i == len(options) {
				return nil, nil, fmt.Errorf("rsync option %q: its value is missing", word)
			}
			pass = append(pass, options[i])
		}
	}
	return pass, warnings, nil
}

// keepsFiles reports whether an option leaves files behind where directories
// are deleted.
func keepsFiles(options []string) bool {
	for _, o := range options {
		if strings.HasPrefix(o, "--backup") || len(o) > 1 && o[0] == '-' && o[1] != '-' && strings.ContainsRune(o, 'b') {
			return true
		}
	}
	return false
}

// checkShort goes through a bundle such as -artuz and returns it without what
// is implied.
func checkShort(word string, warnings *[]string) (kept string, needsValue bool, err error) {
	kept = "-"
	for j := 1; j < len(word); j++ {
		c := word[j]
		if name, ok := longOf[c]; ok {
			drop, err := checkLong(name, warnings)
			if err != nil {
				return "", false, fmt.Errorf("%w (as -%c)", err, c)
			}
			if drop {
				continue
			}
		}
		if strings.IndexByte(shortValued, c) >= 0 {
			return kept + word[j:], j == len(word)-1, nil
		}
		kept += word[j : j+1]
	}
	return kept, false, nil
}

// checkLong judges one option by its long name without dashes.
func checkLong(name string, warnings *[]string) (drop bool, err error) {
	positive := strings.TrimPrefix(name, "no-")
	if strings.HasPrefix(name, "delete") {
		return false, fmt.Errorf("rsync option --%s is refused: %s", name, whyDelete)
	}
	if why, ok := refused[name]; ok {
		return false, fmt.Errorf("rsync option --%s is refused: %s", name, why)
	}
	if name != positive && (refused[positive] == whyList || refused[positive] == whyOutput ||
		(implied[positive] && positive != "inc-recursive") || strings.HasPrefix(positive, "delete")) ||
		name == "no-R" || name == "no-d" || name == "no-r" || name == "no-s" || name == "no-0" || name == "no-a" {
		return false, fmt.Errorf("rsync option --%s is refused: fansync's batches need it on", name)
	}
	if implied[name] {
		return true, nil
	}
	if as, ok := warnedAs[name]; ok {
		name = as
	}
	if why, ok := warned[name]; ok {
		*warnings = append(*warnings, fmt.Sprintf("rsync option --%s: %s", name, why))
	}
	return false, nil
}

func words(s string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}
