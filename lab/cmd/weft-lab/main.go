// weft-lab brings up a real Kubernetes cluster on one machine; see `weft-lab --help`.
package main

import (
	"os"

	"weftnet.io/weftnet/lab/internal/cli"
)

func main() { os.Exit(cli.Main()) }
