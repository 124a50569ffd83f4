package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/control"
	"github.com/fansync/fansync/internal/sersync"
)

// sersyncName is the name under which the program is sersync's stand-in.
const sersyncName = "sersync2"

const sersyncHelp = `fansync in place of sersync2 / 代替 sersync2 的 fansync

  -d        run in the background / 后台运行 (pid file and log / pid 文件与日志: -h below / 见下)
  -r        compare everything first, deleting at the remotes what the source
            does not have / 启动时整体同步一遍, 远端多余的文件会被删除
  -n N      at most N rsyncs at once to each remote / 每个远端同时最多 N 个 rsync (2)
  -m NAME   tell the plugin only, mirror nothing / 只运行插件, 不同步:
            command, socket, refreshCDN, http
  -o FILE   configuration / 配置文件 (confxml.xml)
  -h        this help / 显示本帮助

With -d the pid is in %[1]s,
and the log in %[2]s if the output is a terminal.
`

// sersyncFlags are sersync's options, as it reads them.
type sersyncFlags struct {
	detach   bool
	compare  bool
	threads  string
	only     string
	file     string
	help     bool
	detached bool // it runs in the background already
}

// detachedFlag tells the background process that it is one.
const detachedFlag = "--detached"

func sersyncCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sersync2 [-d] [-r] [-n N] [-m PLUGIN] [-o confxml.xml]",
		Short: "Do what sersync2 did, with its configuration and options",
		Long: `sersync2 takes the options of the program of that name and its confxml.xml,
unchanged. It is also what fansync does when it is called sersync2.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := parseSersync(args)
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd)
		},
	}
}

// parseSersync reads options as getopt does: bundled, with the value attached
// or behind; the last one counts, and what is no option is ignored.
func parseSersync(args []string) (sersyncFlags, error) {
	f := sersyncFlags{file: "confxml.xml"}
	values := map[byte]*string{'n': &f.threads, 'o': &f.file, 'm': &f.only}
	switches := map[byte]*bool{'d': &f.detach, 'r': &f.compare, 'h': &f.help}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == detachedFlag && i == 0:
			f.detached = true
			continue
		case arg == "--help":
			f.help = true
			continue
		case arg == "--":
			return f, nil
		case len(arg) < 2 || arg[0] != '-':
			continue
		}
		for j := 1; j < len(arg); j++ {
			if on, ok := switches[arg[j]]; ok {
				*on = true
				continue
			}
			into, ok := values[arg[j]]
			if !ok {
				return f, fmt.Errorf("there is no option -%c; -h tells which there are (没有该选项)", arg[j])
			}
			*into = arg[j+1:]
			if *into == "" {
				if i++; i == len(args) {
					return f, fmt.Errorf("option -%c: its value is missing (缺少参数)", arg[j])
				}
				*into = args[i]
			}
			break
		}
	}
	return f, nil
}

// threadCount is -n as a number, 0 if there is none that means anything.
func (f sersyncFlags) threadCount() int {
	n, err := strconv.Atoi(f.threads)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (f sersyncFlags) run(cmd *cobra.Command) error {
	files := placesOf(f.file)
	if f.help {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), sersyncHelp, files.pid, files.log)
		return err
	}
	conf, err := f.load()
	if err != nil {
		return err
	}
	if f.detach && !f.detached {
		return detach(cmd, files, append([]string{sersyncName, detachedFlag}, f.again()...))
	}
	lock, err := files.lock()
	if err != nil {
		return err
	}
	defer lock.release()
	conf.Socket = files.socket
	j := job{loaded: conf, ready: lock.write, pluginsOnly: f.only != ""}
	if f.detached {
		syscall.CloseOnExec(readyFD)
		j.ready = func() error {
			if err := lock.write(); err != nil {
				return err
			}
			return reportReady()
		}
	}
	return new(serveFlags).serve(cmd, j)
}

// again are the options for the process in the background.
func (f sersyncFlags) again() []string {
	args := []string{"-o", f.file}
	if f.compare {
		args = append(args, "-r")
	}
	if f.threads != "" {
		args = append(args, "-n", f.threads)
	}
	if f.only != "" {
		args = append(args, "-m", f.only)
	}
	return args
}

func (f sersyncFlags) load() (loaded, error) {
	data, err := os.ReadFile(f.file)
	if err != nil {
		return loaded{}, usageError{fmt.Errorf("read configuration: %w; name the file with -o", err)}
	}
	if !config.IsXML(data) {
		return loaded{}, usageError{fmt.Errorf("%s is no XML; for a TOML file use fansync run -c %s", f.file, f.file)}
	}
	conf, err := loadSersync(f.file, data, sersync.Options{Compare: f.compare, Threads: f.threadCount(), Only: f.only})
	if f.threads != "" && f.threadCount() == 0 {
		conf.notes = append(conf.notes, fmt.Sprintf("-n %q is not a number above 0 and is ignored", f.threads))
	}
	return conf, err
}

// instance are the files of one sersync2 in the background; each configuration
// file has its own, so that several may run.
type instance struct{ pid, log, socket string }

func placesOf(file string) instance {
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	sum := fnv.New32a()
	sum.Write([]byte(file)) // a hash does not fail
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	name := fmt.Sprintf("%s-%s-%08x", sersyncName, tame(base), sum.Sum32())
	logs := control.Dir()
	if os.Geteuid() == 0 {
		logs = "/var/log/fansync"
	}
	return instance{
		pid:    filepath.Join(control.Dir(), name+".pid"),
		log:    filepath.Join(logs, name+".log"),
		socket: filepath.Join(control.Dir(), name+".sock"),
	}
}

// tame is a short form of a name that any file may have and any log may show.
func tame(name string) string {
	b := []byte(name[:min(len(name), 20)])
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			b[i] = '_'
		}
	}
	return string(b)
}
