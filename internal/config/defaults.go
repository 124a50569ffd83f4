package config

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"
)

// DefaultSocket is the control socket if the file names none.
const DefaultSocket = "/run/fansync/fansync.sock"

// DefaultStandbys is how many standbys a remote has if nothing is said: while
// one is used, another is ready.
const DefaultStandbys = 2

// maxStandbys is far more than can be of use.
const maxStandbys = 16

// WithDefaults gives the configuration with everything filled in that was left
// out, and with the roots' paths cleaned. It does not change c.
func (c Config) WithDefaults() Config {
	c.LogFormat = cmp.Or(c.LogFormat, "text")
	c.LogLevel = cmp.Or(c.LogLevel, "info")
	c.Socket = cmp.Or(c.Socket, DefaultSocket)
	c.Grace = cmp.Or(c.Grace, Duration(10*time.Second))
	c.FailLogEvery = cmp.Or(c.FailLogEvery, Duration(time.Hour))
	c.Plugins = slices.Clone(c.Plugins)
	for i := range c.Plugins {
		c.Plugins[i] = c.Plugins[i].WithDefaults()
	}
	c.Roots = slices.Clone(c.Roots)
	for i := range c.Roots {
		c.Roots[i] = c.Roots[i].withDefaults()
	}
	return c
}

func (r Root) withDefaults() Root {
	if r.Path != "" {
		r.Path = filepath.Clean(r.Path)
	}
	r.Backend = cmp.Or(r.Backend, "auto")
	r.Modify = cmp.Or(r.Modify, "on")
	r.HiddenWrites = cmp.Or(r.HiddenWrites, "search")
	r.Delete = cmp.Or(r.Delete, "mirror")
	r.Guard.MaxDeleteShare = cmp.Or(r.Guard.MaxDeleteShare, 0.5)
	r.Guard.MaxDeleteFiles = cmp.Or(r.Guard.MaxDeleteFiles, 1000)
	r.Remotes = slices.Clone(r.Remotes)
	for i := range r.Remotes {
		m := &r.Remotes[i]
		m.Name = cmp.Or(m.Name, m.Dest)
		m.Compress = cmp.Or(m.Compress, "off")
		m.MaxDirty = cmp.Or(m.MaxDirty, 500_000)
		if m.Standbys == nil {
			m.Standbys = new(DefaultStandbys)
		}
		m.Timeout = cmp.Or(m.Timeout, Duration(time.Minute))
		m.Parallel = cmp.Or(m.Parallel, 2)
	}
	return r
}
