package main

import "github.com/spf13/cobra"

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
			return serve.serve(cmd, job{loaded: conf})
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `file`: TOML, or sersync's confxml.xml")
	serve.register(cmd)
	return cmd
}
