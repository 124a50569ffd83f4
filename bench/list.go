package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/bench/engine"
	"github.com/fansync/fansync/bench/workload"
)

// listCommand tells what can be run.
func listCommand() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists engines and workloads",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := f.options()
			if err != nil {
				return err
			}
			engines, err := engine.All(opts)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ENGINE\tVERSION")
			for _, e := range engines {
				version, err := e.Version(cmd.Context())
				if err != nil {
					version = "not here: " + err.Error()
				}
				fmt.Fprintf(w, "%s\t%s\n", e.Name(), version)
			}
			fmt.Fprintln(w, "\nWORKLOAD\tAT SCALE 1")
			for _, l := range workload.All() {
				fmt.Fprintf(w, "%s\t%s\n", l.Name(), l.Doc())
			}
			return w.Flush()
		},
	}
	f.register(cmd)
	return cmd
}
