package transport

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/fansync/fansync/scheduler"
)

// rsync's exit codes that are told apart.
const (
	codeUsage      = 1
	codeProtocol   = 2
	codeSelect     = 3
	codeUnsup      = 4
	codeStart      = 5
	codeLog        = 6
	codeSocket     = 10
	codeFile       = 11
	codeStream     = 12
	codeMessage    = 13
	codeIPC        = 14
	codeSignal1    = 19
	codeSignal     = 20
	codeMemory     = 22
	codePartial    = 23
	codeVanished   = 24
	codeMaxDelete  = 25
	codeTimeout    = 30
	codeConnTime   = 35
	codeNotRun     = 126
	codeNotFound   = 127
	codeShell      = 255
	codeNotStarted = -1
)

// reason is what a line tells when a run did not come to its files. In say,
// %[1]s is the remote and %[2]s the line's first group.
type reason struct {
	line  *regexp.Regexp
	class scheduler.Class
	say   string
}

func why(pattern string, class scheduler.Class, say string) reason {
	return reason{regexp.MustCompile(pattern), class, say}
}

const (
	transient = scheduler.Transient
	permanent = scheduler.Permanent

	sayNoRsync = "rsync is not installed at %[1]s (%[2]s): install it there"
)

// reasons are tried in this order, each on all lines; all are anchored, so
// that no file's name can pass for one. Permanent ones heal by themselves all
// the same once the operator has acted: the scheduler goes on probing.
var reasons = []reason{
	why(`^Password: @ERROR: auth failed on module (.*)`, permanent, "%[1]s asks for a password for module %[2]s: give the user in the destination and --password-file"),
	why(`^@ERROR: auth failed on module (.*)`, permanent, "%[1]s refused the login for module %[2]s: check the user in the destination, --password-file, and the daemon's secrets file"),
	why(`^@ERROR: Unknown module '(.*)'`, permanent, "%[1]s has no module %[2]s: check the name, or add it to its rsyncd.conf"),
	why(`^@ERROR: max connections \((-?\d+)\) reached`, transient, "%[1]s has all its %[2]s connections in use: raise max connections in its rsyncd.conf"),
	why(`^@ERROR: access denied to (.*)`, permanent, "%[1]s denies access to %[2]s: check hosts allow in its rsyncd.conf"),
	why(`^@ERROR: ch(?:dir|root) failed`, permanent, "%[1]s cannot enter the module's directory: make or mount it there, and check its permissions"),
	why(`^@ERROR: (.*)`, permanent, "%[1]s refused: %[2]s"),
	why(`^ERROR: module is (read only|write only)`, permanent, "%[1]s is %[2]s: set read only = no in its rsyncd.conf"),
	why(`^rsync: (?:\[\w+\] )?The server is configured to refuse (.*)`, permanent, "%[1]s refuses the option %[2]s that mirroring needs: change refuse options in its rsyncd.conf"),
	why(`^(?:rsync: )?(?:could not open password file|ERROR: password file) ?(.*)`, permanent, "%[1]s: rsync cannot use the password file %[2]s: chmod 600 it and check its owner"),
	why(`^(?:.*: )?Permission denied \((.*)\)\.$`, permanent, "%[1]s refused the ssh key (%[2]s): put the public key into its authorized_keys, or name the key with --ssh"),
	why(`^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!`, permanent, "the ssh host key of %[1]s has changed: if that is right, remove the old one with ssh-keygen -R"),
	why(`^Host key verification failed`, permanent, "the ssh host key of %[1]s is not known: connect once with ssh by hand to accept it"),
	why(`^ssh: Could not resolve hostname (.*?):`, transient, "the host name %[2]s of %[1]s is not known: check the name and DNS"),
	why(`^rsync: (?:\[\w+\] )?getaddrinfo: (\S+)`, transient, "the host name %[2]s of %[1]s is not known: check the name and DNS"),
	why(`^ssh: connect to host .*: (.*)$`, transient, "cannot reach %[1]s: %[2]s"),
	why(`^rsync: (?:\[\w+\] )?failed to connect to .*: (.*?)(?: \(\d+\))?$`, transient, "cannot reach %[1]s: %[2]s"),
	why(`^rsync: (?:\[\w+\] )?Failed to exec (.*?): (.*)`, permanent, "the remote shell %[2]s for %[1]s cannot be run: install it, or correct --ssh"),
	why(`^[\w./-]*sh: .*rsync.*: (command not found|not found|No such file or directory)$`, permanent, sayNoRsync),
	why(`^(?:zsh:\d+: )?(command not found): .*rsync`, permanent, sayNoRsync),
	why(`^(?:\S*/)?rsync: ([Cc]ommand not found)`, permanent, sayNoRsync),
	why(`^protocol version mismatch -- is your shell clean\?`, permanent, "the login shell at %[1]s prints text before rsync starts: silence its start-up files"),
	why(`^rsync: (?:\[\w+\] )?server sent "(.*)" rather than greeting`, permanent, "what answers at %[1]s is not an rsync daemon: check host and port"),
	why(`^rsync: (?:\[\w+\] )?didn't get server startup line()`, transient, "%[1]s closed the connection before the daemon answered"),
	why(`^rsync: (?:\[\w+\] )?did not see server greeting()`, transient, "%[1]s closed the connection before the daemon answered"),
	why(`^rsync: (?:\[\w+\] )?getcwd\(\)`, permanent, "the source root is gone: cannot mirror to %[1]s"),
	why(`^rsync: (?:\[sender\] )?change_dir "(.*)" failed`, permanent, "the source root cannot be entered: cannot mirror to %[1]s"),
	why(`^rsync: (?:\[Receiver\] |\[receiver\] )?mkdir "(.*)".* failed: No such file or directory \(2\)`, permanent, "the parent directory of the destination %[1]s does not exist: make it there, or mount it"),
	why(`^rsync: (?:\[Receiver\] |\[receiver\] )?mkdir ".*".* failed: (.*) \(\d+\)`, permanent, "the destination %[1]s cannot be made: %[2]s"),
	why(`^rsync: (?:\[Receiver\] )?(?:ERROR: cannot stat destination|change_dir.*) .* failed: (.*) \(\d+\)`, permanent, "the destination %[1]s cannot be entered: %[2]s"),
	why(`^rsync: (?:\[Receiver\] )?ERROR: cannot stat destination ".*".*: (.*) \(\d+\)`, permanent, "the destination %[1]s is not a usable directory: %[2]s"),
	why(`^ERROR: destination must be a directory(.*)`, permanent, "the destination %[1]s is not a directory%[2]s"),
}

var (
	unknownOption = regexp.MustCompile(`^rsync: (?:on remote machine: )?(-[^:\s]+).*unknown option`)
	ownUsage      = regexp.MustCompile(`^rsync error: .*\[client=`)
	trailer       = regexp.MustCompile(`^rsync (?:error|warning): (.*?) \(code \d+\)`)
)

// outcome is what a run left behind.
type outcome struct {
	code     int
	signaled bool
	canceled bool
	out      *transcript
	err      *transcript
	stats    scheduler.Stats
	// unlisted are the items that were not even listed.
	unlisted []scheduler.PathError
	// kept says that filters or backups may rightly keep a directory from
	// being deleted.
	kept bool
}

// newOutcome reads rsync's end.
func newOutcome(state *os.ProcessState) outcome {
	o := outcome{code: state.ExitCode()}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		o.signaled, o.code = true, codeSignal
	}
	return o
}

// result says what it means for the remote d.
func (o outcome) result(d Dest, r *resolver) scheduler.Result {
	res := scheduler.Result{
		Code:           o.code,
		Skipped:        o.out.skipped + o.err.skipped,
		DeletesSkipped: o.out.deletesSkipped || o.err.deletesSkipped,
		Stats:          o.stats,
	}
	complaints := slices.Concat(o.out.complaints, o.err.complaints)
	limited := o.out.limited || o.err.limited
	switch {
	case o.canceled && o.code != 0:
		res.Class, res.Message = scheduler.Canceled, fmt.Sprintf("the run to %s was ended", d)
		return res
	case o.out.full || o.err.full:
		res.Class, res.Message = transient, fmt.Sprintf("disk full at %s: make room there", d)
		return res
	case o.raced():
		res.Class, res.Message = scheduler.Partial, fmt.Sprintf("%s: the source changed while it was read", d)
		return res
	case o.code != 0 && o.code != codePartial && o.code != codeVanished && o.code != codeMaxDelete:
		res.Class, res.Message = o.fatal(d)
		return res
	}
	nameless := o.code == codePartial && (o.out.nameless+o.err.nameless > 0 || len(complaints) == 0)
	if leftover := slices.Concat(o.out.leftover, o.err.leftover); !limited && !o.kept {
		complaints = append(complaints, leftover...)
	}
	failed := append(r.failed(complaints), o.unlisted...)
	slices.SortStableFunc(failed, func(a, b scheduler.PathError) int { return strings.Compare(a.Path, b.Path) })
	failed = slices.CompactFunc(failed, func(a, b scheduler.PathError) bool { return a.Path == b.Path })
	switch {
	case limited || o.code == codeMaxDelete:
		// Against a daemon rsync ends with 0 here, and with 23 if a directory
		// in a file's way could not be emptied.
		res.Class = scheduler.DeleteLimit
		res.Message = limitMessage(d, res.Skipped)
	case o.code == 0 && len(failed) == 0:
		return res
	default:
		res.Class = scheduler.Partial
		res.Message = fmt.Sprintf("%s: rsync could not send everything", d)
		if len(failed) > 0 {
			res.Message = fmt.Sprintf("%s: %d not sent or not deleted, first: %s", d, len(failed), oneLine(failed[0].Message))
		}
	}
	if !nameless {
		res.Failed = failed
	}
	return res
}

func limitMessage(d Dest, skipped int) string {
	if skipped == 0 {
		return fmt.Sprintf("%s: more deletions than the limit allows", d)
	}
	return fmt.Sprintf("%s: at least %d more deletions than the limit allows", d, skipped)
}

// raced reports whether the far side refused a list because a directory
// vanished, or became something else, between its entry and those below it: it
// calls that an invalid path from the sender, and ends as for a protocol that
// does not match.
func (o outcome) raced() bool {
	return o.code == codeProtocol && (o.out.invalid || o.err.invalid)
}

// fatal is for codes that say nothing of single paths.
func (o outcome) fatal(d Dest) (scheduler.Class, string) {
	lines := o.err.lines()
	for _, line := range lines {
		if m := unknownOption.FindStringSubmatch(line); m != nil {
			if slices.ContainsFunc(lines, ownUsage.MatchString) {
				return permanent, fmt.Sprintf("the rsync here does not know the option %s: correct the options or install a newer rsync", m[1])
			}
			return permanent, fmt.Sprintf("the rsync at %s is too old, it does not know %s: install 3.1.0 or newer there", d, m[1])
		}
	}
	for _, why := range reasons {
		for _, line := range lines {
			if m := why.line.FindStringSubmatch(line); m != nil {
				group := ""
				if len(m) > 1 {
					group = unescape(m[1])
				}
				return why.class, oneLine(fmt.Sprintf(why.say, d, group))
			}
		}
	}
	return o.byCode(d, lines)
}

// byCode is for runs whose output has no known reason.
func (o outcome) byCode(d Dest, lines []string) (scheduler.Class, string) {
	said := lastWord(lines)
	switch {
	case o.signaled, o.code == codeSignal, o.code == codeSignal1:
		return transient, fmt.Sprintf("the rsync to %s was killed", d)
	case o.code == codeSelect && len(lines) == 0: // by ssh the last words may be lost
		return permanent, fmt.Sprintf("%s is not a usable directory (code %d)", d, o.code)
	}
	switch o.code {
	case codeUsage, codeProtocol, codeSelect, codeUnsup, codeStart, codeLog:
		return permanent, fmt.Sprintf("rsync to %s: %s (code %d)", d, said, o.code)
	case codeTimeout, codeConnTime:
		return transient, fmt.Sprintf("%s did not answer in time", d)
	case codeSocket, codeStream, codeMessage, codeIPC:
		return transient, fmt.Sprintf("the connection to %s broke: %s", d, said)
	case codeFile:
		return transient, fmt.Sprintf("file error at %s: %s", d, said)
	case codeMemory:
		return transient, fmt.Sprintf("rsync to %s ran out of memory", d)
	case codeNotRun, codeNotFound:
		return permanent, fmt.Sprintf("rsync cannot be run at %s: install it there (%s)", d, said)
	case codeShell:
		return transient, fmt.Sprintf("ssh to %s failed: %s", d, said)
	}
	return transient, fmt.Sprintf("rsync to %s ended with code %d: %s", d, o.code, said)
}

// lastWord is the first line that says more than that it ended.
func lastWord(lines []string) string {
	for _, line := range lines {
		if !trailer.MatchString(line) && !strings.Contains(line, "connection unexpectedly closed") {
			return unescape(strings.TrimPrefix(line, "rsync: "))
		}
	}
	for _, line := range lines {
		if m := trailer.FindStringSubmatch(line); m != nil {
			return m[1]
		}
	}
	if len(lines) > 0 {
		return lines[0]
	}
	return "it said nothing"
}
