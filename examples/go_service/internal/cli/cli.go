// Package cli is the command line of golinks.
package cli

import "github.com/spf13/cobra"

// New returns a fresh command tree; nothing is shared between two calls.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "golinks",
		Short:         "Serve short links over HTTP",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newServe(), newVersion())
	return root
}
