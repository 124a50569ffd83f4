package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/control"
	"github.com/fansync/fansync/transport"
)

// mirrorFlags are the options of `fansync SRC DEST...`.
type mirrorFlags struct {
	rules        []string
	backend      string
	modify       string
	ssh          string
	passwordFile string
	rsyncOptions []string
	standbys     int
	share        float64
	files        int
	serve        serveFlags
	logFormat    string
	logLevel     string
	grace        time.Duration
}

func (m *mirrorFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&ruleFlag{&m.rules, "- "}, "exclude", "leave out what matches this rsync `pattern`; the first rule that matches decides")
	f.Var(&ruleFlag{&m.rules, "+ "}, "include", "take what matches this rsync `pattern`, whatever later rules say")
	f.Var(&ruleFlag{&m.rules, ""}, "filter", "an rsync filter `rule`: \"- PATTERN\" or \"+ PATTERN\"")
	f.StringVar(&m.backend, "backend", "auto", "how changes are heard of: auto, fanotify or inotify")
	f.StringVar(&m.modify, "modify", "on", "whether writes to files that stay open are heard of: on or off")
	f.StringVar(&m.ssh, "ssh", "", "the ssh `command` and its options, such as \"ssh -p 2222 -i key\"")
	f.StringVar(&m.passwordFile, "password-file", "", "`file` with the rsync daemons' password, readable by its owner alone")
	f.StringArrayVar(&m.rsyncOptions, "rsync-opt", nil, "a further `option` for every rsync; may be repeated")
	f.IntVar(&m.standbys, "standbys", config.DefaultStandbys, "keep this `number` of rsyncs connected to each DEST, so that changes go at once; 0 for none")
	f.Float64Var(&m.share, "max-delete-share", 0.5, "halt a remote when more than this `part` of the tree would be deleted at once; 1 turns it off")
	f.IntVar(&m.files, "max-delete-files", 1000, "never halt for deleting at most this `number` of files")
	f.DurationVar(&m.grace, "grace", 10*time.Second, "how long running transfers may finish after SIGTERM or SIGINT")
	f.StringVar(&m.logFormat, "log-format", "text", "text or json")
	f.StringVar(&m.logLevel, "log-level", "info", "debug, info, warn or error")
	m.serve.register(cmd)
}

// config is the configuration that the arguments stand for.
func (m *mirrorFlags) config(src string, dests []string) (config.Config, error) {
	path, err := filepath.Abs(src)
	if err != nil {
		return config.Config{}, fmt.Errorf("resolve %q: %w", src, err)
	}
	root := config.Root{
		Path: path, Backend: m.backend, Modify: m.modify, Filters: m.rules,
		Guard: config.Guard{MaxDeleteShare: m.share, MaxDeleteFiles: m.files},
	}
	password := m.passwordFile
	if password != "" {
		if password, err = filepath.Abs(password); err != nil {
			return config.Config{}, fmt.Errorf("resolve %q: %w", m.passwordFile, err)
		}
	}
	for _, dest := range dests {
		r := config.Remote{Dest: dest, RsyncOptions: m.rsyncOptions, Standbys: &m.standbys}
		if d, err := transport.ParseDest(dest); err == nil {
			switch d.Kind {
			case transport.Daemon:
				r.PasswordFile = password
			case transport.SSH:
				r.SSH = m.ssh
			}
		}
		root.Remotes = append(root.Remotes, r)
	}
	return config.Config{
		LogFormat: m.logFormat, LogLevel: m.logLevel, Grace: config.Duration(m.grace),
		Socket: filepath.Join(control.Dir(), fmt.Sprintf("mirror-%d.sock", os.Getpid())),
		Roots:  []config.Root{root},
	}, nil
}

func (m *mirrorFlags) run(cmd *cobra.Command, src string, dests []string) error {
	conf, err := m.config(src, dests)
	if err != nil {
		return usageError{err}
	}
	return m.serve.serve(cmd, job{loaded: loaded{Config: conf}, strict: true})
}

// ruleFlag appends filter rules of several flags to one list, in the order in
// which they were given.
type ruleFlag struct {
	rules  *[]string
	prefix string
}

func (r *ruleFlag) Set(s string) error {
	*r.rules = append(*r.rules, r.prefix+s)
	return nil
}
func (r *ruleFlag) String() string { return "" }
func (r *ruleFlag) Type() string   { return "pattern" }
