// Weft is what a person asks a node of Weftnet: flows, status, tables, and the lab. See package internal/cli.
package main

import (
	"context"
	"os"

	"weftnet.io/weftnet/internal/cli"
)

func main() { os.Exit(cli.Run(context.Background(), cli.System(), os.Args[1:])) }
