package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/control"
)

func flushCommand() *cobra.Command {
	var socket string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "flush --wait", Short: "Send everything now, and wait until it is at every remote", Args: noArgs,
		Long: `Flush sends what waits without waiting for it to settle. With --wait it returns
when everything that was changed before the call is at every remote: exit code
0. If that takes longer than --timeout, or a remote is halted, it says what is
late and why: exit code 3.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout < 0 {
				return usageError{fmt.Errorf("--timeout %s: give a time above 0", timeout)}
			}
			clients, err := control.Find(socket)
			if err != nil {
				return err
			}
			limit := timeout
			if !wait {
				limit = time.Millisecond
			}
			for _, c := range clients {
				if err := c.Flush(cmd.Context(), limit); err != nil && wait {
					return errors.Join(errNotInSync, err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", "", "ask the daemon at this `path` only")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait no longer than this; 0 waits as long as it takes")
	return cmd
}
