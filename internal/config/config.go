package config

import (
	"log/slog"

	"github.com/fansync/fansync/internal/filter"
)

// Config is the whole configuration. It can also be put together without a
// file; the zero value lacks only a root.
type Config struct {
	// LogFormat is "text" or "json". Empty means "text".
	LogFormat string `toml:"log_format,omitempty"`
	// LogLevel is "debug", "info", "warn" or "error": what is less grave is
	// not logged. Empty means "info".
	LogLevel string `toml:"log_level,omitempty"`
	// Socket is the absolute path of the control socket. Empty means
	// DefaultSocket.
	Socket string `toml:"socket,omitempty"`
	// Grace is how long batches in flight may finish when the program is told
	// to stop. Zero means 10s; negative ends them at once.
	Grace Duration `toml:"grace,omitempty"`
	// MaxRsyncs is how many rsyncs may run at once, to all remotes together. With
	// it remotes wait for each other. Zero means no limit.
	MaxRsyncs int `toml:"max_rsyncs,omitempty"`
	// FailLog is the absolute path of a readable list of what failed twice, as
	// rsync commands. Empty means none.
	FailLog string `toml:"fail_log,omitempty"`
	// FailLogEvery is how often what stands there is tried again at once, beside
	// the tries that come by themselves. Zero means 1h.
	FailLogEvery Duration `toml:"fail_log_every,omitempty"`
	// Plugins are told of what has arrived.
	Plugins []Plugin `toml:"plugin,omitempty"`
	// Roots are the directories to mirror: at least one, none inside another.
	Roots []Root `toml:"root,omitempty"`

	// source knows where the keys stand in the file; nil without a file.
	source *source
}

// Root is one directory tree and where it goes.
type Root struct {
	// Path is the directory's absolute path. It need not exist yet.
	Path string `toml:"path,omitempty"`
	// Backend is how changes are heard of: "fanotify", "inotify", or "auto"
	// for the best one that works here. Empty means "auto".
	Backend string `toml:"backend,omitempty"`
	// Modify says whether writes to files that stay open are heard of: "on", or
	// "off" for a filesystem that is written to so much that it costs too much.
	// Empty means "on".
	Modify string `toml:"modify,omitempty"`
	// HiddenWrites says what is done when a file may have been changed under a
	// name that was gone before anybody looked, and it is not known which file:
	// "search" looks for it, when a flush asks and else rarely in the
	// background; "ignore" does not. Empty means "search".
	HiddenWrites string `toml:"hidden_writes,omitempty"`
	// Filters are rsync's rules, "- PATTERN" or "+ PATTERN"; the first that
	// matches a path decides. Empty means that everything is mirrored.
	Filters []string `toml:"filters,omitempty"`
	// Exclude is short for rules "- PATTERN" after all Filters.
	Exclude []string `toml:"exclude,omitempty"`
	// ExcludeRegex are regular expressions of paths to leave out, whatever
	// Filters say; see filter.Regex.
	ExcludeRegex []string `toml:"exclude_regex,omitempty"`
	// Delete says what is deleted at the remotes: "mirror" what the source does
	// not have, "listed" only what is seen to be removed from the source, "off"
	// nothing. Empty means "mirror".
	Delete string `toml:"delete,omitempty"`
	// FullEvery is how often everything is compared with every remote, beside
	// when it must be. Zero or less means never.
	FullEvery Duration `toml:"full_every,omitempty"`
	// FullExclude are patterns that comparisons of everything leave alone:
	// neither sent by them, nor ever deleted by comparing directories.
	FullExclude []string `toml:"full_exclude,omitempty"`
	// Guard limits what one flush may delete at a remote.
	Guard Guard `toml:"guard,omitempty"`
	// Remotes are the mirrors: at least one.
	Remotes []Remote `toml:"remote,omitempty"`
}

// Guard stops a remote, until the operator confirms, when one flush would
// delete more than both limits allow.
type Guard struct {
	// MaxDeleteShare is the part of the known tree that may go at once, 0.5
	// for half of it. Zero means 0.5; 1 or more turns the guard off.
	MaxDeleteShare float64 `toml:"max_delete_share,omitempty"`
	// MaxDeleteFiles is a number of files up to which the guard never steps
	// in, however small the tree. Zero means 1000; negative means that the
	// share alone decides.
	MaxDeleteFiles int `toml:"max_delete_files,omitempty"`
}

// Remote is one mirror of a root.
type Remote struct {
	// Name stands for the remote in logs, status and commands; it is unique
	// within the root. Empty means Dest.
	Name string `toml:"name,omitempty"`
	// Dest is where it goes, as rsync takes it: "host::module/path",
	// "user@host:/path", "rsync://host/module/path" or a local "/path".
	Dest string `toml:"dest,omitempty"`
	// PasswordFile is the absolute path of the file with an rsync daemon's
	// password. Empty means none.
	PasswordFile string `toml:"password_file,omitempty"`
	// SSH is the remote shell and its arguments, such as "ssh -p 2222"; it is
	// split at blanks and never given to a shell. Empty means rsync's default.
	SSH string `toml:"ssh,omitempty"`
	// RsyncOptions are further options for every rsync to this remote.
	RsyncOptions []string `toml:"rsync_options,omitempty"`
	// MaxDirty is how many dirty paths are kept for a remote that is away;
	// beyond it the paths are dropped and the remote is compared as a whole
	// when it returns. Zero means 500000.
	MaxDirty int `toml:"max_dirty,omitempty"`
	// Standbys is how many rsyncs are kept connected to the remote, so that a
	// change goes at once. Nil means 2; 0 means none.
	Standbys *int `toml:"standbys,omitempty"`
	// Shards is how many rsyncs share a comparison of everything. Zero means by the
	// cores and the number of remotes, at most 4.
	Shards int `toml:"shards,omitempty"`
	// BWLimit is what all rsyncs to the remote may send together, in KiB a second
	// or with a suffix, such as "10m". Empty means no limit.
	BWLimit string `toml:"bwlimit,omitempty"`
	// Nice is added to the CPU priority number of these rsyncs. Zero leaves it.
	Nice int `toml:"nice,omitempty"`
	// IONice is their class of disk access: "idle" or "best-effort:N". Empty
	// leaves it.
	IONice string `toml:"ionice,omitempty"`
	// Compress is "on" for the best way both sides know, or the name of one way.
	// Empty means "off".
	Compress string `toml:"compress,omitempty"`
	// Timeout ends an rsync in which nothing moves for so long, in whole
	// seconds. Zero means 60s; negative means never.
	Timeout Duration `toml:"timeout,omitempty"`
	// Parallel is how many rsyncs may run to this remote at once. Zero means 2.
	Parallel int `toml:"parallel,omitempty"`
}

// Filter compiles all rules of the root in order: what patterns can say of
// ExcludeRegex, Filters, then Exclude. veto, nil if there is none, reports what
// the other expressions exclude.
func (r Root) Filter() (f *filter.Filter, veto func(path string, isDir bool) bool, err error) {
	rules, veto, err := filter.ParseRegexes(r.ExcludeRegex)
	if err != nil {
		return nil, nil, err
	}
	rules = append(rules, r.Filters...)
	for _, p := range r.Exclude {
		rules = append(rules, excludeRule(p))
	}
	f, err = filter.Parse(rules)
	return f, veto, err
}

// FullFilter compiles FullExclude.
func (r Root) FullFilter() (*filter.Filter, error) {
	rules := make([]string, len(r.FullExclude))
	for i, p := range r.FullExclude {
		rules[i] = excludeRule(p)
	}
	return filter.Parse(rules)
}

func excludeRule(pattern string) string { return "- " + pattern }

// levels are the words for LogLevel.
var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// Level is LogLevel as slog takes it, slog.LevelInfo if it is empty or not
// valid.
func (c Config) Level() slog.Level { return levels[c.LogLevel] }
