package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fansync/fansync/internal/control"
)

func resumeCommand() *cobra.Command {
	var socket string
	var confirm bool
	cmd := &cobra.Command{
		Use: "resume --confirm-deletes [REMOTE]", Short: "Let the deletions that a guard holds back pass, once",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("name one remote, or none for all")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !confirm {
				return usageError{errors.New("a remote that was halted because too much would be deleted resumes with --confirm-deletes; look at fansync status first")}
			}
			remote := ""
			if len(args) == 1 {
				remote = args[0]
			}
			clients, err := control.Find(socket)
			if err != nil {
				return err
			}
			for _, c := range clients {
				if err := c.ConfirmDeletes(cmd.Context(), remote); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&socket, "socket", "", "ask the daemon at this `path` only")
	cmd.Flags().BoolVar(&confirm, "confirm-deletes", false, "yes, delete them")
	return cmd
}
