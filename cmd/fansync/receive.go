package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/receive"
)

func receiveCommand() *cobra.Command {
	var conf receive.Config
	cmd := &cobra.Command{
		Use: "receive DIR", Short: "Be the other side: a safe rsync daemon for a directory",
		Long: `Receive starts an rsync daemon that lets one user, with a generated password,
write into DIR, and prints the line to run at the source. It listens on this
machine alone unless --listen says otherwise.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name one directory to receive into: fansync receive DIR")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			conf.Dir = args[0]
			conf.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			r, err := receive.Prepare(conf)
			if errors.Is(err, receive.ErrNoRsync) {
				return err
			}
			if err != nil {
				return usageError{err}
			}
			ended := make(chan error, 1)
			go func() { ended <- r.Run(cmd.Context()) }()
			select {
			case err := <-ended:
				return err
			case <-r.Ready():
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "At the source run:\n%s\n", r.SourceLine("SRC")); err != nil {
				return fmt.Errorf("print source line: %w", err)
			}
			return <-ended
		},
	}
	f := cmd.Flags()
	f.StringVar(&conf.Listen, "listen", "", "`address` to listen on (default 127.0.0.1)")
	f.IntVar(&conf.Port, "port", 0, "`port` to listen on (default 8873)")
	f.StringVar(&conf.Module, "module", "", "rsync module `name` (default: DIR's own)")
	f.StringVar(&conf.User, "user", "", "`user` that may write (default fansync)")
	f.StringVar(&conf.StateDir, "state-dir", "", "`directory` for the daemon's configuration and password")
	return cmd
}
