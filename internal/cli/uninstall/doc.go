// Package uninstall is `weft uninstall`: it takes off a node what Weftnet has put there, or what a kube-proxy has left.
//
//	weft uninstall             Weftnet (package internal/install)
//	weft uninstall kube-proxy  what a kube-proxy has left (package internal/install/proxy)
//
// Invariants: it says what it does, a line each, and may be repeated; what is another's is shown before it is removed.
//
//	root.AddCommand(uninstall.Command(uninstall.Environment{In: os.Stdin, Out: os.Stdout, Get: get}))
package uninstall

import (
	"context"
	"io"
)

// Environment is what the command lives in.
type Environment struct {
	In  io.Reader
	Out io.Writer
	Get func(ctx context.Context, socket, path string, into any) error // asks an agent for a document
}
