// weft-relay answers Hubble's clients for a whole cluster. The Deployment hubble-relay runs it; see package internal/relay/program.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"weftnet.io/weftnet/internal/relay/program"
	"weftnet.io/weftnet/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := program.Command(version.Text()).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "weft-relay:", err)
		os.Exit(1)
	}
}
