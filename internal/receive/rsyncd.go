package receive

import (
	"fmt"
	"strings"
)

// The names of the files in the state directory.
const (
	confFile     = "rsyncd.conf"
	secretsFile  = "secrets"
	passwordFile = "password"
	pidFile      = "rsyncd.pid"
	lockFile     = "rsyncd.lock"
	ownLock      = "receive.lock"
)

// rsyncdConf is the daemon's configuration. The path ends in a slash so that a
// blank or a backslash before it is not taken for the line's end.
func rsyncdConf(c Config, root bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	state := func(name string) string { return c.StateDir + "/" + name }

	line("# Written by fansync receive at every start: changes made here are lost.")
	line("pid file = %s", state(pidFile))
	line("lock file = %s", state(lockFile))
	line("# The log goes to the program that started the daemon.")
	line("log file = /dev/stdout")
	line("reverse lookup = no")
	line("# Small changes are not held back for 40 ms.")
	line("socket options = TCP_NODELAY")
	line("")
	line("[%s]", c.Module)
	line("path = %s/", c.Dir)
	line("read only = no")
	line("list = no")
	line("auth users = %s", c.User)
	line("secrets file = %s", state(secretsFile))
	line("strict modes = yes")
	if c.address().IsLoopback() {
		line("hosts allow = 127.0.0.0/8 ::1")
	}
	if root {
		line("# Locked into its directory, and able to give files their owners.")
		line("use chroot = yes")
		line("uid = 0")
		line("gid = 0")
	} else {
		line("# Only root may chroot and give files away: all files belong to this user.")
		line("use chroot = no")
	}
	line("# The same owner numbers as at the source: a chroot has no list of names.")
	line("numeric ids = yes")
	line("# A mirror's links are to be the source's, so they are not rewritten to")
	line("# /rsyncd-munged/. In a chroot no link leads out. Without one rsync still")
	line("# strips a leading slash and each leading \"..\" that would leave the")
	line("# directory, so such links differ from the source's.")
	line("munge symlinks = no")
	line("# The password decides who may come in; a limit would only turn away a")
	line("# source that keeps connections ready.")
	line("max connections = 0")
	line("# Ends what a source that lost power or network left behind. It is longer")
	line("# than any pause of a source that is alive.")
	line("timeout = 600")
	return b.String()
}

// confPath finds the directory that a written configuration serves.
func confPath(conf string) string {
	for line := range strings.Lines(conf) {
		if path, ok := strings.CutPrefix(line, "path = "); ok {
			return strings.TrimSuffix(strings.TrimSuffix(path, "\n"), "/")
		}
	}
	return ""
}
