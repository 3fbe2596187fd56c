// weft-cni is the CNI plugin of Weftnet, also installed as cilium-cni. It hands each call of the container runtime to
// the agent of the node; package internal/source/cni/plugin says what it does when there is none.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/source/cni/plugin"
	"weftnet.io/weftnet/internal/version"
)

func main() {
	name := filepath.Base(os.Args[0])
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(version.Line(name))
		return
	}
	about := version.Line(name) + ": CNI plugin of Weftnet. A container runtime runs it; see https://www.cni.dev/docs/spec/"
	os.Exit(plugin.Plugin{StateDir: journal.StateDir, Out: os.Stdout}.Run(about))
}
