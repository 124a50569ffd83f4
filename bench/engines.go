package main

import (
	"github.com/spf13/cobra"

	"github.com/fansync/fansync/bench/engine"
)

// engineFlags say where programs are that no package installs.
type engineFlags struct {
	fansync []string
	sersync string
}

func (f *engineFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.fansync, "fansync", nil, "a fansync `program` as PATH, or as LABEL=PATH to compare several; the one in PATH if empty")
	cmd.Flags().StringVar(&f.sersync, "sersync", "", "the sersync2 `program`; left out if empty")
}

func (f *engineFlags) options() (engine.Options, error) {
	opts := engine.Options{Sersync: f.sersync}
	for _, arg := range f.fansync {
		b, err := engine.ParseBinary(arg)
		if err != nil {
			return opts, err
		}
		opts.Fansync = append(opts.Fansync, b)
	}
	return opts, nil
}
