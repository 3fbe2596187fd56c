// weft-operator does what a cluster needs once and not on every node. The Deployment cilium-operator runs it; see package
// internal/operator.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"weftnet.io/weftnet/internal/operator"
	"weftnet.io/weftnet/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := operator.Command(version.Text()).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "weft-operator:", err)
		os.Exit(1)
	}
}
