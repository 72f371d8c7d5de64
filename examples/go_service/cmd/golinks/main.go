// Command golinks serves short links over HTTP.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"example.com/golinks/internal/cli"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run keeps the deferred clean-up that os.Exit would skip.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	root := cli.New()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "golinks:", err)
		return 1
	}
	return 0
}
