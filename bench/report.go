package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/bench/record"
	"github.com/fansync/fansync/bench/report"
	"github.com/fansync/fansync/bench/watchers"
	"github.com/fansync/fansync/bench/workload"
)

// resultsName is the file of raw results in a run's directory.
const resultsName = "results.jsonl"

// reportCommand makes the report of a run anew.
func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report DIR",
		Short: "Writes the report of the results in a directory anew",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := os.Stat(filepath.Join(args[0], watchers.ResultsName)); err == nil {
				return watchers.WriteReport(args[0])
			}
			return writeReport(args[0])
		},
	}
}

// writeReport reads the results in dir and writes the report beside them.
func writeReport(dir string) error {
	f, err := os.Open(filepath.Join(dir, resultsName))
	if err != nil {
		return fmt.Errorf("%w; name a directory that a run wrote", err)
	}
	defer f.Close()
	run, cells, err := record.Read(f)
	if errors.Is(err, record.ErrCutOff) {
		fmt.Fprintf(os.Stderr, "bench: %v: the line is left out\n", err)
	} else if err != nil {
		return err
	}
	return report.Write(dir, run, cells, docs())
}

// docs are the workloads' sentences by name.
func docs() map[string]string {
	all := map[string]string{}
	for _, w := range workload.All() {
		all[w.Name()] = w.Doc()
	}
	return all
}
