package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/config"
)

func runCommand() *cobra.Command {
	var file string
	var serve serveFlags
	cmd := &cobra.Command{
		Use: "run -c FILE", Short: "Mirror what a configuration file says", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := load(file)
			if err != nil {
				return err
			}
			return serve.serve(cmd, conf, false)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `file` (TOML)")
	serve.register(cmd)
	return cmd
}

func load(file string) (config.Config, error) {
	if file == "" {
		return config.Config{}, usageError{errors.New("name a configuration file with -c")}
	}
	conf, err := config.Load(file)
	if err != nil {
		return config.Config{}, usageError{err}
	}
	return conf, nil
}
