package engine

import (
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// sersync runs one rsync for each event and remote. Its program is from 2011 and
// not packaged anywhere.
type sersync struct{ path string }

func (sersync) Name() string { return "sersync2" }

func (sersync) Live() bool { return true }

// sersyncSums are the programs whose version is known.
var sersyncSums = map[string]string{
	"acce70ff484fa14dcd282a596e7d4d3e972453c0e7fdbd6e44efbf5ff4645ee3": "sersync 2.5.4 (2011-10-26, 64 bit)",
}

// Version looks at the file alone: sersync has no option that tells, and changes
// the machine's limits whenever it runs.
func (s sersync) Version(ctx context.Context) (_ string, err error) {
	rsync, err := rsyncVersion(ctx)
	if err != nil {
		return "", err
	}
	if s.path == "" {
		return "", errors.New("sersync2 is not there: get its program and name it with --sersync PATH")
	}
	f, err := os.Open(s.path)
	if err != nil {
		return "", fmt.Errorf("the sersync2 program: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("the sersync2 program: %w", err)
	}
	if !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return "", fmt.Errorf("the sersync2 program %s cannot be executed: chmod +x it", s.path)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("the sersync2 program: %w", err)
	}
	sum := fmt.Sprintf("%x", h.Sum(nil))
	version, ok := sersyncSums[sum]
	if !ok {
		version = "sersync of unknown version, sha256 " + sum[:12]
	}
	return version + ", rsync " + rsync, nil
}

func (s sersync) Start(_ context.Context, job Job) (Process, error) {
	if err := job.check(); err != nil {
		return nil, err
	}
	// It gives both to a shell, unquoted.
	for _, path := range []string{job.Src, job.Scratch} {
		if strings.Trim(path, "/._-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return nil, fmt.Errorf("sersync2 cannot work with the path %q: take one of letters, digits, dots, dashes and underscores", path)
		}
	}
	for _, r := range job.Remotes {
		if r.Port != job.Remotes[0].Port {
			return nil, fmt.Errorf("sersync2 knows one port only, and the remotes have %d and %d", job.Remotes[0].Port, r.Port)
		}
	}
	path, err := filepath.Abs(s.path)
	if err != nil {
		return nil, fmt.Errorf("find %q: %w", s.path, err)
	}
	config := filepath.Join(job.Scratch, "confxml.xml")
	if err := os.WriteFile(config, []byte(sersyncConfig(job)), 0o600); err != nil {
		return nil, fmt.Errorf("configure sersync2: %w", err)
	}
	limits, err := readLimits()
	if err != nil {
		return nil, err
	}
	d, err := launch(job, path, "-o", config)
	if err != nil {
		return nil, err
	}
	d.restore = func() error { return writeLimits(limits) }
	return d, nil
}

// sersyncConfig is the file as shipped, with our source and remotes, without the
// blocks of plugins. sersync crashes where an element is missing.
func sersyncConfig(job Job) string {
	var remotes strings.Builder
	for _, r := range job.Remotes {
		fmt.Fprintf(&remotes, "\n            <remote ip=%s name=%s/>", xmlString(r.Addr), xmlString(r.Module))
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="ISO-8859-1"?>
<head version="2.5">
    <host hostip="localhost" port="8008"></host>
    <debug start="false"/>
    <fileSystem xfs="false"/>
    <filter start="false"></filter>
    <inotify>
        <delete start="true"/>
        <createFolder start="true"/>
        <createFile start="false"/>
        <closeWrite start="true"/>
        <moveFrom start="true"/>
        <moveTo start="true"/>
        <attrib start="false"/>
        <modify start="false"/>
    </inotify>
    <sersync>
        <localpath watch=%s>%s
        </localpath>
        <rsync>
            <commonParams params="-art"/>
            <auth start="false" users="root" passwordfile="/etc/rsync.pas"/>
            <userDefinedPort start="true" port="%d"/>
            <timeout start="false" time="100"/>
            <ssh start="false"/>
        </rsync>
        <failLog path=%s timeToExecute="60"/>
        <crontab start="false" schedule="600">
            <crontabfilter start="false"></crontabfilter>
        </crontab>
        <plugin start="false" name="command"/>
    </sersync>
</head>
`, xmlString(job.Src), remotes.String(), job.Remotes[0].Port, xmlString(filepath.Join(job.Scratch, "faillog.sh")))
}

func xmlString(s string) string {
	var b strings.Builder
	// A strings.Builder does not fail.
	_ = xml.EscapeText(&b, []byte(s))
	return `"` + b.String() + `"`
}

// limitFiles are what sersync overwrites whenever it starts.
var limitFiles = []string{
	"/proc/sys/fs/inotify/max_user_watches",
	"/proc/sys/fs/inotify/max_queued_events",
}

func readLimits() ([][]byte, error) {
	var values [][]byte
	for _, file := range limitFiles {
		v, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read inotify's limits: %w", err)
		}
		values = append(values, v)
	}
	return values, nil
}

// writeLimits changes what is different. Where we may not write, sersync could not
// either, and nothing is.
func writeLimits(values [][]byte) error {
	now, err := readLimits()
	if err != nil {
		return err
	}
	for i, file := range limitFiles {
		if string(now[i]) == string(values[i]) {
			continue
		}
		if err := os.WriteFile(file, values[i], 0o644); err != nil {
			return fmt.Errorf("restore inotify's limits to %s: %w", strings.TrimSpace(string(values[i])), err)
		}
	}
	return nil
}
