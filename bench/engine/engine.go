package engine

import (
	"context"
	"io"
)

// Remote is one mirror: a module of an rsync daemon on the loopback.
type Remote struct {
	// Addr is the daemon's IP address, Port its port, Module the module's name.
	Addr   string
	Port   int
	Module string
	// Dead: nothing listens there; the engine is told of it like of any other.
	Dead bool
}

// Job is what an engine is started for.
type Job struct {
	// Src is the absolute path of the tree to mirror.
	Src string
	// Remotes are where to, one or more.
	Remotes []Remote
	// Scratch is an empty directory for the engine's configuration, sockets
	// and logs. The suite removes it.
	Scratch string
	// Log takes what the engine prints.
	Log io.Writer
	// Cgroup is an open directory of the cgroup (version 2) to start the engine in, or
	// -1.
	Cgroup int
}

// Engine is one program that mirrors, as the suite sees it.
type Engine interface {
	// Name is a short lower-case word, such as "lsyncd".
	Name() string
	// Version says what was found, or is an error that says in one line why
	// the engine cannot run here and what to install.
	Version(ctx context.Context) (string, error)
	// Start starts it and returns when its process runs. The mirrors are equal
	// to the source at that moment, unless the workload says otherwise.
	Start(ctx context.Context, job Job) (Process, error)
	// Live reports whether it mirrors changes as they come. The others
	// ("ideal", "rsync") are told to Sync after the changes.
	Live() bool
}

// Process is a started engine.
type Process interface {
	// PID is that of its own process (the daemon); 0 if it has none now.
	PID() int
	// Sync makes an engine that is not Live do its work for the changed paths,
	// which are relative to Src, sorted; those that are gone are among them.
	// It returns when the work is done.
	Sync(ctx context.Context, changed []string) error
	// Exited is closed when the engine's own process ended.
	Exited() <-chan struct{}
	// Stop ends the process and all that it started, restores what it changed
	// on the machine (sersync raises inotify's limits), waits for it, and
	// returns the CPU seconds that the whole tree of processes took as wait(2)
	// tells (children that were waited for).
	Stop() (cpuSeconds float64, err error)
}
