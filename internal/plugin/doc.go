// Package plugin tells programs, sockets, CDNs and web hooks what has arrived at
// the remotes.
//
// In flow the entries that a scheduler has synced; out flow commands, bytes on
// connections and requests. The flow, in the order of the files:
//
//  1. hub.go: Synced never waits. gather.go holds a change until every remote
//     that is up has it, so that a listener hears of it once.
//  2. runner.go: each plugin has a bounded queue and workers of its own. What
//     does not fit is lost to that plugin, and counted: no listener ever delays
//     the mirror or another listener.
//  3. command.go, socket.go, cdn.go, http.go: the ways to tell.
//
// A change says where to look, not what happened: whether a path is there is
// looked up when it is told. Names are bytes; no shell is started; no credential
// stands in a log or in an error.
//
// Run owns all goroutines. When its context ends it tells what is queued for at
// most a few seconds and returns when all of them are gone.
package plugin
