// Package control is how an operator reaches a running daemon: JSON over HTTP
// on a unix socket that only the daemon's own user can open.
//
// In: requests of the command line (Client). Out: snapshots and orders of an
// Engine. Server.Serve owns its listener and the goroutines of its
// connections; all have ended when it returns. The server reads snapshots
// only and holds no state of its own.
//
//	GET  /v1/status                   → engine.Status
//	POST /v1/flush?timeout=30s        → 204, or 409 with what is not in sync
//	POST /v1/confirm-deletes?remote=N → 204, or 404
//
// An error's body is {"error": "one line"}.
package control
