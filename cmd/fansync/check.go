package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/transport"
)

func checkCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "check -c FILE", Short: "Say what is wrong with a configuration file", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := load(file)
			if err != nil {
				return err
			}
			for _, n := range conf.notes {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", n)
			}
			if err := conf.Validate(engine.CheckRemote); err != nil {
				return usageError{err}
			}
			if err := engine.CheckPlugins(conf.Config); err != nil {
				return usageError{err}
			}
			if err := transport.CheckVersion(cmd.Context(), ""); err != nil {
				return err
			}
			for _, w := range engine.Warnings(conf.Config) {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", file)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `file`: TOML, or sersync's confxml.xml")
	return cmd
}
