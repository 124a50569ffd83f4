package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// version is set by the release build.
var version = "development"

// rootCommand is the whole command tree.
func rootCommand() *cobra.Command {
	var m mirrorFlags
	cmd := &cobra.Command{
		Use:   "fansync SRC DEST [DEST...]",
		Short: "Mirror a busy directory tree to many remotes as it changes",
		Long: `fansync keeps every DEST equal to SRC, live.

DEST is what rsync takes: a local path, [user@]host:path over ssh,
host::module/path or rsync://[user@]host[:port]/module/path for an rsync daemon.
The content of SRC goes into DEST, with deletions.`,
		Example: `  fansync /srv/www web1::www web2::www
  fansync /srv/www backup@host:/backup/www --ssh "ssh -p 2222"
  fansync run -c /etc/fansync/fansync.toml
  fansync watch /srv/www`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{errors.New("name a source and at least one destination: fansync SRC DEST [DEST...]; see fansync --help")}
			}
			return m.run(cmd, args[0], args[1:])
		},
	}
	m.register(cmd)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(runCommand(), checkCommand(), statusCommand(), flushCommand(), resumeCommand(), receiveCommand(), watchCommand(), sersyncCommand(), importCommand(), versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "fansync %s\n", version)
			return err
		},
	}
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
