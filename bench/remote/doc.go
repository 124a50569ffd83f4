// Package remote runs the mirrors that engines are measured against: a real rsync
// daemon on the loopback with one module for each mirror's directory, slow ones
// behind a link of their own, and dead ones where nobody listens.
//
// All modules share one port number and differ by address (127.0.0.1, 127.0.0.2,
// ...), since sersync knows one port only. Everybody on the machine can write to
// the modules while the daemon runs, so measure where nobody else is.
//
// As root the modules are confined by chroot: without it rsync rewrites symbolic
// links that leave the module, and no mirror of such a tree could be right.
//
// A daemon's --bwlimit slows what it sends, not what it receives, so a slow
// module's address is a relay in this process that takes bytes no faster than
// asked for.
//
// What was served is counted without touching the transfers: how many from the
// daemon's log, how many bytes from the kernel, which tells what each TCP connection
// has carried (sock_diag). Where it does not, bytes come from the log as well, which
// has none for transfers that ended by an error, also a harmless one such as a
// vanished file. Daemon.Counting tells which.
package remote
