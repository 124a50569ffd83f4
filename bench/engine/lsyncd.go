package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lsyncd collects changes for a while and gives them to rsync as a list of
// filters.
type lsyncd struct{}

func (lsyncd) Name() string { return "lsyncd" }

func (lsyncd) Live() bool { return true }

func (lsyncd) Version(ctx context.Context) (string, error) {
	rsync, err := rsyncVersion(ctx)
	if err != nil {
		return "", err
	}
	path, err := program("lsyncd", "lsyncd")
	if err != nil {
		return "", err
	}
	line, err := firstLine(ctx, path, "-version") // "Version: 2.2.3"
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("lsyncd %s, rsync %s", strings.TrimPrefix(line, "Version: "), rsync), nil
}

func (lsyncd) Start(_ context.Context, job Job) (Process, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	path, err := program("lsyncd", "lsyncd")
	if err != nil {
		return nil, err
	}
	rsync, err := program("rsync", "rsync")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(job.Scratch, "lsyncd.conf.lua")
	if err := os.WriteFile(config, []byte(lsyncdConfig(job, rsync)), 0o600); err != nil {
		return nil, fmt.Errorf("configure lsyncd: %w", err)
	}
	d, err := launch(job, path, config)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// lsyncdConfig has one sync for each remote, as its manual says.
func lsyncdConfig(job Job, rsync string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `settings {
	nodaemon = true,
	insist = true,
	inotifyMode = "CloseWrite or Modify",
	maxProcesses = %d,
}
`, len(job.Remotes))
	for _, r := range job.Remotes {
		fmt.Fprintf(&b, `
sync {
	default.rsync,
	source = %s,
	target = %s,
	delay = 1,
	rsync = {
		binary = %s,
		archive = true,
	},
}
`, luaString(job.Src), luaString(r.url()), luaString(rsync))
	}
	return b.String()
}

// luaString quotes any bytes for Lua.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			fmt.Fprintf(&b, `\%03d`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
