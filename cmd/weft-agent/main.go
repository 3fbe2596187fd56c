// weft-agent is one node's network. The DaemonSet cilium runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"weftnet.io/weftnet/internal/agent"
	"weftnet.io/weftnet/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := agent.Command(os.Args[1:], version.Text()).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "weft-agent:", err)
		os.Exit(1)
	}
}
