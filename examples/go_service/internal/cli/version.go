package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/golinks/internal/version"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "golinks", version.String())
			return err
		},
	}
}
